// SPDX-License-Identifier: MIT
// Any bytes as a graph's text: an Error or a graph that verifies or not, prints, and
// reads back to the same text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/graph/text.h"
#include "lib/graph/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const qopt::Graph graph = qopt::parse(text, {}, true, 1 << 20);
    qopt::verify(graph);
    const std::string printed = qopt::print(graph);
    if (qopt::print(qopt::parse(printed, qopt::constants_of(graph))) != printed)
      std::abort();
  } catch (const qopt::Error&) {
  }
  return 0;
}
