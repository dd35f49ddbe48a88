// SPDX-License-Identifier: MIT
// A float graph run by plain double loops: slow, direct, free of LibTorch. The meaning
// against which the canonical passes are tested; knows the operators that they touch.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/shape.h"

namespace qopt::testing {

struct Array {
  Shape shape;
  std::vector<double> data;
};

/// Row-major coordinates of element n.
inline Shape coordinates(std::int64_t n, const Shape& shape) {
  Shape at(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    at[i] = n % shape[i];
    n /= shape[i];
  }
  return at;
}

/// Element of `a` at coordinates of a shape that `a` broadcasts to.
inline double element(const Array& a, const Shape& at) {
  std::int64_t n = 0;
  const std::size_t lead = at.size() - a.shape.size();
  for (std::size_t i = 0; i < a.shape.size(); ++i) {
    n = n * a.shape[i] + (a.shape[i] == 1 ? 0 : at[lead + i]);
  }
  return a.data[static_cast<std::size_t>(n)];
}

/// Fills an array of `shape` with f(coordinates).
template <class F>
Array filled(Shape shape, F&& f) {
  Array out{std::move(shape), {}};
  const std::int64_t count = num_elements(out.shape);
  for (std::int64_t n = 0; n < count; ++n)
    out.data.push_back(f(coordinates(n, out.shape)));
  return out;
}

inline Array array_of(const Tensor& tensor) {
  Array out{tensor.shape(), {}};
  if (tensor.dtype() == DType::F32) {
    for (float x : tensor.values<float>()) out.data.push_back(x);
  } else if (tensor.dtype() == DType::F64) {
    for (double x : tensor.values<double>()) out.data.push_back(x);
  } else {
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      out.data.push_back(static_cast<double>(tensor.integer_at(i)));
    }
  }
  return out;
}

class FloatEvaluator {
 public:
  using Arrays = std::vector<Array>;

  /// Outputs of `graph` for `inputs` in input order.
  Arrays run(const Graph& graph, std::span<const Array> inputs) {
    std::vector<Array> values(graph.values().size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (graph.values()[i].constant) values[i] = array_of(*graph.values()[i].constant);
    }
    for (const Node& node : graph.nodes()) {
      Arrays in;
      for (ValueId id : node.inputs) in.push_back(values[id.index]);
      const auto* input = std::get_if<op::Input>(&node.op);
      result_ = graph.value(node.output).shape;
      Array out = input != nullptr
                      ? inputs[static_cast<std::size_t>(input->index)]
                      : std::visit([&](const auto& o) { return eval(o, in); }, node.op);
      QOPT_CHECK(out.shape == result_, "'{}' evaluates to another shape",
                 graph.value(node.output).name);
      values[node.output.index] = std::move(out);
    }
    Arrays out;
    for (const Output& output : graph.outputs())
      out.push_back(values[output.value.index]);
    return out;
  }

 private:
  template <class O>
  Array eval(const O& o, const Arrays&) {
    throw InternalError("the test evaluator lacks " + std::string(o.kName));
  }

  Array eval(const op::Conv2d& o, const Arrays& in) {
    const Array &x = in[0], &w = in[1];
    const std::int64_t per_group = w.shape[0] / o.groups;
    return filled(result_, [&](const Shape& at) {
      double acc = in.size() > 2 ? in[2].data[static_cast<std::size_t>(at[1])] : 0.0;
      for (std::int64_t c = 0; c < w.shape[1]; ++c) {
        for (std::int64_t i = 0; i < w.shape[2]; ++i) {
          for (std::int64_t j = 0; j < w.shape[3]; ++j) {
            const std::int64_t h = at[2] * o.stride[0] + i * o.dilation[0] - o.pads[0];
            const std::int64_t v = at[3] * o.stride[1] + j * o.dilation[1] - o.pads[1];
            if (h < 0 || h >= x.shape[2] || v < 0 || v >= x.shape[3]) continue;
            const std::int64_t from = at[1] / per_group * w.shape[1] + c;
            acc += element(x, {at[0], from, h, v}) * element(w, {at[1], c, i, j});
          }
        }
      }
      return acc;
    });
  }

  Array eval(const op::ConvTranspose2d& o, const Arrays& in) {
    const Array &x = in[0], &w = in[1];
    const std::int64_t per_group = w.shape[1], inputs = w.shape[0] / o.groups;
    return filled(result_, [&](const Shape& at) {
      double acc = in.size() > 2 ? in[2].data[static_cast<std::size_t>(at[1])] : 0.0;
      const std::int64_t group = at[1] / per_group;
      for (std::int64_t c = group * inputs; c < (group + 1) * inputs; ++c) {
        for (std::int64_t i = 0; i < w.shape[2]; ++i) {
          for (std::int64_t j = 0; j < w.shape[3]; ++j) {
            const std::int64_t h = at[2] + o.pads[0] - i * o.dilation[0];
            const std::int64_t v = at[3] + o.pads[1] - j * o.dilation[1];
            if (h < 0 || v < 0 || h % o.stride[0] != 0 || v % o.stride[1] != 0) continue;
            if (h / o.stride[0] >= x.shape[2] || v / o.stride[1] >= x.shape[3]) continue;
            acc += element(x, {at[0], c, h / o.stride[0], v / o.stride[1]}) *
                   element(w, {c, at[1] % per_group, i, j});
          }
        }
      }
      return acc;
    });
  }

  Array eval(const op::Linear&, const Arrays& in) {
    return filled(result_, [&](Shape at) {
      const std::int64_t o = at.back();
      double acc = in.size() > 2 ? in[2].data[static_cast<std::size_t>(o)] : 0.0;
      for (std::int64_t i = 0; i < in[1].shape[1]; ++i) {
        at.back() = i;
        acc += element(in[0], at) * element(in[1], {o, i});
      }
      return acc;
    });
  }

  Array eval(const op::MatMul&, const Arrays& in) {
    return filled(result_, [&](const Shape& at) {
      double acc = 0.0;
      Shape a = at, b = at;
      for (std::int64_t k = 0; k < in[0].shape.back(); ++k) {
        a[a.size() - 1] = k;
        b[b.size() - 2] = k;
        acc += element(in[0], a) * element(in[1], b);
      }
      return acc;
    });
  }

  Array eval(const op::BatchNorm& o, const Arrays& in) {
    return filled(result_, [&](const Shape& at) {
      const auto c = static_cast<std::size_t>(at[1]);
      return (element(in[0], at) - in[3].data[c]) / std::sqrt(in[4].data[c] + o.eps) *
                 in[1].data[c] +
             in[2].data[c];
    });
  }

  Array eval(const op::Clamp& o, const Arrays& in) {
    return filled(result_, [&](const Shape& at) {
      return std::min(std::max(element(in[0], at), o.lo), o.hi);
    });
  }

  Array eval(const op::Unary& o, const Arrays& in) {
    return filled(result_,
                  [&](const Shape& at) { return apply_unary(o, element(in[0], at)); });
  }

  Array eval(const op::Binary& o, const Arrays& in) {
    return filled(result_, [&](const Shape& at) {
      const double a = element(in[0], at), b = element(in[1], at);
      switch (o.kind) {
        case BinaryKind::Add: return a + b;
        case BinaryKind::Sub: return a - b;
        case BinaryKind::Mul: return a * b;
        case BinaryKind::Div: return a / b;
      }
      return 0.0;
    });
  }

  Array eval(const op::AvgPool2d& o, const Arrays& in) {
    const Array& x = in[0];
    return filled(result_, [&](const Shape& at) {
      double sum = 0.0;
      std::int64_t inside = 0, padded = 0;
      for (std::int64_t i = 0; i < o.kernel[0]; ++i) {
        for (std::int64_t j = 0; j < o.kernel[1]; ++j) {
          const std::int64_t h = at[2] * o.stride[0] + i - o.pads[0];
          const std::int64_t v = at[3] * o.stride[1] + j - o.pads[1];
          padded += h < x.shape[2] + o.pads[2] && v < x.shape[3] + o.pads[3] ? 1 : 0;
          if (h < 0 || h >= x.shape[2] || v < 0 || v >= x.shape[3]) continue;
          sum += element(x, {at[0], at[1], h, v});
          ++inside;
        }
      }
      const std::int64_t count = o.count_include_pad ? padded : inside;
      return sum / static_cast<double>(o.divisor != 0 ? o.divisor : count);
    });
  }

  Array eval(const op::AdaptiveAvgPool2d& o, const Arrays& in) {
    const Array& x = in[0];
    const auto start = [](std::int64_t i, std::int64_t from, std::int64_t to) {
      return i * from / to;
    };
    const auto end = [](std::int64_t i, std::int64_t from, std::int64_t to) {
      return ((i + 1) * from + to - 1) / to;
    };
    return filled(result_, [&](const Shape& at) {
      double sum = 0.0, count = 0.0;
      const std::int64_t height = x.shape[2], width = x.shape[3];
      for (auto h = start(at[2], height, o.out[0]); h < end(at[2], height, o.out[0]);
           ++h) {
        for (auto v = start(at[3], width, o.out[1]); v < end(at[3], width, o.out[1]);
             ++v) {
          sum += element(x, {at[0], at[1], h, v});
          ++count;
        }
      }
      return sum / count;
    });
  }

  Array eval(const op::MaxPool2d& o, const Arrays& in) {
    const Array& x = in[0];
    return filled(result_, [&](const Shape& at) {
      double best = -std::numeric_limits<double>::infinity();
      for (std::int64_t i = 0; i < o.kernel[0]; ++i) {
        for (std::int64_t j = 0; j < o.kernel[1]; ++j) {
          const std::int64_t h = at[2] * o.stride[0] + i * o.dilation[0] - o.pads[0];
          const std::int64_t v = at[3] * o.stride[1] + j * o.dilation[1] - o.pads[1];
          if (h < 0 || h >= x.shape[2] || v < 0 || v >= x.shape[3]) continue;
          best = std::max(best, element(x, {at[0], at[1], h, v}));
        }
      }
      return best;
    });
  }

  Array eval(const op::Reduce& o, const Arrays& in) {
    const Array& x = in[0];
    Shape kept = x.shape;
    for (std::int64_t axis : o.axes) kept[static_cast<std::size_t>(axis)] = 1;
    Array sums = filled(kept, [](const Shape&) { return 0.0; });
    const auto count = static_cast<double>(x.data.size() / sums.data.size());
    for (std::size_t n = 0; n < x.data.size(); ++n) {
      const Shape at = coordinates(static_cast<std::int64_t>(n), x.shape);
      std::int64_t to = 0;
      for (std::size_t i = 0; i < kept.size(); ++i) {
        to = to * kept[i] + (kept[i] == 1 ? 0 : at[i]);
      }
      const double term =
          o.kind == ReduceKind::L2Norm ? x.data[n] * x.data[n] : x.data[n];
      sums.data[static_cast<std::size_t>(to)] += term;
    }
    for (double& sum : sums.data) {
      if (o.kind == ReduceKind::Mean) sum /= count;
      if (o.kind == ReduceKind::L2Norm) sum = std::sqrt(sum);
    }
    return {result_, sums.data};
  }

  Array eval(const op::Concat& o, const Arrays& in) {
    const auto axis = static_cast<std::size_t>(o.axis);
    return filled(result_, [&](Shape at) {
      for (const Array& part : in) {
        if (at[axis] < part.shape[axis]) return element(part, at);
        at[axis] -= part.shape[axis];
      }
      return 0.0;
    });
  }

  Array eval(const op::Slice& o, const Arrays& in) {
    return filled(result_, [&](Shape at) {
      const auto axis = static_cast<std::size_t>(o.axis);
      at[axis] = o.start + at[axis] * o.step;
      return element(in[0], at);
    });
  }

  Array eval(const op::Reshape&, const Arrays& in) { return {result_, in[0].data}; }

  Array eval(const op::Permute& o, const Arrays& in) {
    return filled(result_, [&](const Shape& at) {
      Shape from(at.size());
      for (std::size_t i = 0; i < at.size(); ++i) {
        from[static_cast<std::size_t>(o.perm[i])] = at[i];
      }
      return element(in[0], from);
    });
  }

  Array eval(const op::Expand&, const Arrays& in) {
    return filled(result_, [&](const Shape& at) { return element(in[0], at); });
  }

  Array eval(const op::Pad& o, const Arrays& in) {
    return filled(result_, [&](Shape at) {
      for (std::size_t i = 0; i < at.size(); ++i) {
        at[i] -= o.before[i];
        if (at[i] < 0 || at[i] >= in[0].shape[i]) return o.value;
      }
      return element(in[0], at);
    });
  }

  Array eval(const op::Softmax& o, const Arrays& in) {
    const auto axis = static_cast<std::size_t>(o.axis);
    return filled(result_, [&](const Shape& at) {
      Shape other = at;
      double sum = 0.0;
      for (other[axis] = 0; other[axis] < result_[axis]; ++other[axis]) {
        sum += std::exp(element(in[0], other) - element(in[0], at));
      }
      return 1.0 / sum;
    });
  }

  Array eval(const op::L2Normalize& o, const Arrays& in) {
    const auto axis = static_cast<std::size_t>(o.axis);
    return filled(result_, [&](const Shape& at) {
      Shape other = at;
      double sum = 0.0;
      for (other[axis] = 0; other[axis] < result_[axis]; ++other[axis]) {
        sum += element(in[0], other) * element(in[0], other);
      }
      return element(in[0], at) / std::max(std::sqrt(sum), o.eps);
    });
  }

  Array eval(const op::Attention& o, const Arrays& in) {
    const Array &q = in[0], &k = in[1], &v = in[2];
    const std::size_t r = result_.size();
    const auto width = static_cast<double>(q.shape.back());
    const double scale = o.scale != 0.0 ? o.scale : 1.0 / std::sqrt(width);
    return filled(result_, [&](const Shape& at) {
      const std::int64_t length = k.shape[k.shape.size() - 2];
      double sum = 0.0, weighted = 0.0;
      for (std::int64_t s = 0; s < length; ++s) {
        if (o.causal && s > at[r - 2]) continue;
        double score = 0.0;
        Shape qa = at, ka = at, va = at, ma = at;
        ka[r - 2] = va[r - 2] = ma[r - 1] = s;
        for (std::int64_t e = 0; e < q.shape.back(); ++e) {
          qa[r - 1] = ka[r - 1] = e;
          score += element(q, qa) * element(k, ka);
        }
        score = score * scale + (in.size() > 3 ? element(in[3], ma) : 0.0);
        sum += std::exp(score);
        weighted += std::exp(score) * element(v, va);
      }
      return weighted / sum;
    });
  }

  Array eval(const op::PixelShuffle& o, const Arrays& in) {
    const std::int64_t r = o.factor;
    return filled(result_, [&](const Shape& at) {
      const std::int64_t channel = (at[1] * r + at[2] % r) * r + at[3] % r;
      return element(in[0], {at[0], channel, at[2] / r, at[3] / r});
    });
  }

  Shape result_;  // of the node being evaluated
};

}  // namespace qopt::testing
