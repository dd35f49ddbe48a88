/* SPDX-License-Identifier: MIT
 * The hook on POSIX threads. Part i is always worker i's, so that a core finds the rows
 * of the layer before in its own cache. */
#include "qrt_pthreads.h"

#include <errno.h>
#include <string.h>

static void* qrt_pthreads_work(void* argument) {
  const qrt_pthreads_worker* worker = (const qrt_pthreads_worker*)argument;
  qrt_pthreads* pool = worker->pool;
  uint32_t seen = 0;
  pthread_mutex_lock(&pool->mutex);
  for (;;) {
    while (pool->layer == seen && !pool->stopping) {
      pthread_cond_wait(&pool->begin, &pool->mutex);
    }
    if (pool->stopping) break;
    seen = pool->layer;
    if (worker->index >= pool->parts) continue;
    {
      qrt_part_fn* part = pool->part;
      void* job = pool->job;
      pthread_mutex_unlock(&pool->mutex);
      part(job, worker->index);
      pthread_mutex_lock(&pool->mutex);
    }
    if (--pool->running == 0) pthread_cond_signal(&pool->end);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

static void qrt_pthreads_run(qrt_parallel* self, qrt_part_fn* part, void* job,
                             int32_t parts) {
  qrt_pthreads* pool = (qrt_pthreads*)(void*)self;
  pthread_mutex_lock(&pool->mutex);
  pool->part = part;
  pool->job = job;
  pool->parts = parts;
  pool->running = parts - 1;
  ++pool->layer;
  pthread_cond_broadcast(&pool->begin);
  pthread_mutex_unlock(&pool->mutex);
  part(job, 0);
  pthread_mutex_lock(&pool->mutex);
  while (pool->running > 0) pthread_cond_wait(&pool->end, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

/* Ends workers 1 .. threads - 1 and what they wait on. */
static void qrt_pthreads_end(qrt_pthreads* pool, int32_t threads) {
  int32_t i;
  pthread_mutex_lock(&pool->mutex);
  pool->stopping = 1;
  pthread_cond_broadcast(&pool->begin);
  pthread_mutex_unlock(&pool->mutex);
  for (i = 1; i < threads; ++i) pthread_join(pool->workers[i].thread, NULL);
  pthread_cond_destroy(&pool->end);
  pthread_cond_destroy(&pool->begin);
  pthread_mutex_destroy(&pool->mutex);
}

int qrt_pthreads_start(qrt_pthreads* pool, int32_t threads) {
  int error;
  int32_t i;
  if (threads < 1 || threads > QRT_MAX_THREADS) return EINVAL;
  memset(pool, 0, sizeof *pool);
  pool->parallel.threads = threads;
  pool->parallel.run = qrt_pthreads_run;
  error = pthread_mutex_init(&pool->mutex, NULL);
  if (error != 0) return error;
  error = pthread_cond_init(&pool->begin, NULL);
  if (error != 0) {
    pthread_mutex_destroy(&pool->mutex);
    return error;
  }
  error = pthread_cond_init(&pool->end, NULL);
  if (error != 0) {
    pthread_cond_destroy(&pool->begin);
    pthread_mutex_destroy(&pool->mutex);
    return error;
  }
  for (i = 1; i < threads; ++i) {
    qrt_pthreads_worker* worker = &pool->workers[i];
    worker->pool = pool;
    worker->index = i;
    error = pthread_create(&worker->thread, NULL, qrt_pthreads_work, worker);
    if (error != 0) {
      qrt_pthreads_end(pool, i);
      return error;
    }
  }
  return 0;
}

void qrt_pthreads_stop(qrt_pthreads* pool) {
  qrt_pthreads_end(pool, pool->parallel.threads);
}
