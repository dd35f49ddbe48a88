/* SPDX-License-Identifier: MIT
 * How the direct convolution kernels walk a layer: where the codes of an output position
 * lie, how many positions are worked on together, how much scratch that takes. A function
 * of the parameters alone, so that exporter and kernels agree. Included by qrt.h.
 *
 * The codes of one position are `segments` runs of `run` codes. Runs lie in x itself, in
 * a strip (a few rows of x with their padding), or one after another in gathered rows. */
#ifndef QRT_CONV_PLAN_H
#define QRT_CONV_PLAN_H

typedef enum { QRT_IN_PLACE, QRT_STRIP, QRT_GATHER } qrt_conv_mode;

typedef struct {
  qrt_conv_mode mode;
  size_t segments;
  size_t run;        /* codes of a segment */
  size_t length;     /* the same, filled up to a multiple of QRT_DEPTH_STEP */
  size_t pitch;      /* codes from one segment to the next */
  size_t block_rows; /* QRT_STRIP: output rows of a block */
  size_t block;      /* output positions of a block, at most */
  size_t strip_rows; /* QRT_STRIP: rows and columns of the strip */
  size_t strip_width;
  size_t codes;  /* codes of strip or gathered rows */
  int has_pairs; /* three columns of weights may be multiplied for two neighbours */
} qrt_conv_plan;

/* Output channels that one weight tile holds, at most, and positions of a block where
 * the parameters ask for no number (the strip's is a multiple of rows near it); gathered
 * rows are so many codes together then, or 64 rows. */
#define QRT_CONV_COLUMNS 16
#define QRT_CONV_POSITIONS 256
#define QRT_CONV_GATHERED 64
#define QRT_CONV_GATHERED_CODES 8192

/* Codes of a column of a 3x3 window, all rows, for which sums of two neighbours' products
 * fit 32 bits: two of 640 * 640 for two codes each (conv_pairs_avx2.h). */
#define QRT_CONV_PAIR_DEPTH 4096

static inline size_t qrt_round_up(size_t x, size_t step) {
  return (x + step - 1) / step * step;
}

/* True where every window lies inside x. */
static inline int qrt_conv_is_unpadded(const qrt_conv2d_params* p) {
  const int64_t bottom = (int64_t)(p->oh - 1) * p->stride_h - p->pad_top +
                         (int64_t)(p->kh - 1) * p->dilation_h;
  const int64_t right = (int64_t)(p->ow - 1) * p->stride_w - p->pad_left +
                        (int64_t)(p->kw - 1) * p->dilation_w;
  return p->pad_top <= 0 && p->pad_left <= 0 && bottom < p->h && right < p->w;
}

static inline qrt_conv_plan qrt_conv_plan_of(const qrt_conv2d_params* p) {
  const size_t channels = (size_t)(p->c / p->groups);
  const size_t depth = (size_t)p->kh * (size_t)p->kw * channels;
  const size_t rows = (size_t)p->oh, row = (size_t)p->ow;
  const size_t positions = (size_t)p->n * rows * row;
  const size_t most = p->block > 0 ? (size_t)p->block : QRT_CONV_POSITIONS;
  qrt_conv_plan plan;
  size_t blocks;
  plan.mode = QRT_GATHER;
  plan.segments = (size_t)p->kh;
  plan.run = (size_t)p->kw * channels;
  plan.length = qrt_round_up(plan.run, QRT_DEPTH_STEP);
  plan.block_rows = plan.strip_rows = plan.strip_width = plan.codes = 0;
  plan.has_pairs = 0;
  plan.pitch = (size_t)p->dilation_h * (size_t)p->w * channels;
  /* A run needs its kernel columns side by side; a short one wastes the vectors. */
  if (p->groups == 1 && (p->kw == 1 || p->dilation_w == 1) &&
      4 * plan.segments * plan.length <= 5 * qrt_round_up(depth, QRT_DEPTH_STEP)) {
    plan.mode =
        qrt_conv_is_unpadded(p) && plan.run == plan.length ? QRT_IN_PLACE : QRT_STRIP;
  }
  if (plan.mode == QRT_STRIP) {
    size_t strips = (rows * row + most / 2) / most;
    strips = strips < 1 ? 1 : strips > rows ? rows : strips;
    plan.block_rows = (rows + strips - 1) / strips;
    plan.block = plan.block_rows * row;
    plan.strip_rows = (plan.block_rows - 1) * (size_t)p->stride_h +
                      (size_t)(p->kh - 1) * (size_t)p->dilation_h + 1;
    plan.strip_width = (row - 1) * (size_t)p->stride_w + (size_t)p->kw;
    plan.pitch = (size_t)p->dilation_h * plan.strip_width * channels;
    /* The last run is read to the end of its last vector. */
    plan.codes = plan.strip_rows * plan.strip_width * channels + QRT_DEPTH_STEP;
    plan.has_pairs = p->kw == 3 && p->stride_w == 1 && row > 1 && p->weight_bits == 8 &&
                     channels % QRT_DEPTH_STEP == 0 &&
                     plan.segments * channels <= QRT_CONV_PAIR_DEPTH;
    return plan;
  }
  if (plan.mode == QRT_GATHER) {
    plan.segments = 1;
    plan.run = depth;
    plan.length = qrt_round_up(depth, QRT_DEPTH_STEP);
    plan.pitch = plan.length;
  }
  blocks = most;
  if (plan.mode == QRT_GATHER && p->block <= 0 &&
      QRT_CONV_GATHERED_CODES < blocks * plan.length) {
    blocks = QRT_CONV_GATHERED_CODES / plan.length;
    if (blocks < QRT_CONV_GATHERED) blocks = QRT_CONV_GATHERED;
  }
  blocks = (positions + blocks - 1) / blocks;
  plan.block = qrt_round_up((positions + blocks - 1) / blocks, 8);
  if (plan.mode == QRT_GATHER) plan.codes = plan.block * plan.length;
  return plan;
}

/* Bytes of scratch of the direct kernels: pointers and sums of the positions, the codes,
 * and a weight tile twice (unpacked, and as the panel the multiplication reads). */
static inline size_t qrt_conv_scratch_size(const qrt_conv2d_params* p) {
  const qrt_conv_plan plan = qrt_conv_plan_of(p);
  return qrt_round_up(plan.block * (8 + 4), 16) + qrt_round_up(plan.codes, 16) +
         2 * QRT_CONV_COLUMNS * plan.segments * plan.length;
}

#endif /* QRT_CONV_PLAN_H */
