/* SPDX-License-Identifier: MIT
 * The hook of qrt/parallel.h on POSIX threads: a pool that waits between layers.
 * Optional; compile qrt_pthreads.c with the model and link with -pthread. */
#ifndef QRT_PTHREADS_H
#define QRT_PTHREADS_H

#include <pthread.h>

#include "qrt/parallel.h"

typedef struct qrt_pthreads qrt_pthreads;
typedef struct {
  qrt_pthreads* pool;
  int32_t index; /* its part */
  pthread_t thread;
} qrt_pthreads_worker;

struct qrt_pthreads {
  qrt_parallel parallel; /* what NAME_run_parallel takes; first member */
  pthread_mutex_t mutex;
  pthread_cond_t begin, end;
  /* Under the mutex: */
  qrt_part_fn* part;
  void* job;
  int32_t parts;
  int32_t running;  /* workers that have not returned */
  uint32_t layer;   /* counts calls of run */
  int32_t stopping; /* 1: workers end */
  qrt_pthreads_worker workers[QRT_MAX_THREADS];
};

/* Starts threads - 1 workers; the caller's own thread is the other one. 0, or the error
 * number of POSIX; then nothing runs. The pool must not move until it is stopped, and
 * serves one inference at a time. */
int qrt_pthreads_start(qrt_pthreads* pool, int32_t threads);
void qrt_pthreads_stop(qrt_pthreads* pool);

#endif /* QRT_PTHREADS_H */
