// SPDX-License-Identifier: MIT
#include "lib/core/interrupt.h"

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "lib/core/error.h"

namespace qopt {
namespace {

std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

void on_signal(int signal) {
  if (g_interrupted.exchange(true)) {
    // The user asked twice: leave without unwinding, with the shell's code for the
    // signal.
    std::_Exit(128 + signal);
  }
}

}  // namespace

void install_interrupt_handlers() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return g_interrupted.load(std::memory_order_relaxed); }
void set_interrupted(bool value) { g_interrupted.store(value); }

void throw_if_interrupted() {
  if (interrupted()) throw Error(ExitCode::Interrupted, "", "interrupted");
}

}  // namespace qopt
