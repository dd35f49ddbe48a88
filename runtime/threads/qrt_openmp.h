/* SPDX-License-Identifier: MIT
 * The hook of qrt/parallel.h on OpenMP. Optional; compile qrt_openmp.c with the model and
 * with -fopenmp (without it, parts run one after another). */
#ifndef QRT_OPENMP_H
#define QRT_OPENMP_H

#include "qrt/parallel.h"

/* Fills the hook; threads is 1..QRT_MAX_THREADS. */
void qrt_openmp_init(qrt_parallel* parallel, int32_t threads);

#endif /* QRT_OPENMP_H */
