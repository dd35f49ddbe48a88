/* SPDX-License-Identifier: MIT
 * N27 on one code and on runs of codes of any width. */
#ifndef QRT_SRC_RESCALE_H
#define QRT_SRC_RESCALE_H

#include "codes.h"
#include "qrt/qrt.h"

/* Codes [first, count). */
static inline void rescale_codes(const qrt_rescale_params* p, const void* x, void* y,
                                 size_t first, size_t count) {
  size_t i;
  for (i = first; i < count; ++i) {
    const int32_t q =
        qrt_requant(qrt_load(x, i, p->x_bytes) - p->x_zero, p->multiplier, p->shift);
    qrt_store(y, i, p->y_bytes, qrt_finish(q, p->y_zero, p->lo, p->hi));
  }
}

#endif /* QRT_SRC_RESCALE_H */
