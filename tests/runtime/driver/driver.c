/* SPDX-License-Identifier: MIT
 * Checks every kernel that this build has against loops written from docs/numerics.md.
 * Reads nothing; the numbers come from one seed. kernels_driver [cases] [seed] Exit 0:
 * all equal; 1: a difference; 3: a kernel touched memory that is not its own. */
#define _GNU_SOURCE
#include "driver.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qrt/qrt.h"

/* ------------------------------------------------------------------- the integer meaning
 */

int64_t clamp64(int64_t x, int64_t lo, int64_t hi) {
  return x < lo ? lo : x > hi ? hi : x;
}

static int64_t sat32(int64_t x) { return clamp64(x, INT32_MIN, INT32_MAX); }

static int64_t power(int n) { return (int64_t)1 << n; }

/* floor(x / 2^n), by division. */
static int64_t floor_power(int64_t x, int n) {
  const int64_t d = power(n);
  return x / d - (x % d < 0 ? 1 : 0);
}

int64_t shift_right_meaning(int64_t x, int n) {
  return n == 0 ? x : floor_power(x + power(n - 1), n);
}

static int64_t requant32(int64_t acc, int64_t multiplier, int shift) {
  const int64_t left = shift > 0 ? sat32(acc * power(shift)) : acc;
  const int64_t high = sat32(floor_power(left * multiplier + power(30), 31));
  return shift > 0 ? high : shift_right_meaning(high, -shift);
}

/* floor((acc * m + 2^(30-s)) / 2^(31-s)) with numbers a * 2^31 + b, 0 <= b < 2^31. */
static int64_t requant64(int64_t acc, int64_t multiplier, int shift) {
  const int n = 31 - shift;
  int64_t a = floor_power(acc, 31) * multiplier;
  int64_t b = (acc - floor_power(acc, 31) * power(31)) * multiplier;
  a += floor_power(b, 31);
  b -= floor_power(b, 31) * power(31);
  if (n - 1 >= 31) {
    a += power(n - 1 - 31);
  } else {
    b += power(n - 1);
    a += floor_power(b, 31);
    b -= floor_power(b, 31) * power(31);
  }
  if (n >= 31) return sat32(floor_power(a, n - 31));
  if (a > power(32)) return INT32_MAX;
  if (a < -power(32)) return INT32_MIN;
  return sat32(a * power(31 - n) + b / power(n));
}

int64_t requant_meaning(int64_t acc, int64_t multiplier, int shift, int acc64) {
  return acc64 ? requant64(acc, multiplier, shift) : requant32(acc, multiplier, shift);
}

int64_t finish_meaning(int64_t y, int64_t zero, int64_t lo, int64_t hi) {
  return clamp64(sat32(y + zero), lo, hi);
}

int64_t div_round_meaning(int64_t num, int64_t den) {
  const int negative = (num < 0) != (den < 0);
  const int64_t n = num < 0 ? -num : num, d = den < 0 ? -den : den;
  const int64_t q = n / d + (n % d >= d - n % d ? 1 : 0);
  return negative ? -q : q;
}

int64_t over_root_meaning(int64_t num, uint64_t v) {
  uint64_t scaled = v, low = 0, high = (uint64_t)1 << 31;
  int f = 0;
  if (v == 0) return 0;
  while (scaled * 4 < (uint64_t)1 << 62) {
    scaled *= 4;
    ++f;
  }
  while (high - low > 1) { /* low^2 <= scaled < high^2 */
    const uint64_t middle = (low + high) / 2;
    if (middle * middle <= scaled) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return sat32(div_round_meaning(num * power(15 + f), (int64_t)low));
}

/* --------------------------------------------------------------------- seeded numbers */

uint64_t driver_state = 1;

int64_t requant_sum_meaning(int64_t sum, int64_t bias, int64_t multiplier, int shift,
                            int acc64) {
  const int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : shift;
  return requant_meaning(sum * power(left) + bias, multiplier, right, acc64);
}

int32_t provable_shift(int32_t shift, int64_t greatest, int acc64) {
  while (shift > 0 && greatest > power(acc64 ? 60 : 30) / power(shift)) --shift;
  return shift;
}

/* xorshift64*, Vigna 2016. */
uint64_t next_random(void) {
  driver_state ^= driver_state >> 12;
  driver_state ^= driver_state << 25;
  driver_state ^= driver_state >> 27;
  return driver_state * 2685821657736338717u;
}

int32_t pick(int32_t lo, int32_t hi) {
  const uint64_t span = (uint64_t)((int64_t)hi - lo) + 1;
  return (int32_t)(lo + (int64_t)((next_random() >> 16) % span));
}

int32_t pick_channels(void) {
  static const int32_t channels[7] = {1, 3, 7, 16, 17, 33, 64};
  return channels[pick(0, 6)];
}

void pick_scale(int bits, int out_bits, int32_t* multiplier, int32_t* shift) {
  const int32_t usual = out_bits - bits + pick(0, 2);
  *multiplier = pick(1 << 30, INT32_MAX);
  *shift = (int32_t)clamp64(usual, -31, 30);
  switch (pick(0, 11)) {
    case 0: *multiplier = 1 << 30; break;
    case 1: *multiplier = INT32_MAX; break;
    case 2: *multiplier = 0; break;
    case 3: *shift = pick(-31, 30); break;
    case 4:
      *multiplier = 1 << 30;
      *shift = pick(-4, 0);
      break;
    case 5: /* the least that lowering gives, whatever it does to the result */
      *multiplier >>= 12;
      if (*shift < 0) *shift = 0;
      break;
    default:
      /* As lowering folds short right shifts into the multiplier. */
      if (*shift < 0 && *shift >= -8 && pick(0, 1) == 0) {
        *multiplier >>= -*shift;
        *shift = 0;
      }
      break;
  }
}

/* ------------------------------------------------------------------- guarded buffers */

enum { kMaxMaps = 128 };
static struct {
  void* base;
  size_t bytes;
} maps[kMaxMaps];
static size_t map_count;

static void* map_guarded(size_t bytes, int at_end, size_t alignment) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t inside = (bytes + page - 1) / page * page + (bytes == 0 ? page : 0);
  uint8_t* base = (uint8_t*)mmap(NULL, inside + 2 * page, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED || map_count == kMaxMaps) {
    fprintf(stderr, "out of memory or maps\n");
    exit(2);
  }
  if (mprotect(base, page, PROT_NONE) != 0 ||
      mprotect(base + page + inside, page, PROT_NONE) != 0) {
    perror("mprotect");
    exit(2);
  }
  maps[map_count].base = base;
  maps[map_count++].bytes = inside + 2 * page;
  return base + page + (at_end ? (inside - bytes) / alignment * alignment : 0);
}

void* guarded(size_t bytes) { return map_guarded(bytes, map_count % 2 == 0, 1); }

void* guarded_scratch(size_t bytes) {
  static unsigned calls;
  return map_guarded(bytes, calls++ % 3 != 0, 16);
}

int32_t code_min_of(int bytes) { return bytes == 1 ? INT8_MIN : INT16_MIN; }
int32_t code_max_of(int bytes) { return bytes == 1 ? INT8_MAX : INT16_MAX; }

code_mode pick_mode(void) {
  const int32_t i = pick(0, 7);
  return i == 0 ? ALL_MINIMUM : i <= 2 ? EXTREME_CODES : RANDOM_CODES;
}

static int32_t random_code(int32_t lo, int32_t hi, code_mode mode) {
  if (mode == ALL_MINIMUM) return lo;
  if (mode == EXTREME_CODES) return pick(0, 1) ? lo : hi;
  return pick(lo, hi);
}

void* random_codes(size_t count, int bytes, int32_t lo, int32_t hi, code_mode mode) {
  void* codes = guarded(count * (size_t)bytes);
  size_t i;
  for (i = 0; i < count; ++i) {
    const int32_t code = random_code(lo, hi, mode);
    if (bytes == 1) {
      ((int8_t*)codes)[i] = (int8_t)code;
    } else if (bytes == 2) {
      ((int16_t*)codes)[i] = (int16_t)code;
    } else {
      ((int32_t*)codes)[i] = code;
    }
  }
  return codes;
}

int32_t code_at(const void* codes, size_t index, int bytes) {
  if (bytes == 1) return ((const int8_t*)codes)[index];
  if (bytes == 2) return ((const int16_t*)codes)[index];
  return ((const int32_t*)codes)[index];
}

int32_t* random_weights(size_t rows, size_t row_length, int bits, int odd,
                        code_mode mode) {
  const int32_t limit = 1 << (bits - 1);
  int32_t* codes = (int32_t*)random_codes(rows * row_length, 4, -limit, limit - 1, mode);
  size_t i;
  if (odd) {
    for (i = 0; i < rows * row_length; ++i) codes[i] = 2 * codes[i] + 1;
  }
  return codes;
}

void* pack_weights(const int32_t* codes, size_t rows, size_t row_length, int bits,
                   int odd) {
  const size_t row_bytes = (row_length * (size_t)bits + 7) / 8;
  uint8_t* packed = (uint8_t*)guarded(rows * row_bytes);
  size_t row, i;
  int bit;
  for (row = 0; row < rows; ++row) {
    for (i = 0; i < row_length; ++i) {
      for (bit = 0; bit < bits; ++bit) {
        const size_t at = i * (size_t)bits + (size_t)bit;
        const int32_t code = codes[row * row_length + i];
        const int32_t field = odd ? (code + (1 << bits) - 1) / 2 : code;
        const uint32_t value = (uint32_t)field >> bit & 1u;
        packed[row * row_bytes + at / 8] |= (uint8_t)(value << at % 8);
      }
    }
  }
  return packed;
}

/* ---------------------------------------------------------------------------- threads */

static void run_backwards(qrt_parallel* self, qrt_part_fn* part, void* job,
                          int32_t parts) {
  if (parts < 2 || parts > self->threads) {
    printf("DIFFERENCE %d parts for %d threads\n", parts, self->threads);
    ++driver_failures;
  }
  while (parts > 0) part(job, --parts);
}

static qrt_parallel backwards = {2, run_backwards};
static qrt_team team;

const qrt_team* random_team(void) {
  backwards.threads = pick(2, 9);
  team.parallel = &backwards;
  team.least_work = 1;
  give_scratch(0);
  return &team;
}

void give_scratch(size_t step) {
  team.scratch_step = (step + 63) / 64 * 64;
  team.scratch = (uint8_t*)guarded_scratch(team.scratch_step * (size_t)backwards.threads);
}

/* ------------------------------------------------------------------------- comparing */

size_t driver_comparisons, driver_failures;
static char case_text[512];
static const char* volatile running_kernel = "";

static const driver_row rows[] = {
#define QRT_KERNEL(op, types, isa, symbol) \
  QRT_IF_##isa({#op "_" #types, #isa, (driver_fn*)symbol}, )
#include "qrt/kernels.inc"
#undef QRT_KERNEL
};
enum { kRows = sizeof rows / sizeof rows[0] };
static size_t row_comparisons[kRows];

const driver_row* next_row(const char* kernel, size_t* at) {
  while (*at < kRows) {
    const driver_row* row = &rows[(*at)++];
    if (strcmp(row->kernel, kernel) == 0) {
      running_kernel = row->kernel;
      return row;
    }
  }
  return NULL;
}

void begin_case(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(case_text, sizeof case_text, format, arguments);
  va_end(arguments);
}

void end_case(void) {
  while (map_count > 0) {
    --map_count;
    munmap(maps[map_count].base, maps[map_count].bytes);
  }
}

void compare(const driver_row* row, const void* got, int bytes, const int64_t* expected,
             size_t count) {
  size_t i;
  driver_comparisons += count;
  if (row >= rows && row < rows + kRows) row_comparisons[row - rows] += count;
  for (i = 0; i < count; ++i) {
    if (code_at(got, i, bytes) != expected[i]) {
      if (driver_failures++ == 0) {
        printf("DIFFERENCE %s isa %s, %s: element %zu is %d, expected %lld\n",
               row->kernel, row->isa, case_text, i, code_at(got, i, bytes),
               (long long)expected[i]);
      }
      return;
    }
  }
}

static void on_fault(int signal_number) {
  static const char text[] = "OUT OF BOUNDS in ";
  (void)signal_number;
  if (write(1, text, sizeof text - 1) < 0 ||
      write(1, running_kernel, strlen(running_kernel)) < 0 || write(1, ", ", 2) < 0 ||
      write(1, case_text, strlen(case_text)) < 0 || write(1, "\n", 1) < 0) {
    _exit(4);
  }
  _exit(3);
}

int main(int argc, char** argv) {
  const int cases = argc > 1 ? atoi(argv[1]) : 200;
  uint64_t seed = 1;
  size_t i, untested = 0;
#if QRT_HAS_avx2
  if (!__builtin_cpu_supports("avx2")) {
    printf("not tested: this processor has no AVX2\n");
    return 77;
  }
#endif
#if QRT_HAS_vpopcnt
  if (!__builtin_cpu_supports("avx512vpopcntdq") || !__builtin_cpu_supports("avx512vl")) {
    printf("not tested: this processor has no AVX-512 VPOPCNTDQ\n");
    return 77;
  }
#endif
#if QRT_HAS_vnni
  if (!__builtin_cpu_supports("avx512vnni")) {
    printf("not tested: this processor has no AVX-512 VNNI\n");
    return 77;
  }
#endif
  if (argc > 2) seed = (uint64_t)strtoull(argv[2], NULL, 10);
  driver_state = seed | 1u;
  signal(SIGSEGV, on_fault);
  signal(SIGBUS, on_fault);
  signal(SIGILL, on_fault);
  check_matrix_kernels(cases);
  /* Numbers of its own, whatever the kernels before drew. */
  driver_state = (seed * 0x9E3779B97F4A7C15u) | 1u;
  check_bitserial_kernels(cases);
  check_elementwise_kernels(cases);
  check_axis_kernels(cases);
  check_sum_kernels(cases);
  check_move_kernels(cases);
  check_blob_reader(cases);
  for (i = 0; i < kRows; ++i) {
    printf("%-22s %-8s %zu codes compared\n", rows[i].kernel, rows[i].isa,
           row_comparisons[i]);
    if (row_comparisons[i] == 0) ++untested;
  }
  /* The dispatch takes the last row of its kernel. */
  if (qrt.conv2d_s8 !=
      (qrt_conv2d_fn*)rows[QRT_HAS_c + QRT_HAS_avx2 + QRT_HAS_vnni + QRT_HAS_armv7 +
                           QRT_HAS_neon + QRT_HAS_dotprod + QRT_HAS_i8mm - 1]
          .fn) {
    printf("DIFFERENCE the dispatch of conv2d_s8 is not the best variant\n");
    ++driver_failures;
  }
  printf(
      "%d variants, %zu codes compared, %zu differences, %zu variants without a check\n",
      (int)kRows, driver_comparisons, driver_failures, untested);
  return driver_failures != 0 || untested != 0 ? 1 : 0;
}
