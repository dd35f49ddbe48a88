// SPDX-License-Identifier: MIT
// Any bytes as CIFAR-10 records: images and labels or an Error, never a crash.
#include <cstddef>
#include <cstdint>

#include "lib/core/error.h"
#include "lib/data/cifar.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    qopt::data::parse_cifar({bytes, size}, "fuzz");
  } catch (const qopt::Error&) {
  }
  return 0;
}
