/* SPDX-License-Identifier: MIT
 * The program that scripts/bench_layer builds around an exported layer:
 *     PROGRAM [ITERATIONS]
 * Holds blob and golden vectors in itself (LAYER_FOLDER says where the export lies when
 * it is compiled). Before the first iteration every golden vector must give its golden
 * result: exit 1 where one does not. An iteration is the whole operator, from the codes
 * that the layer before would have stored to the codes that this layer stores. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LAYER_HEADER
#define LAYER_HEADER "model.h"
#endif
#include LAYER_HEADER

/* network_cycles: the first so many vectors only, and a mark where the iterations begin.
 */
#ifndef LAYER_VECTORS
#define LAYER_VECTORS ((size_t)-1)
#endif
#ifndef LAYER_START
#define LAYER_START() ((void)0)
#endif

#define EMBED(symbol, file)                                                             \
  __asm__(".section .rodata\n.balign 64\n.global " #symbol "\n" #symbol                 \
          ":\n.incbin \"" LAYER_FOLDER "/" file "\"\n.global " #symbol "_end\n" #symbol \
          "_end:\n.byte 0\n.previous\n");                                               \
  extern const unsigned char symbol[], symbol##_end[]

EMBED(layer_blob, "model.qpk");
EMBED(layer_vectors, "golden/vectors.bin");
EMBED(layer_expected, "golden/expected.bin");

static size_t load32(const unsigned char* p) {
  return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

static void* allocate(size_t bytes) {
  unsigned char* p = (unsigned char*)calloc(bytes + 64, 1);
  if (p == NULL) {
    fprintf(stderr, "bench_layer: no memory\n");
    exit(2);
  }
  return p + (64u - (size_t)((uintptr_t)p & 63u)) % 64u;
}

/* docs/export.md: names of 32 bytes, then the inputs; and of each expected run a flag,
 * the layers' CRCs, the layers where the flag is set, the outputs. */
static int golden_fails(const layer_model* model, void* arena, int8_t* x, int8_t* y) {
  const unsigned char* in = layer_vectors + 24;
  const unsigned char* out = layer_expected + 32;
  const size_t count = load32(layer_vectors + 8), layers = load32(layer_expected + 12);
  const size_t layer_bytes = load32(layer_expected + 16);
  size_t i;
  in += 32 * count;
  if (count == 0 || load32(layer_expected + 8) != count) return 1;
  for (i = 0; i < count && i < LAYER_VECTORS; ++i) {
    const size_t kept = load32(out) != 0 ? layer_bytes : 0;
    out += 4 + 4 * layers + kept;
    memcpy(x, in, LAYER_INPUT0_BYTES);
    memset(y, 0x5A, LAYER_OUTPUT0_BYTES);
    layer_run(model, arena, x, y);
    if (memcmp(y, out, LAYER_OUTPUT0_BYTES) != 0) {
      fprintf(stderr, "bench_layer: golden vector %u differs\n", (unsigned)i);
      return 1;
    }
    in += LAYER_INPUT0_BYTES;
    out += LAYER_OUTPUT0_BYTES;
  }
  if (i == count && (in != layer_vectors_end || out != layer_expected_end)) {
    fprintf(stderr, "bench_layer: the golden files have another size\n");
    return 1;
  }
  memcpy(x, layer_vectors + 24 + 32 * count, LAYER_INPUT0_BYTES);
  return 0;
}

int main(int argc, char** argv) {
  const long iterations = argc > 1 ? atol(argv[argc - 1]) : 1;
  void* const arena = allocate(LAYER_ARENA_BYTES);
  int8_t* const x = (int8_t*)allocate(LAYER_INPUT0_BYTES);
  int8_t* const y = (int8_t*)allocate(LAYER_OUTPUT0_BYTES);
  layer_model model;
  long i;
  if (iterations < 0) {
    fprintf(stderr, "usage: PROGRAM [ITERATIONS]\n");
    return 2;
  }
  if (layer_init(&model, layer_blob, (size_t)(layer_blob_end - layer_blob)) != 0) {
    fprintf(stderr, "bench_layer: model.qpk is not this layer's\n");
    return 1;
  }
  if (golden_fails(&model, arena, x, y)) return 1;
  LAYER_START();
  for (i = 0; i < iterations; ++i) layer_run(&model, arena, x, y);
  printf("golden vectors equal, %ld iterations\n", iterations);
  return 0;
}
