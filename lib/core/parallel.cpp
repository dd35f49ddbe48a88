// SPDX-License-Identifier: MIT
#include "lib/core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/core/interrupt.h"

namespace qopt {

int default_threads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_for(std::int64_t count, int threads,
                  const std::function<void(std::int64_t, int)>& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      throw_if_interrupted();
      body(i, 0);
    }
    return;
  }
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::exception_ptr failure;
  std::int64_t failed_item = count;
  const auto work = [&](int worker) {
    while (!stop.load(std::memory_order_relaxed)) {
      const std::int64_t item = next.fetch_add(1);
      if (item >= count) return;
      try {
        throw_if_interrupted();
        body(item, worker);
      } catch (...) {
        // Items are handed out in order, so the lowest failing item always runs: keeping
        // the lowest makes the error independent of scheduling.
        const std::lock_guard lock(mutex);
        stop.store(true);
        if (item < failed_item) {
          failed_item = item;
          failure = std::current_exception();
        }
      }
    }
  };
  std::vector<std::thread> pool;
  const int workers = static_cast<int>(std::min<std::int64_t>(threads, count));
  for (int worker = 1; worker < workers; ++worker) pool.emplace_back(work, worker);
  work(0);
  for (std::thread& thread : pool) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace qopt
