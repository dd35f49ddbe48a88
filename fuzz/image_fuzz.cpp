// SPDX-License-Identifier: MIT
// Any bytes as a JPEG or PNG file: a picture or an Error, never a crash.
#include <cstddef>
#include <cstdint>

#include "lib/core/error.h"
#include "lib/data/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  try {
    qopt::data::decode_image({bytes, size}, "fuzz");
  } catch (const qopt::Error&) {
  }
  return 0;
}
