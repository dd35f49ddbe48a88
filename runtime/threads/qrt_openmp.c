/* SPDX-License-Identifier: MIT
 * The hook on OpenMP: one iteration a part. */
#include "qrt_openmp.h"

static void qrt_openmp_run(qrt_parallel* self, qrt_part_fn* part, void* job,
                           int32_t parts) {
  int32_t i;
  (void)self;
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads((int)parts)
#endif
  for (i = 0; i < parts; ++i) part(job, i);
}

void qrt_openmp_init(qrt_parallel* parallel, int32_t threads) {
  parallel->threads = threads;
  parallel->run = qrt_openmp_run;
}
