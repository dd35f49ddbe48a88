// SPDX-License-Identifier: MIT
#include "lib/export/instruction_counter.h"

#include <fmt/format.h>

#include <charconv>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/export/process.h"

namespace qopt::emit {
namespace {

/// Declares what it uses of qemu's plugin interface (version 1) itself, so that no header
/// of qemu is needed. Counts whole translation blocks; a mark's system call ends one.
constexpr std::string_view kPlugin = R"C(/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct block;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id,
                                                  void (*)(plugin_id, struct block*));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block*, int, void*, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
extern size_t qemu_plugin_tb_n_insns(const struct block*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;
static uint64_t count;
static FILE* marks;

static void on_block(plugin_id id, struct block* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &count, qemu_plugin_tb_n_insns(block));
}

static void on_call(plugin_id id, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2,
                    uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7,
                    uint64_t a8) {
  const int32_t file = (int32_t)(uint32_t)a1;
  (void)id, (void)cpu, (void)number, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6,
      (void)a7, (void)a8;
  if (file > -100000 || file < -2000000) return;
  fprintf(marks, "%d %" PRIu64 "\n", -100000 - file, count);
  fflush(marks);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void* info,
                                                               int argc, char** argv) {
  (void)info;
  if (argc < 1 || strncmp(argv[0], "out=", 4) != 0) return 1;
  marks = fopen(argv[0] + 4, "w");
  if (marks == NULL) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
  qemu_plugin_register_vcpu_syscall_cb(id, on_call);
  return 0;
}
)C";

constexpr std::chrono::seconds kCompileLimit{60};
constexpr std::uint64_t kMaxMarkBytes = 256ULL << 20;

}  // namespace

std::string build_counter(const std::filesystem::path& folder) {
  if (find_program("cc").empty()) return "compiler cc, for the counter, not found";
  write_file_atomic(folder / "counter.c", kPlugin);
  const ProcessResult built =
      run_process({"cc", "-O2", "-fPIC", "-shared", "counter.c", "-o", "counter.so"},
                  folder, kCompileLimit);
  if (built.exit_code == 0) return {};
  return "the counter does not compile: " + printable(built.output.substr(0, 300));
}

std::vector<std::string> counter_arguments(const std::filesystem::path& folder,
                                           const std::filesystem::path& marks) {
  return {"-plugin",
          fmt::format("{},out={}", (folder / "counter.so").string(), marks.string())};
}

std::optional<std::vector<Mark>> read_marks(const std::filesystem::path& file) {
  std::error_code fault;
  if (!std::filesystem::is_regular_file(file, fault)) return std::nullopt;
  const std::string text = read_file(file, kMaxMarkBytes);
  std::vector<Mark> marks;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    Mark mark;
    const auto number = std::from_chars(at, end, mark.number);
    if (number.ec != std::errc() || number.ptr == end || *number.ptr != ' ') {
      return std::nullopt;
    }
    const auto count = std::from_chars(number.ptr + 1, end, mark.instructions);
    if (count.ec != std::errc() || count.ptr == end || *count.ptr != '\n') {
      return std::nullopt;
    }
    marks.push_back(mark);
    at = count.ptr + 1;
  }
  return marks;
}

}  // namespace qopt::emit
