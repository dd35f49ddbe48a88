// SPDX-License-Identifier: MIT
// parallel_for: independent items over a few threads. Results must not depend on which
// thread runs which item; only the caller's storage per item or an order-free merge may
// be written.
#pragma once

#include <cstdint>
#include <functional>

namespace qopt {

/// Calls body(i, worker) once for each i in [0, count), worker in [0, threads). With
/// threads <= 1 all calls run on the calling thread in order. The exception thrown by the
/// lowest item is rethrown after all threads have ended; items after a failure may not
/// run. Polls interruption (interrupt.h) between items and throws Error(Interrupted)
/// then.
void parallel_for(std::int64_t count, int threads,
                  const std::function<void(std::int64_t item, int worker)>& body);

/// Hardware threads, at least 1.
int default_threads();

}  // namespace qopt
