// SPDX-License-Identifier: MIT
#include "lib/ptq/signs.h"

#include "tests/ptq/support.h"

namespace qopt::ptq {
namespace {

TEST_CASE("signs follow from the operators, not from the samples") {
  const Graph graph =
      graph_of(R"(graph canonical
  #plus : f32[1,4]
  #mixed : f32[1,4]
  #w : f32[4,4]
  x : f32[1,4] = input()
  relu = clamp(x)
  band = clamp(x; lo=-1, hi=1)
  sum = binary(relu, #plus)
  shifted = binary(relu, #mixed)
  less = binary(relu, #plus; kind=sub)
  moved = reshape(sum; shape=[4])
  padded = pad(sum; before=[0,1], after=[0,0], value=-1)
  sig = unary(x; kind=sigmoid)
  silu = unary(relu; kind=silu)
  neg = unary(relu; kind=neg)
  blend = unary(relu; kind=interpolated_gelu, a=0.5, b=1, c=0.1)
  far = unary(relu; kind=interpolated_gelu, a=3, b=1)
  hard = unary(x; kind=interpolated_silu, b=1)
  half = unary(x; kind=interpolated_silu, a=0.5, b=1)
  soft = softmax(x; axis=1)
  fc = linear(relu, #w)
  -> a = band
  -> b = shifted
  -> c = less
  -> d = moved
  -> e = padded
  -> f = sig
  -> g = silu
  -> h = neg
  -> i = soft
  -> j = fc
  -> k = blend
  -> l = far
  -> m = hard
  -> n = half
)",
               {{"plus", Tensor::from(std::vector<float>{0, 1, 2, 3}, {1, 4})},
                {"mixed", Tensor::from(std::vector<float>{0, 1, -2, 3}, {1, 4})}});
  const std::vector<bool> known = never_negative(graph);
  const auto of = [&](const char* name) {
    return static_cast<bool>(known[graph.find(name)->index]);
  };
  for (const char* name :
       {"relu", "sum", "moved", "sig", "silu", "soft", "plus", "blend", "hard"}) {
    INFO(name);
    CHECK(of(name));
  }
  for (const char* name :
       {"x", "band", "shifted", "less", "padded", "neg", "fc", "mixed", "far", "half"}) {
    INFO(name);
    CHECK_FALSE(of(name));
  }
}

}  // namespace
}  // namespace qopt::ptq
