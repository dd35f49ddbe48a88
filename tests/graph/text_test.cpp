// SPDX-License-Identifier: MIT
#include "lib/graph/text.h"

#include "lib/graph/verify.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

constexpr std::string_view kSmall = R"(graph encoded
  #w : f32[2,3,3,3] {n8 axis 0 scale [0.1,0.02]}
  #b : f32[2]
  x : f32[1,3,8,8] {u8 scale [0.5] zero [128]} = input()
  conv : f32[1,2,8,8] = conv2d(x, #w, #b; pads=[1,1,1,1]) @ "net.py:3 \"conv\""
  relu : f32[1,2,8,8] {u8 scale [0.25]} = clamp(conv)
  -> logits = relu
)";

TEST_CASE("print and parse are exact inverses") {
  const Graph graph = parse(kSmall, {}, true);
  CHECK(print(graph) == kSmall);
  CHECK(verify(graph).empty());
}

}  // namespace
}  // namespace qopt
