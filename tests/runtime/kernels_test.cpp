// SPDX-License-Identifier: MIT
// Every kernel of every instruction set against the integer meaning, by compiling and
// running tests/runtime/driver: natively, and under qemu where cross compilers are.
// Planted faults show that the driver would notice.
#include <algorithm>

#include "tests/runtime/toolchain.h"
#include "tests/support/catch.h"

namespace qopt::test {
namespace {

const fs::path kSource = QOPT_SOURCE_DIR;
const std::vector<std::string> kStrict = {"-std=c99", "-Wall",        "-Wextra",
                                          "-Werror",  "-Wconversion", "-pedantic"};

struct Target {
  std::string name, compiler;
  std::vector<std::string> flags, runner;
  std::string isa;         // a variant that must appear in the driver's list
  std::string needs = {};  // a program whose package brings what the compiler lacks
  int cases = 150;
};

bool host_has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

bool host_has_vpopcnt() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vpopcntdq");
#else
  return false;
#endif
}

bool host_has_vnni() {
#if defined(__x86_64__)
  return host_has_avx2() && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

std::vector<Target> targets() {
  const std::vector<std::string> arm64 = {"qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"};
  std::vector<std::string> a72 = arm64, newest = arm64;
  a72.insert(a72.end(), {"-cpu", "cortex-a72"});
  newest.insert(newest.end(), {"-cpu", "max"});
  std::vector<Target> rows = {
      {"portable", "gcc", {"-O3", "-DQRT_FORCE_PORTABLE"}, {}, "c"},
      {"portable, clang", "clang", {"-O2", "-DQRT_FORCE_PORTABLE"}, {}, "c"},
      {"aarch64", "aarch64-linux-gnu-gcc", {"-O2"}, a72, "neon"},
      {"aarch64-dotprod",
       "aarch64-linux-gnu-gcc",
       {"-O2", "-march=armv8.2-a+dotprod"},
       newest,
       "dotprod"},
      {"aarch64-i8mm",
       "aarch64-linux-gnu-gcc",
       {"-O2", "-march=armv8.6-a"},
       newest,
       "i8mm"},
      {"armv7-neon",
       "arm-linux-gnueabihf-gcc",
       {"-O2", "-mfpu=neon"},
       {"qemu-arm", "-L", "/usr/arm-linux-gnueabihf", "-cpu", "max"},
       "armv7"},
      {"riscv64",
       "riscv64-linux-gnu-gcc",
       {"-O2"},
       {"qemu-riscv64", "-L", "/usr/riscv64-linux-gnu"},
       "c"},
  };
  // The compilers that are promised, by version, each with every instruction set it
  // knows.
  const std::string a64 = "aarch64-linux-gnu", armhf = "arm-linux-gnueabihf",
                    riscv = "riscv64-linux-gnu";
  const std::vector<Target> crossed = {
      {"aarch64", {}, {"--target=" + a64}, a72, "neon", a64 + "-gcc", 30},
      {"aarch64-dotprod",
       {},
       {"--target=" + a64, "-march=armv8.2-a+dotprod"},
       newest,
       "dotprod",
       a64 + "-gcc",
       30},
      {"aarch64-i8mm",
       {},
       {"--target=" + a64, "-march=armv8.2-a+dotprod+i8mm"},
       newest,
       "i8mm",
       a64 + "-gcc",
       30},
      {"armv7-neon",
       {},
       {"--target=" + armhf, "-march=armv7-a", "-mfpu=neon"},
       {"qemu-arm", "-L", "/usr/" + armhf, "-cpu", "max"},
       "armv7",
       armhf + "-gcc",
       30},
      {"riscv64",
       {},
       {"--target=" + riscv, "-march=rv64gc"},
       {"qemu-riscv64", "-L", "/usr/" + riscv},
       "c",
       riscv + "-gcc",
       30},
  };
  for (const std::string clang : {"clang-14", "clang-19"}) {
    for (Target row : crossed) {
      row.name = clang + ", " + row.name;
      row.compiler = clang;
      row.flags.emplace_back("-O2");
      rows.push_back(std::move(row));
    }
  }
#if defined(__x86_64__)
  for (const std::string compiler : {"gcc-12", "clang-14", "clang-19"}) {
    rows.push_back({compiler + ", x86-avx512",
                    compiler,
                    {"-O2", "-mavx2", "-mavx512vl", "-mavx512bw", "-mavx512vpopcntdq",
                     "-mavx512vnni"},
                    {},
                    "vnni",
                    {},
                    30});
  }
  rows.push_back({"x86-avx2", "gcc", {"-O2", "-mavx2"}, {}, "avx2"});
  rows.push_back({"x86-avx512",
                  "gcc",
                  {"-O2", "-mavx2", "-mavx512vl", "-mavx512bw", "-mavx512vpopcntdq"},
                  {},
                  "vpopcnt"});
  rows.push_back({"x86-vnni",
                  "gcc",
                  {"-O2", "-mavx2", "-mavx512vl", "-mavx512bw", "-mavx512vnni"},
                  {},
                  "vnni"});
  rows.push_back({"x86-avx2, clang", "clang", {"-O0", "-mavx2"}, {}, "avx2"});
#endif
  return rows;
}

/// Why a target cannot be tried here; empty if it can.
std::string obstacle(const Target& target) {
  if (!on_path(target.compiler)) return target.compiler + " is not installed";
  if (!target.runner.empty() && !on_path(target.runner[0])) {
    return target.runner[0] + " is not installed";
  }
  if (!target.needs.empty() && !on_path(target.needs)) {
    return target.needs + " is not installed";
  }
  if (target.isa == "avx2" && !host_has_avx2()) return "this processor has no AVX2";
  if (target.isa == "vnni" && !host_has_vnni())
    return "this processor has no AVX-512 VNNI";
  const std::vector<std::string>& flags = target.flags;
  if (std::find(flags.begin(), flags.end(), "-mavx512vpopcntdq") != flags.end() &&
      !host_has_vpopcnt()) {
    return "this processor has no AVX-512 VPOPCNTDQ";
  }
  return {};
}

/// Compiles the runtime in `runtime` and the driver, and runs it.
Outcome drive(const Target& target, const fs::path& runtime, int cases) {
  TempFolder folder;
  const std::string program = (folder.path() / "driver").string();
  std::vector<std::string> command = {target.compiler};
  const auto append = [&command](const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
  };
  append(kStrict);
  append(target.flags);
  append({"-I", (runtime / "include").string(), "-o", program});
  append(files_in(runtime / "src", ".c"));
  append(files_in(kSource / "tests/runtime/driver", ".c"));
  append({"-lm"});
  const Outcome compiled = run(command);
  INFO(target.name << ": " << compiled.output.substr(0, 2000));
  REQUIRE(compiled.exit_code == 0);
  std::vector<std::string> execution = target.runner;
  execution.insert(execution.end(), {program, std::to_string(cases)});
  return run(execution);
}

TEST_CASE("every kernel equals the integer meaning on every target") {
  for (const Target& target : targets()) {
    const std::string reason = obstacle(target);
    if (!reason.empty()) {
      WARN("not tested: " << target.name << ": " << reason);
      continue;
    }
    const Outcome outcome = drive(target, kSource / "runtime", target.cases);
    INFO(target.name << ":\n" << outcome.output);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.output.find(" 0 differences, 0 variants without a check") !=
          std::string::npos);
    const bool has_variant =
        outcome.output.find(" " + target.isa + " ") != std::string::npos;
    CHECK(has_variant);
  }
}

struct Fault {
  std::string name, target, file, text, replacement;
  int cases = 0;  // what it takes to see it, where the usual number does not do
};

std::vector<Fault> faults() {
  const std::string tie = "(int32_t)(((int64_t)x + ((int64_t)1 << (n - 1))) >> n)";
  const std::string off = "(int32_t)(((int64_t)x + ((int64_t)1 << (n - 1)) - 1) >> n)";
  return {
      {"ties rounded down", "portable", "include/qrt/arith.h", tie, off},
      {"one rounding instead of two", "portable", "include/qrt/arith.h",
       "return qrt_shift_right(qrt_mul_high(qrt_shift_left(acc, left), multiplier), "
       "right);",
       "return qrt_saturate32(((int64_t)acc * multiplier + ((int64_t)1 << (30 - left + "
       "right)))"
       " >> (31 - left + right));"},
      {"padding is code 0", "portable", "src/matrix.h",
       "  (void)zero;\n  memset(dst, 0, count * sizeof *dst);",
       "  while (count > 0) dst[--count] = (qrt_lane)-zero;"},
      {"swapped channels", "portable", "src/matrix.h", "codes[i]);",
       "codes[width == 4 ? i ^ 1 : i]);"},
      {"one byte too far", "portable", "src/move_c.c", "memcpy(dst, src, count * bytes);",
       "memcpy(dst, src, count * bytes + 1);"},
      {"padding is code 0", "aarch64", "src/matrix.h",
       "memset(dst, (uint8_t)zero, count);", "(void)zero;\n  memset(dst, 0, count);"},
      {"products of -128 paired", "aarch64", "src/matrix_neon.c", "if (narrow) return",
       "if (narrow || 1) return"},
      {"bytes of counts overflow", "aarch64", "src/bitserial_neon.c",
       "#define QRT_SEGMENT_STEPS 15", "#define QRT_SEGMENT_STEPS 32"},
      {"outside is code 0", "portable", "src/bitserial.h",
       "memset(row, (uint8_t)zero, (size_t)c);", "(void)zero, (void)c;"},
      {"products of -128 paired, direct", "aarch64", "src/conv_dot_neon.h",
       "if (narrow) return", "if (narrow || 1) return"},
      {"a strip's left border is code 0", "aarch64", "src/conv.h",
       "memset(dst, (uint8_t)p->x_zero, (size_t)before", "memset(dst, 0, (size_t)before"},
      {"a strip one line short", "aarch64-dotprod", "src/conv.h", "i < lines; ++i",
       "i + 1 < lines; ++i"},
      {"weight sums of the wrong channel", "aarch64", "src/conv.h",
       "(uint32_t)p->weight_sums[o]", "(uint32_t)p->weight_sums[0]"},
      {"a panel's words swapped", "aarch64-dotprod", "src/conv_words_neon.h",
       "vst1q_s8(dst + 64,", "vst1q_s8(dst + 128,"},
      {"a panel's halves swapped", "aarch64-i8mm", "src/conv_i8mm.c",
       "vst1q_s8(dst + 128,", "vst1q_s8(dst + 112,"},
      {"positions 2 and 3 are 0 and 1", "armv7-neon", "src/conv_rows.h",
       "multiply_two(tile, rows + 2", "multiply_two(tile, rows"},
      {"no half steps", "aarch64-dotprod", "src/conv_dotprod.c", "if (whole < length) {",
       "if (whole > length) {"},
      {"a window one row short", "aarch64", "src/conv.h", "row = copy->rows; row > 0",
       "row = copy->rows; row > 1"},
      {"half a step too few", "aarch64", "src/conv.h",
       "job.plan.length - job.plan.run >= 8", "job.plan.length - job.plan.run >= 7"},
      {"sums widened a step too late", "aarch64", "src/conv_walk_neon.h", "/ 2 * 2;",
       "/ 2 * 2 + 2;"},
      {"odd weights taken for smaller ones", "aarch64", "src/conv.h",
       "(1 << p->weight_bits) - 1 :", "1 << (p->weight_bits - 1) :"},
      {"pairs of weights exchanged", "aarch64", "src/conv_short_neon.c",
       "store_pairs(dst + 16, a[1], b[1])", "store_pairs(dst + 16, a[2], b[1])"},
      {"half a step of weights left behind", "aarch64", "src/conv_walk_neon.h",
       "channels * (tile->length - codes)", "0 * channels * (tile->length - codes)"},
      {"a segment's codes from its end on", "aarch64", "src/conv_walk_neon.h",
       "walk.code_gap = (int64_t)tile->pitch - (int64_t)codes", "walk.code_gap = 0"},
      {"the last short sums forgotten", "aarch64", "src/conv_short_tile.h",
       "QRT_WIDEN_SHORT(s6, 22) QRT_WIDEN_SHORT(s7, 23)\n", "QRT_WIDEN_SHORT(s6, 22)\n"},
      {"short sums widened late", "aarch64", "src/conv_short_neon.c", "128 * tile",
       "100 * tile"},
      {"byte sums widened late", "aarch64", "src/conv_byte_neon.c", "INT8_MAX",
       "2 * INT8_MAX"},
      {"twice the pairs of bytes in 16 bits", "aarch64", "src/conv_byte_tile.h",
       "QRT_BYTE_PAIRS \"128\"", "QRT_BYTE_PAIRS \"256\"", 150},
      {"the last byte sums forgotten", "aarch64", "src/conv_byte_tile.h",
       "QRT_WIDEN_BYTES(30, 22) QRT_WIDEN_BYTES(31, 23)\n", "QRT_WIDEN_BYTES(30, 22)\n"},
      {"other channels' weights, bytes", "aarch64", "src/conv_byte_neon.c", "panel + 32",
       "panel + 16"},
      {"the first channels for a last position", "aarch64", "src/conv_panel_neon.h",
       "multiply_some_rows(tile, j, first)", "multiply_some_rows(tile, 0, first)"},
      {"scaling up wraps", "aarch64", "src/rescale_neon.c", "vqshlq_s32", "vshlq_s32"},
      {"a row's last codes from its start", "aarch64", "src/conv_neon.h",
       "unpack_sixteen(src + bytes - 16,", "unpack_sixteen(src,"},
      {"the third quarter of 64 codes like the second", "aarch64", "src/conv_neon.h",
       "QRT_UNPACK_QUARTER(2, third)", "QRT_UNPACK_QUARTER(1, third)"},
      {"five bits between two codes of three", "aarch64", "src/conv_neon.h",
       "(256 << (8 - bits))", "(256 << 3)"},
      {"the last of sixteen codes of seven bits from elsewhere", "aarch64",
       "src/conv_neon.h", "16 + 13", "16 + 12"},
      {"the first byte before a group not its own", "aarch64", "src/conv_neon.h",
       "ldur q30, [%[src], #-1]", "ldr q30, [%[src]]"},
      {"a code's second byte left out", "aarch64", "src/conv_neon.h",
       "vaddq_s8(f.first_up, vdupq_n_s8(8))", "vaddq_s8(f.first_up, vdupq_n_s8(9))"},
      {"the first of two codes twice", "aarch64", "src/conv_neon.h", "codes[odd] + 16)",
       "codes[odd])", 150},
      {"a bias added twice", "aarch64-dotprod", "src/conv_panel_neon.h",
       "columns, !any_left, sums", "columns, 1, sums"},
      {"a window without its first two columns", "aarch64", "src/depthwise_neon.h",
       "p->pad_left <= p->dilation_w", "p->pad_left <= p->w"},
      {"a window without its last two columns", "aarch64", "src/depthwise_neon.h",
       "p->dilation_w < p->w;", "p->dilation_w <= p->w;", 150},
      {"the edge's zero on the other side", "aarch64", "src/depthwise_neon.h", "zero}};",
       "vld1q_s8(d)}};"},
      {"a pool without its last column", "aarch64", "src/max_pool_neon.c",
       "c = window->cols; c > 0", "c = window->cols; c > 1"},
      {"a part's rows seen from the top", "portable", "include/qrt/parallel.h",
       "window.pad_top = window.begin - first;", "window.pad_top = pad_top;"},
      {"a part's channels side by side", "portable", "include/qrt/parallel.h",
       "out.p.y_pitch = p.o;", ""},
      {"a part's channels side by side, bits", "aarch64", "include/qrt/parallel.h",
       "out.p.y_pitch = p->o;", ""},
      {"a part's planes over the first rows", "portable", "src/bitserial.h",
       "const size_t y_first = (size_t)p->y_row * (size_t)p->ow;",
       "const size_t y_first = 0;"},
      {"a part's planes without the position behind the last", "portable",
       "src/bitserial.h", "p->y_row + p->oh == y_rows", "p->y_rows == 0"},
      {"a part's planes seen from the top", "portable", "include/qrt/parallel.h",
       "out.p.pad_top = p->pad_top - row.begin * p->stride_h;", "(void)window;"},
      {"a part's words side by side", "portable", "src/bitserial.h",
       "bit_words(p->y_pitch ? p->y_pitch : p->o)", "bit_words(p->o)"},
      {"a word of channels too late", "portable", "include/qrt/parallel.h",
       "(size_t)out.channel / 8;", "(size_t)out.channel / 4;"},
      {"a part's biases are the first ones", "portable", "src/parallel.c",
       "moved(job->bias, o * job->p->bias_bytes)", "job->bias"},
      {"an operand written over too early", "portable", "src/rescale.h",
       "qrt_store(y, i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));",
       "qrt_store(y, i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));\n"
       "if (i + 1 < count) qrt_store(y, i + 1, p->y_bytes, 0);"},
      {"ties rounded down", "x86-avx2", "src/avx2.h", "_mm256_and_si256(last, one)",
       "_mm256_andnot_si256(last, one)"},
      {"weights of the next run taken along", "x86-vnni", "src/conv_vnni.c",
       "(__mmask16)first_bytes(left < 16 ? left : 16)", "(__mmask16)(left ? -1 : 0)"},
      {"rounded without a shift", "x86-vnni", "src/avx512.h",
       "_mm512_test_epi32_mask(r->right, r->right),\n                                   "
       "           _mm512_set1",
       "(__mmask16)-1, _mm512_set1"},
      {"great sums scaled the short way", "x86-vnni", "src/avx512.h",
       "_mm512_set1_epi32(1 << 28)", "_mm512_set1_epi32(INT32_MAX)"},
      {"great sums scaled the short way, depthwise", "x86-vnni", "src/depthwise_vnni.c",
       "return 0;", "continue;"},
      {"the last of an odd row forgotten", "x86-vnni", "src/depthwise_vnni.c",
       "odd <= count % 2", "odd < 1"},
      {"edges wrap around", "x86-vnni", "src/depthwise_vnni.c", "ix >= 0 && ix < p->w",
       "ix >= 0"},
      {"ties rounded down, direct", "x86-avx2", "src/avx2.h", "2 * (long long)zero + 1)",
       "2 * (long long)zero)"},
      {"rounded without a shift", "x86-avx2", "src/avx2.h",
       "_mm256_and_si256(is_right, _mm256_set1_epi32(1 << 30))",
       "_mm256_set1_epi32(1 << 30)"},
      {"the greatest multipliers doubled", "x86-avx2", "src/avx2.h",
       "_mm256_set1_epi32((1 << 30) - 1)", "_mm256_set1_epi32(INT32_MAX)"},
      {"great sums scaled the short way", "x86-avx2", "src/avx2.h",
       "_mm256_set1_epi32(1 << 28)", "_mm256_set1_epi32(INT32_MAX)"},
      {"long shifts the short way", "x86-avx2", "src/avx2.h", "_mm256_set1_epi32(-22)",
       "_mm256_set1_epi32(-31)"},
      {"great sums scaled the short way, depthwise", "x86-avx2", "src/depthwise_avx2.c",
       "      return 0;", "      continue;"},
      {"a panel's channels swapped", "x86-avx2", "src/conv_avx2.c", "(w[i + 8] + k)",
       "(w[i + 7] + k)"},
      {"products of codes forgotten", "x86-avx2", "src/conv_avx2.c",
       "const size_t length = tile->length - half;",
       "const size_t length = tile->length - half - (tile->length > 64 ? 16 : 0);"},
      {"half a step too few", "x86-avx2", "src/conv_avx2.c",
       "  if (half) {\n    QRT_DOT_FOUR(0)\n    QRT_DOT_FOUR(1)",
       "  if (half) {\n    QRT_DOT_FOUR(0)"},
      {"codes of a block overwritten", "x86-avx2", "src/conv_avx2.c",
       "  int16_t lanes[QRT_POSITIONS * QRT_NEAR_CODES];",
       "  int16_t* const lanes = tile->lanes;"},
      {"deep codes from the start again", "x86-avx2", "src/conv_avx2.c",
       "prepare_four(tile, rows, begin, count / 16, lanes);",
       "prepare_four(tile, rows, 0, count / 16, lanes);"},
      {"codes of the first fours only", "x86-avx2", "src/conv_avx2.c",
       "prepare_fours(tile, first, last);", "prepare_fours(tile, 0, last - first);"},
      {"the last four not moved back", "x86-avx2", "src/conv_avx2.c",
       "return at < last ? at : last;", "return at <= last ? at : at - 4;"},
      {"a narrow tile's halves swapped", "x86-avx2", "src/conv_narrow_avx2.h",
       "_mm_unpacklo_epi32(first, last)", "_mm_unpacklo_epi32(last, first)"},
      {"a narrow tile's last biases beyond it", "x86-avx2", "src/conv_narrow_avx2.h",
       "= tile->base[i];", "= tile->base[i + 4];"},
      {"the first of four for the last one", "x86-avx2", "src/conv_avx2.c",
       "tile->row_words[at + 3]", "tile->row_words[at]"},
      {"a neighbour's last product subtracted", "x86-avx2", "src/conv_pairs_avx2.h",
       "prepare_combined(tile, rows, 3 * c, c, 0,",
       "prepare_combined(tile, rows, c, 3 * c, 0,"},
      {"a pair across the end of a row", "x86-avx2", "src/conv_pairs_avx2.h",
       "position % tile->row + 1 == tile->row", "position % tile->row == tile->row"},
      {"a product of neighbours' codes twice", "x86-avx2", "src/conv_pairs_avx2.h",
       "product_of(d2, d1)", "product_of(d1, d2)"},
      {"later pairs in the first ones' place", "x86-avx2", "src/conv_pairs_avx2.h",
       "multiply_sides(tile, r, &panels, i, &ahead,",
       "multiply_sides(tile, r, &panels, i - first, &ahead,"},
      {"deep pairs from the start again", "x86-avx2", "src/conv_pairs_avx2.h",
       "3 * c, c, 0, begin, count", "3 * c, c, 0, 0, count"},
      {"rows of the first channels only", "x86-avx2", "src/conv_few_avx2.h",
       "tile->rows[i], tile->w + 4,", "tile->rows[i], tile->w,"},
      {"a column too few on the right", "x86-avx2", "src/depthwise_avx2.c",
       "ix < 0 || ix >= width", "ix < 0 || ix > width"},
      {"pairs beyond the right edge", "x86-avx2", "src/depthwise_avx2.c",
       "(count < p->w - ix ? count : p->w - ix) / 2", "count / 2"},
      {"odd positions forgotten", "x86-avx2", "src/depthwise_avx2.c",
       "  for (; count > 0; ++ix, --count, y += channels) {",
       "  for (; count > 1; ++ix, --count, y += channels) {"},
      {"sums beyond 16 bits", "aarch64", "src/sums.h", "#define QRT_SUM_SEGMENT 256",
       "#define QRT_SUM_SEGMENT 512"},
      {"a segment's columns from the first on", "aarch64", "src/sums_neon.c",
       "x + r * box->row_step + c * box->col_step", "x + r * box->row_step"},
      {"clipped windows finished as whole ones", "aarch64", "src/sums.h",
       "now != entry || box.rows * box.cols != pixels", "now != entry"},
      {"one scale for all windows", "aarch64", "src/sums.h",
       "now != entry || box.rows * box.cols != pixels", "box.rows * box.cols != pixels"},
      {"the last channels forgotten", "aarch64", "src/sums_neon.c",
       "for (; i < channels; i += 16)", "for (; i + 16 <= channels; i += 16)"},
      {"channels beyond the last sixteen", "aarch64", "src/sums_neon.c",
       "if (i + 16 > channels) i = channels - 16;", ""},
      {"sums scaled up wrap", "aarch64", "src/sums_neon.c", "vqshlq_s32", "vshlq_s32"},
      {"eight channels twice", "armv7-neon", "src/sums_neon.c", "vget_high_s8(pixel)",
       "vget_low_s8(pixel)"},
      {"the third quarter of a table by another's index", "aarch64", "src/lut_neon.c",
       "entries, third, codes", "entries, third, index"},
      {"windows from the first row on", "portable", "src/parallel.c",
       "  p.row_start += row.begin;\n", ""},
      {"scales from the first row on", "portable", "src/parallel.c",
       "moved(job->which, positions * p.which_bytes)", "job->which"},
      {"a part of a mean from the start", "portable", "src/parallel.c",
       "moved(job->x, begin * (size_t)p.kept_stride[job->axis] * p.x_bytes)", "job->x"},
      {"sums beyond 16 bits", "x86-avx2", "src/sums.h", "#define QRT_SUM_SEGMENT 256",
       "#define QRT_SUM_SEGMENT 512"},
      {"the last channels forgotten", "x86-avx2", "src/sums_avx2.c",
       "for (; i < channels; i += 16)", "for (; i + 16 <= channels; i += 16)"},
      {"sums scaled up wrap", "x86-avx2", "src/uniform_avx2.h",
       "acc, _mm256_srav_epi32(most, u->left)", "acc, most"},
      {"great shifts the short way", "x86-avx2", "src/uniform_avx2.h",
       "left <= 20 && count <= (size_t)1 << (20 - left) && ", ""},
      {"sixteen codes twice", "x86-avx2", "src/rescale_avx2.c", "x + i + 16", "x + i"},
      {"a half of a table not begun anew", "x86-avx2", "src/lut_avx2.c", "i == 8 ? row",
       "i == 16 ? row"},
  };
}

TEST_CASE("the driver notices planted faults") {
  const std::vector<Target> all = targets();
  for (const Fault& fault : faults()) {
    const auto target = std::find_if(all.begin(), all.end(), [&fault](const Target& t) {
      return t.name == fault.target;
    });
    const std::string reason =
        target == all.end() ? "not a target of this machine" : obstacle(*target);
    if (!reason.empty()) {
      WARN("not tested: " << fault.name << " on " << fault.target << ": " << reason);
      continue;
    }
    TempFolder folder;
    fs::copy(kSource / "runtime", folder.path(), fs::copy_options::recursive);
    std::string text = read_text(folder.path() / fault.file);
    const std::size_t at = text.find(fault.text);
    INFO(fault.name << " on " << fault.target);
    REQUIRE(at != std::string::npos);
    text.replace(at, fault.text.size(), fault.replacement);
    write_text(folder.path() / fault.file, text);
    Target quick = *target;
    quick.flags.push_back("-O1");
    const bool is_native = target->runner.empty();
    const int usual = is_native ? 200 : 80;
    const Outcome outcome =
        drive(quick, folder.path(), fault.cases > 0 ? fault.cases : usual);
    INFO(outcome.output);
    CHECK(outcome.exit_code != 0);
    const bool told = outcome.output.find("DIFFERENCE") != std::string::npos ||
                      outcome.output.find("OUT OF BOUNDS") != std::string::npos;
    CHECK(told);
  }
}

// The targets above compile with warnings as errors as well; these are the other ends.
TEST_CASE("the runtime compiles freestanding, optimised and not") {
  const std::vector<std::vector<std::string>> compilers = {
      {"gcc", "-O0", "-ffreestanding"},
      {"clang", "-O3", "-ffreestanding"},
      {"clang-19", "-O2", "-ffreestanding"},
  };
  for (const std::vector<std::string>& compiler : compilers) {
    if (!on_path(compiler[0])) {
      WARN("not tested: " << compiler[0] << " is not installed");
      continue;
    }
    TempFolder folder;
    for (const std::string& source : files_in(kSource / "runtime/src", ".c")) {
      std::vector<std::string> command = compiler;
      command.insert(command.end(), kStrict.begin(), kStrict.end());
      command.insert(command.end(), {"-Wmissing-prototypes", "-I",
                                     (kSource / "runtime/include").string(), "-c", "-o",
                                     (folder.path() / "object.o").string(), source});
      const Outcome outcome = run(command);
      INFO(compiler[0] << " " << compiler[1] << " " << source << "\n" << outcome.output);
      CHECK(outcome.exit_code == 0);
    }
  }
}

TEST_CASE("the portable runtime needs nothing but memcpy and memset") {
  if (!on_path("gcc") || !on_path("nm")) {
    WARN("not tested: gcc or nm is not installed");
    return;
  }
  TempFolder folder;
  const std::string object = (folder.path() / "all.o").string();
  std::vector<std::string> command = {"gcc",
                                      "-O2",
                                      "-r",
                                      "-nostdlib",
                                      "-fno-pie",
                                      "-std=c99",
                                      "-DQRT_FORCE_PORTABLE",
                                      "-fno-stack-protector",
                                      "-I",
                                      (kSource / "runtime/include").string(),
                                      "-o",
                                      object};
  for (const std::string& file : files_in(kSource / "runtime/src", ".c")) {
    command.push_back(file);
  }
  const Outcome linked = run(command);
  INFO(linked.output);
  REQUIRE(linked.exit_code == 0);
  const Outcome undefined = run({"nm", "-u", object});
  REQUIRE(undefined.exit_code == 0);
  std::istringstream lines(undefined.output);
  for (std::string kind, symbol; lines >> kind >> symbol;) {
    INFO(symbol);
    const bool allowed = symbol == "memcpy" || symbol == "memset";
    CHECK(allowed);
  }
}

}  // namespace
}  // namespace qopt::test
