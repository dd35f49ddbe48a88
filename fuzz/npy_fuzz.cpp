// SPDX-License-Identifier: MIT
// Any bytes as an NPY array and as an NPZ archive: arrays or an Error, never a crash.
#include <cstddef>
#include <cstdint>

#include "lib/core/error.h"
#include "lib/data/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    qopt::data::parse_npy({bytes, size}, "fuzz");
  } catch (const qopt::Error&) {
  }
  try {
    qopt::data::parse_npz({bytes, size}, "fuzz");
  } catch (const qopt::Error&) {
  }
  return 0;
}
