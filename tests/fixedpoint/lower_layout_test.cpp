// SPDX-License-Identifier: MIT
// Layouts after lowering: which operators are left when permutes are absorbed, and that
// every byte is where the model says.
#include <map>

#include "tests/fixedpoint/lower_support.h"
#include "tests/support/catch.h"

namespace qopt {
namespace {

using test::first;
using test::graph_of;
using test::named;
using test::ops;

TEST_CASE("conv, flatten, linear: the weight's columns move, not the activations") {
  const Graph graph = graph_of(R"(graph encoded
  #w : f32[4,3,3,3] {n8 axis 0 scale [0.01,0.01,0.01,0.01]}
  #fw : f32[5,64] {n8 scale [0.01]}
  x : f32[2,3,4,4] {s8 scale [0.01]} = input()
  conv : f32[2,4,4,4] {s8 scale [0.1]} = conv2d(x, #w; pads=[1,1,1,1])
  flat : f32[2,64] {s8 scale [0.1]} = reshape(conv; shape=[2,64])
  fc : f32[2,5] {s8 scale [0.2]} = linear(flat, #fw)
  -> y = fc
)");
  const Graph integer = lower_to_integer(graph);
  CHECK(ops(integer) == "qconv2d reshape reshape qconv2d reshape");
  CHECK(named(integer, "x").layout == Ints{0, 2, 3, 1});
  CHECK(named(integer, "x").shape == Shape{2, 4, 4, 3});
  CHECK(named(integer, "conv").layout == Ints{0, 2, 3, 1});
  CHECK(named(integer, "fc").layout.empty());
  CHECK(named(integer, "fc").shape == Shape{2, 5});
  const Tensor& columns = *named(integer, "fw").constant;
  const Tensor codes = encode_tensor(*named(graph, "fw").constant,
                                     std::get<Affine>(*named(graph, "fw").encoding));
  // Column h * 16 + w * 4 + c of the result is column c * 16 + h * 4 + w of the model.
  for (std::int64_t o = 0; o < 5; ++o) {
    for (std::int64_t p = 0; p < 64; ++p) {
      const std::int64_t c = p % 4, h = p / 16, w = p / 4 % 4;
      REQUIRE(columns.integer_at(o * 64 + p) ==
              codes.integer_at(o * 64 + c * 16 + h * 4 + w));
    }
  }
}

TEST_CASE("a flattened map with another user moves for real") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[4,3,1,1] {n8 scale [0.01]}
  #fw : f32[5,64] {n8 scale [0.01]}
  x : f32[1,3,4,4] {s8 scale [0.01]} = input()
  conv : f32[1,4,4,4] {s8 scale [0.1]} = conv2d(x, #w)
  flat : f32[1,64] {s8 scale [0.1]} = reshape(conv; shape=[1,64])
  fc : f32[1,5] {s8 scale [0.2]} = linear(flat, #fw)
  -> y = fc
  -> z = flat
)"));
  CHECK(ops(integer) == "qconv2d permute reshape reshape qconv2d reshape");
  CHECK(named(integer, "flat").layout.empty());
}

TEST_CASE("a pooled map flattens for free") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #fw : f32[5,8] {n8 scale [0.01]}
  x : f32[2,8,4,4] {s8 scale [0.01]} = input()
  pool : f32[2,8,1,1] {s8 scale [0.01]} = adaptive_avg_pool2d(x)
  flat : f32[2,8] {s8 scale [0.01]} = reshape(pool; shape=[2,8])
  fc : f32[2,5] {s8 scale [0.2]} = linear(flat, #fw)
  -> y = fc
)"));
  CHECK(ops(integer) == "qavg_pool2d reshape reshape qconv2d reshape");
}

TEST_CASE("convnext block: permutes around layer norm and linears vanish") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #dw : f32[8,1,3,3] {n8 scale [0.01]}
  #g : f32[8]
  #b : f32[8]
  #w1 : f32[16,8] {n8 scale [0.01]}
  #w2 : f32[8,16] {n8 scale [0.01]}
  #scale : f32[8,1,1] {n8 scale [0.01]}
  x : f32[1,8,4,4] {s8 scale [0.01]} = input()
  conv : f32[1,8,4,4] {s8 scale [0.02]} = conv2d(x, #dw; pads=[1,1,1,1], groups=8)
  last : f32[1,4,4,8] {s8 scale [0.02]} = permute(conv; perm=[0,2,3,1])
  ln : f32[1,4,4,8] {s8 scale [0.03]} = layer_norm(last, #g, #b)
  up : f32[1,4,4,16] {s8 scale [0.05]} = linear(ln, #w1)
  gelu : f32[1,4,4,16] {s8 scale [0.05]} = unary(up; kind=gelu)
  down : f32[1,4,4,8] {s8 scale [0.05]} = linear(gelu, #w2)
  first : f32[1,8,4,4] {s8 scale [0.05]} = permute(down; perm=[0,3,1,2])
  scaled : f32[1,8,4,4] {s8 scale [0.05]} = binary(#scale, first; kind=mul)
  sum : f32[1,8,4,4] {s8 scale [0.05]} = binary(scaled, x; kind=add)
  -> y = sum
)"));
  CHECK(ops(integer) ==
        "qconv2d qlayer_norm reshape qconv2d reshape lut reshape qconv2d reshape qmul "
        "qadd");
  CHECK(named(integer, "scale").shape == Shape{1, 1, 1, 8});
  CHECK(named(integer, "sum").layout == Ints{0, 2, 3, 1});
}

TEST_CASE("squeeze and excitation: the gate broadcasts over N,H,W,C") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w1 : f32[2,8,1,1] {n8 scale [0.01]}
  #w2 : f32[8,2,1,1] {n8 scale [0.01]}
  x : f32[2,8,4,4] {s8 scale [0.01]} = input()
  pool : f32[2,8,1,1] {s8 scale [0.01]} = reduce(x; axes=[2,3], keepdim=true)
  c1 : f32[2,2,1,1] = conv2d(pool, #w1)
  relu : f32[2,2,1,1] {u8 scale [0.01]} = clamp(c1)
  c2 : f32[2,8,1,1] {s8 scale [0.02]} = conv2d(relu, #w2)
  gate : f32[2,8,1,1] {u8 scale [0.00390625]} = unary(c2; kind=hardsigmoid)
  y : f32[2,8,4,4] {s8 scale [0.01]} = binary(gate, x; kind=mul)
  -> y = y
)"));
  CHECK(ops(integer) == "qreduce qconv2d qconv2d lut qmul");
  CHECK(first<op::QReduce>(integer).axes == Ints{1, 2});
  CHECK(first<op::QConv2d>(integer).lo == -128);  // the stored zero of u8 is its minimum
}

TEST_CASE("channel shuffle: one permute of the two channel axes") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[8,8,1,1] {n8 scale [0.01]}
  x : f32[2,8,4,4] {s8 scale [0.01]} = input()
  a : f32[2,8,4,4] {s8 scale [0.02]} = conv2d(x, #w)
  split : f32[2,2,4,4,4] {s8 scale [0.02]} = reshape(a; shape=[2,2,4,4,4])
  swap : f32[2,4,2,4,4] {s8 scale [0.02]} = permute(split; perm=[0,2,1,3,4])
  join : f32[2,8,4,4] {s8 scale [0.02]} = reshape(swap; shape=[2,8,4,4])
  b : f32[2,8,4,4] {s8 scale [0.02]} = conv2d(join, #w)
  -> y = b
)"));
  CHECK(ops(integer) == "qconv2d reshape permute reshape qconv2d");
  CHECK(first<op::Permute>(integer).perm == Ints{0, 1, 2, 4, 3});
  CHECK(named(integer, "join").layout == Ints{0, 2, 3, 1});
}

TEST_CASE("attention: heads move once each, scores not at all") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #wq : f32[8,8] {n8 scale [0.01]}
  #wo : f32[8,8] {n8 scale [0.01]}
  x : f32[2,5,8] {s8 scale [0.01]} = input()
  q : f32[2,5,8] {s8 scale [0.02]} = linear(x, #wq)
  qh : f32[2,5,2,4] {s8 scale [0.02]} = reshape(q; shape=[2,5,2,4])
  qt : f32[2,2,5,4] {s8 scale [0.02]} = permute(qh; perm=[0,2,1,3])
  kt : f32[2,2,4,5] {s8 scale [0.02]} = permute(qh; perm=[0,2,3,1])
  s : f32[2,2,5,5] {s8 scale [0.05]} = matmul(qt, kt)
  p : f32[2,2,5,5] {u8 scale [0.00390625]} = softmax(s; axis=3)
  o : f32[2,2,5,4] {s8 scale [0.02]} = matmul(p, qt)
  ot : f32[2,5,2,4] {s8 scale [0.02]} = permute(o; perm=[0,2,1,3])
  om : f32[2,5,8] {s8 scale [0.02]} = reshape(ot; shape=[2,5,8])
  y : f32[2,5,8] {s8 scale [0.02]} = linear(om, #wo)
  -> y = y
)"));
  CHECK(
      ops(integer) ==
      "reshape qconv2d reshape reshape permute permute qmatmul qsoftmax qmatmul permute "
      "reshape reshape qconv2d reshape");
  CHECK(named(integer, "y").layout.empty());
}

TEST_CASE("inverse permutes cancel, the second user of a moved form shares it") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  #w : f32[8,8,1,1] {n8 scale [0.01]}
  #t : f32[6,4] {n8 scale [0.01]}
  x : f32[1,8,4,4] {s8 scale [0.01]} = input()
  a : f32[1,8,4,4] {s8 scale [0.02]} = conv2d(x, #w)
  p : f32[1,4,8,4] {s8 scale [0.02]} = permute(a; perm=[0,2,1,3])
  u : f32[1,4,8,6] {s8 scale [0.02]} = linear(p, #t)
  v : f32[1,4,8,6] {s8 scale [0.03]} = linear(p, #t)
  q : f32[1,8,4,4] {s8 scale [0.02]} = permute(p; perm=[0,2,1,3])
  b : f32[1,8,4,4] {s8 scale [0.02]} = conv2d(q, #w)
  -> y = b
  -> z = u
  -> z2 = v
)"));
  CHECK(ops(integer) ==
        "qconv2d permute reshape qconv2d reshape reshape qconv2d reshape qconv2d");
}

TEST_CASE(
    "outputs of rank three and less are in the model's order, views keep their name") {
  const Graph integer = lower_to_integer(graph_of(R"(graph encoded
  x : f32[2,3,4] {s8 scale [0.01]} = input()
  t : f32[2,4,3] {s8 scale [0.01]} = permute(x; perm=[0,2,1])
  -> y = t
)"));
  CHECK(ops(integer) == "permute reshape");
  CHECK(named(integer, "t").layout.empty());
  CHECK(named(integer, "t").shape == Shape{2, 4, 3});
}

// ------------------------------------------------------------------ random movements

/// A graph of movements with its model-order meaning computed beside it.
class Mover {
 public:
  explicit Mover(Rng& rng) : rng_(rng), graph_(Level::Encoded) {
    const std::vector<Shape> shapes{{2, 3, 4, 5}, {1, 12, 5, 2}, {4, 30}, {3, 8, 5}};
    const Shape shape = shapes[rng.below(shapes.size())];
    std::vector<float> values(static_cast<std::size_t>(num_elements(shape)));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(static_cast<int>(i % 251) - 125);
    }
    input_ = Tensor::from(values, shape);
    live_.push_back(encoded(graph_.add_input("x", DType::F32, shape), input_));
  }

  void step() {
    const auto [id, tensor] = live_[rng_.below(live_.size())];
    const Shape shape = tensor.shape();
    switch (rng_.below(6)) {
      case 0: return permute(id, tensor);
      case 1: return reshape(id, tensor);
      case 2: {
        const auto axis = rng_.below(shape.size());
        const std::int64_t half = (shape[axis] + 1) / 2;
        return add(op::Slice{static_cast<std::int64_t>(axis), 0, half, 1}, id,
                   sliced(tensor, axis, half));
      }
      case 3:
        if (shape.size() != 4) return permute(id, tensor);
        return add(op::MaxPool2d{}, id, tensor);  // kernel 1: identity, but wants N,H,W,C
      case 4: {
        op::Clamp clamp{-200.0, 200.0};
        return add(clamp, id, tensor);
      }
      default: {
        // Concat with itself, seen as a new leading axis merged away again.
        const ValueId both = encoded_id(graph_.add(op::Concat{0}, {id, id}, "cat"));
        Shape twice = shape;
        twice[0] *= 2;
        Tensor joined = Tensor::zeros(DType::F32, twice);
        const auto from = tensor.bytes();
        auto to = joined.mutable_bytes();
        std::copy(from.begin(), from.end(), to.begin());
        std::copy(from.begin(), from.end(),
                  to.begin() + static_cast<std::ptrdiff_t>(from.size()));
        live_.emplace_back(both, joined);
        if (joined.size() > 4000) live_.pop_back();
      }
    }
  }

  void check() {
    std::vector<Tensor> expected;
    for (const auto& [id, tensor] : live_) {
      graph_.add_output("o" + std::to_string(expected.size()), id);
      expected.push_back(tensor);
    }
    graph_.remove_dead();
    require_valid(graph_, "the test");
    const IntegerExecutor executor(lower_to_integer(graph_));
    const std::vector<Tensor> got = executor.run_real(std::vector<Tensor>{input_});
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      INFO(print(graph_) << print(executor.graph()));
      REQUIRE(got[i] == expected[i]);
    }
  }

 private:
  std::pair<ValueId, Tensor> encoded(ValueId id, const Tensor& tensor) {
    return {encoded_id(id), tensor};
  }
  ValueId encoded_id(ValueId id) {
    graph_.value(id).encoding = Affine{LevelSet::S, 8, {1.0F}, {0}, {}};
    return id;
  }
  void add(const Op& op, ValueId x, const Tensor& result) {
    live_.push_back(encoded(graph_.add(op, {x}, "v"), result));
  }
  void permute(ValueId id, const Tensor& tensor) {
    Ints perm(tensor.shape().size());
    for (std::size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<std::int64_t>(i);
    rng_.shuffle(std::span<std::int64_t>(perm));
    add(op::Permute{perm}, id, permuted(tensor, perm));
  }
  void reshape(ValueId id, const Tensor& tensor) {
    Shape to;
    std::int64_t rest = tensor.size();
    while (rest > 1 && to.size() < 4) {
      std::int64_t factor = static_cast<std::int64_t>(rng_.below(6)) + 1;
      while (rest % factor != 0) --factor;
      to.push_back(factor);
      rest /= factor;
    }
    to.push_back(rest);
    if (to.size() == 5) {
      to[3] *= to[4];
      to.pop_back();
    }
    add(op::Reshape{to}, id, tensor.reshaped(to));
  }
  static Tensor sliced(const Tensor& tensor, std::size_t axis, std::int64_t end) {
    Shape shape = tensor.shape();
    std::int64_t outer = 1, inner = 1;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (i < axis) outer *= shape[i];
      if (i > axis) inner *= shape[i];
    }
    const std::int64_t extent = shape[axis];
    shape[axis] = end;
    std::vector<float> out;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < end * inner; ++i) {
        out.push_back(
            tensor.values<float>()[static_cast<std::size_t>(o * extent * inner + i)]);
      }
    }
    return Tensor::from(out, shape);
  }

  Rng& rng_;
  Graph graph_;
  Tensor input_;
  std::vector<std::pair<ValueId, Tensor>> live_;
};

TEST_CASE("random movements keep every byte's meaning") {
  Rng rng(11);
  for (int i = 0; i < 300; ++i) {
    Mover mover(rng);
    const int steps = 1 + static_cast<int>(rng.below(10));
    for (int s = 0; s < steps; ++s) mover.step();
    mover.check();
  }
}

}  // namespace
}  // namespace qopt
