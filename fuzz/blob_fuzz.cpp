// SPDX-License-Identifier: MIT
// Fuzz target: the host's blob reader must end in an Error or in sound constants for any
// bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/core/error.h"
#include "lib/export/blob.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    (void)qopt::emit::read_constants({reinterpret_cast<const char*>(data), size});
  } catch (const qopt::Error&) {
    // Refused, as most inputs must be.
  }
  return 0;
}
