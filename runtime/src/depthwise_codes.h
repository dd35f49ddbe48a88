/* SPDX-License-Identifier: MIT
 * What the depthwise kernels share that keep weights as int8 and read a line of x_zero
 * for taps outside x: scratch, and the zero point folded into the bias for all taps
 * alike. Knows no instruction set.
 *
 * The including file says what a lane is (unpack.h) and defines
 *   QRT_CODE_OFFSET  what its multiplication adds to every code of x */
#ifndef QRT_SRC_DEPTHWISE_CODES_H
#define QRT_SRC_DEPTHWISE_CODES_H

#include <string.h>

#include "qrt/qrt.h"
#include "unpack.h"

typedef struct {
  const qrt_conv2d_params* p;
  const int32_t* multiplier;
  /* Scratch: */
  int32_t *base, *shift; /* [c] */
  int8_t* taps;          /* [kh * kw][c] */
  int8_t* zeros;         /* [c] of x_zero */
  int32_t begin, end;    /* positions of an output row whose windows lie inside x from
                            left to right */
} qrt_depthwise_job;

static void find_inner(qrt_depthwise_job* job) {
  const qrt_conv2d_params* p = job->p;
  const int32_t reach = (p->kw - 1) * p->dilation_w;
  int32_t begin = 0, end = p->ow;
  while (begin < p->ow && begin * p->stride_w < p->pad_left) ++begin;
  while (end > begin && (end - 1) * p->stride_w - p->pad_left + reach >= p->w) --end;
  job->begin = begin;
  job->end = end;
}

static qrt_depthwise_job prepare_job(const qrt_conv2d_params* p, const void* w,
                                     const int32_t* bias, const int32_t* multiplier,
                                     const int8_t* shift, void* scratch) {
  const size_t count = (size_t)p->kh * (size_t)p->kw, channels = (size_t)p->c;
  const size_t row_bytes = qrt_row_bytes(count, p->weight_bits);
  const uint32_t zero = (uint32_t)(p->x_zero + QRT_CODE_OFFSET);
  qrt_depthwise_job job;
  size_t c, t, done;
  job.p = p;
  job.multiplier = multiplier;
  job.base = (int32_t*)scratch;
  job.shift = job.base + channels;
  job.zeros = (int8_t*)(job.shift + channels);
  job.taps = job.zeros + channels;
  memset(job.zeros, (uint8_t)p->x_zero, channels);
  for (c = 0; c < channels; ++c) {
    const uint8_t* row = (const uint8_t*)w + c * row_bytes;
    const int left = shift[c] > 0 ? shift[c] : 0;
    int8_t* taps = job.taps + c;
    int32_t sum = 0; /* at most QRT_DEPTHWISE_TAPS codes */
    if (p->weight_bits == 8) {
      for (t = 0; t < count; ++t, taps += channels) {
        *taps = (int8_t)row[t];
        sum += *taps;
      }
    } else {
      qrt_lane eight[8];
      for (done = 0; done < count; done += 8) {
        const size_t some = count - done < 8 ? count - done : 8;
        qrt_unpack_row(eight, row + done / 8 * p->weight_bits, some, p->weight_bits,
                       p->odd_weights, 0);
        for (t = 0; t < some; ++t, taps += channels) {
          *taps = (int8_t)eight[t];
          sum += *taps;
        }
      }
    }
    job.shift[c] = shift[c];
    job.base[c] = (int32_t)((uint32_t)bias[c] - ((zero * (uint32_t)sum) << left));
  }
  find_inner(&job);
  return job;
}

#endif /* QRT_SRC_DEPTHWISE_CODES_H */
