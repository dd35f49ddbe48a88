/* SPDX-License-Identifier: MIT
 * A plugin for qemu-user: how often each basic block is executed, layer by layer.
 *     qemu-aarch64 -plugin liblayer_profile.so,out=FILE PROGRAM
 * The program marks where counting starts (MARK_START) and where each layer ends
 * (MARK_LAYER): hint instructions that do nothing (layer_main.c). FILE gets one line for
 * each block that ran: LAYER EXECUTIONS INSTRUCTIONS BYTES_IN_HEX A mark's own block is
 * counted with the layer before it. For programs of one thread. The declarations of
 * qemu's interface (API 1) are written out, so that no header is needed. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void translated(plugin_id, struct qemu_plugin_tb*);
typedef void executed(unsigned cpu, void* data);
typedef void ended(plugin_id, void* data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated*);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb*, int op, void* at,
                                              uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, executed*,
                                            int registers, void* data);
void qemu_plugin_register_atexit_cb(plugin_id, ended*, void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn*);

EXPORT int qemu_plugin_version = 1;

/* hint #126 and hint #127, AArch64 and A32. */
static const uint32_t MARK_START[] = {0xD5032FDF, 0xE320F07E};
static const uint32_t MARK_LAYER[] = {0xD5032FFF, 0xE320F07F};

typedef struct block {
  struct block* next;
  uint64_t count, counted; /* executions, and those already written or dropped */
  size_t instructions, bytes;
  unsigned char code[];
} block;

static block* blocks;
static FILE* out;
static long layer = -1; /* -1: before the start */

static void on_start(unsigned cpu, void* data) {
  block* b;
  (void)cpu, (void)data;
  for (b = blocks; b != NULL; b = b->next) b->counted = b->count;
  layer = 0;
}

static void on_layer(unsigned cpu, void* data) {
  block* b;
  size_t i;
  (void)cpu, (void)data;
  if (layer < 0) return;
  for (b = blocks; b != NULL; b = b->next) {
    if (b->count == b->counted) continue;
    fprintf(out, "%ld %" PRIu64 " %zu ", layer, b->count - b->counted, b->instructions);
    for (i = 0; i < b->bytes; ++i) fprintf(out, "%02x", b->code[i]);
    fputc('\n', out);
    b->counted = b->count;
  }
  ++layer;
}

static int is_one_of(const uint32_t* marks, const struct qemu_plugin_insn* insn) {
  uint32_t word;
  if (qemu_plugin_insn_size(insn) != sizeof word) return 0;
  memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
  return word == marks[0] || word == marks[1];
}

static void on_translated(plugin_id id, struct qemu_plugin_tb* tb) {
  const size_t count = qemu_plugin_tb_n_insns(tb);
  size_t bytes = 0, i;
  block* b;
  (void)id;
  for (i = 0; i < count; ++i) {
    bytes += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
  }
  b = (block*)calloc(1, sizeof *b + bytes);
  if (b == NULL) abort();
  b->instructions = count;
  for (i = 0; i < count; ++i) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    const size_t size = qemu_plugin_insn_size(insn);
    memcpy(b->code + b->bytes, qemu_plugin_insn_data(insn), size);
    b->bytes += size;
    if (is_one_of(MARK_START, insn)) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, 0, NULL);
    } else if (is_one_of(MARK_LAYER, insn)) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_layer, 0, NULL);
    }
  }
  b->next = blocks;
  blocks = b;
  qemu_plugin_register_vcpu_tb_exec_inline(tb, 0 /* add */, &b->count, 1);
}

static void on_end(plugin_id id, void* data) {
  (void)id, (void)data;
  if (fclose(out) != 0) abort();
}

EXPORT int qemu_plugin_install(plugin_id id, const void* info, int argc, char** argv) {
  const char* path = NULL;
  int i;
  (void)info;
  for (i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "out=", 4) == 0) path = argv[i] + 4;
  }
  out = path != NULL ? fopen(path, "w") : NULL;
  if (out == NULL) {
    fprintf(stderr, "layer_profile: cannot write '%s'\n", path != NULL ? path : "");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
  qemu_plugin_register_atexit_cb(id, on_end, NULL);
  return 0;
}
