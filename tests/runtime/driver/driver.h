/* SPDX-License-Identifier: MIT
 * What the kernel checks share: seeded numbers, guarded buffers, the integer meaning
 * written a second time from docs/numerics.md, and the comparison. Uses nothing of
 * arith.h. */
#ifndef QOPT_TESTS_RUNTIME_DRIVER_H
#define QOPT_TESTS_RUNTIME_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "qrt/parallel.h"

/* ------------------------------------------------------------------- the integer meaning
 */
int64_t clamp64(int64_t x, int64_t lo, int64_t hi);
/* REQ of N18: N5, or N6 where acc64. */
int64_t requant_meaning(int64_t acc, int64_t multiplier, int shift, int acc64);
/* N19, then N5 or N6: a sum of products and its bias. */
int64_t requant_sum_meaning(int64_t sum, int64_t bias, int64_t multiplier, int shift,
                            int acc64);
/* The greatest shift up to `shift` that keeps sums up to `greatest` in magnitude, and
 * biases up to 2^20 of them, inside the accumulator. */
int32_t provable_shift(int32_t shift, int64_t greatest, int acc64);
/* N3 */
int64_t shift_right_meaning(int64_t x, int n);
/* N8 */
int64_t div_round_meaning(int64_t num, int64_t den);
/* N11: num / sqrt(v) in Q15, 0 where v is 0. */
int64_t over_root_meaning(int64_t num, uint64_t v);
/* N7 */
int64_t finish_meaning(int64_t y, int64_t zero, int64_t lo, int64_t hi);

/* --------------------------------------------------------------------- seeded numbers */
extern uint64_t driver_state;
uint64_t next_random(void);
/* Uniform in [lo, hi]. */
int32_t pick(int32_t lo, int32_t hi);
/* One of the channel counts that break vector loops: 1, 3, 7, 16, 17, 33, 64. */
int32_t pick_channels(void);
/* Multiplier and shift that bring numbers of `bits` bits to about `out_bits` bits;
 * sometimes an edge: multiplier 0, 2^30 (ties) or 2^31 - 1, the extreme shifts. */
void pick_scale(int bits, int out_bits, int32_t* multiplier, int32_t* shift);

/* ------------------------------------------------------------------- guarded buffers */
/* Memory whose neighbours on both sides cannot be touched. Placed against the page behind
 * it, or (every other buffer) against the page before it. Zero-filled; freed by end_case.
 */
void* guarded(size_t bytes);
/* As guarded, but starts at a multiple of 16 always; every third one lies against the
 * page before it. */
void* guarded_scratch(size_t bytes);

typedef enum { RANDOM_CODES, EXTREME_CODES, ALL_MINIMUM, CODE_MODES } code_mode;
code_mode pick_mode(void);
/* `count` codes in [lo, hi], stored as `bytes` wide. */
void* random_codes(size_t count, int bytes, int32_t lo, int32_t hi, code_mode mode);
int32_t code_at(const void* codes, size_t index, int bytes);
int32_t code_min_of(int bytes);
int32_t code_max_of(int bytes);
/* Codes in [-2^(bits-1), ...] or the odd ones in [-(2^bits-1), ...], one int32_t each,
 * and the same bit-packed by row. */
int32_t* random_weights(size_t rows, size_t row_length, int bits, int odd,
                        code_mode mode);
void* pack_weights(const int32_t* codes, size_t rows, size_t row_length, int bits,
                   int odd);

/* ---------------------------------------------------------------------------- threads */
/* A team of 2 to 9 threads that are none: parts run one after another, the last one
 * first, so that a part that wants what another one makes, or writes what another one
 * made, shows. Every layer is worth cutting. The same until end_case. */
const qrt_team* random_team(void);
/* Gives the team guarded scratch of `step` bytes a part, rounded up to 64. */
void give_scratch(size_t step);

/* ------------------------------------------------------------------------- comparing */
typedef void driver_fn(void);
typedef struct {
  const char* kernel; /* "conv2d_s8" */
  const char* isa;
  driver_fn* fn;
} driver_row;

/* The next variant of `kernel` in this build, from *at on; NULL at the end. */
const driver_row* next_row(const char* kernel, size_t* at);
/* Says which case runs, for messages; printf form. */
void begin_case(const char* format, ...);
void end_case(void);
/* Compares `count` codes with the oracle's; the first difference is printed. */
void compare(const driver_row* row, const void* got, int bytes, const int64_t* expected,
             size_t count);
extern size_t driver_comparisons, driver_failures;

void check_matrix_kernels(int cases);
void check_bitserial_kernels(int cases);
void check_elementwise_kernels(int cases);
void check_axis_kernels(int cases);
void check_sum_kernels(int cases);
void check_move_kernels(int cases);
void check_blob_reader(int cases);

#endif /* QOPT_TESTS_RUNTIME_DRIVER_H */
