// SPDX-License-Identifier: MIT
// Any bytes as an IDX file, plain or gzip: an array or an Error, never a crash.
#include <cstddef>
#include <cstdint>

#include "lib/core/error.h"
#include "lib/data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    qopt::data::parse_idx({bytes, size}, "fuzz");
  } catch (const qopt::Error&) {
  }
  return 0;
}
