// SPDX-License-Identifier: MIT
// A second writing of docs/numerics.md for tests: naive loops over index tuples in
// 128-bit integers. Shares nothing with the executor or qrt/arith.h, and is as slow as it
// looks.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "lib/graph/graph.h"

namespace qopt::oracle {

using Wide = __int128;
using Index = std::vector<std::int64_t>;

struct Array {
  Shape shape;
  std::vector<Wide> values;

  std::size_t offset(const Index& at) const {
    QOPT_CHECK(at.size() == shape.size(), "rank {} of {}", at.size(), shape.size());
    std::int64_t result = 0;
    for (std::size_t i = 0; i < at.size(); ++i) {
      QOPT_CHECK(at[i] >= 0 && at[i] < shape[i], "index {} of {}", at[i], shape[i]);
      result = result * shape[i] + at[i];
    }
    return static_cast<std::size_t>(result);
  }
  Wide operator[](const Index& at) const { return values[offset(at)]; }
  /// Value at the trailing axes of `at`, axes of extent 1 repeated.
  Wide broadcast(const Index& at) const {
    Index own(at.end() - static_cast<std::ptrdiff_t>(shape.size()), at.end());
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = shape[i] == 1 ? 0 : own[i];
    return (*this)[own];
  }
};

inline Array array_of(const Tensor& t) {
  Array a{t.shape(), {}};
  for (std::int64_t i = 0; i < t.size(); ++i) a.values.push_back(t.integer_at(i));
  return a;
}

inline void for_each_index(const Shape& shape,
                           const std::function<void(const Index&)>& f) {
  const std::int64_t count = num_elements(shape);
  for (std::int64_t n = 0; n < count; ++n) {
    Index at(shape.size());
    std::int64_t rest = n;
    for (std::size_t i = shape.size(); i-- > 0;) {
      at[i] = rest % shape[i];
      rest /= shape[i];
    }
    f(at);
  }
}

// ------------------------------------------------------------------ primitives N1 to N13
inline Wide power(Wide n) { return Wide{1} << static_cast<int>(n); }
inline Wide floor_div(Wide a, Wide b) {
  const Wide q = a / b;
  return q * b > a ? q - 1 : q;
}
inline Wide clamp(Wide x, Wide lo, Wide hi) { return x < lo ? lo : (x > hi ? hi : x); }
inline Wide sat32(Wide x) { return clamp(x, -power(31), power(31) - 1); }
inline Wide shift_right(Wide x, Wide n) {
  return n == 0 ? x : floor_div(x + power(n - 1), power(n));
}
inline Wide requant(Wide acc, Wide m, Wide s) {
  const Wide left = sat32(acc * power(s > 0 ? s : 0));
  const Wide high = sat32(floor_div(2 * left * m + power(31), power(32)));
  return shift_right(high, s > 0 ? 0 : -s);
}
inline Wide requant64(Wide acc, Wide m, Wide s) {
  return sat32(floor_div(acc * m + power(30 - s), power(31 - s)));
}
inline Wide req(Wide acc, Wide m, Wide s, std::int64_t acc_bits) {
  return acc_bits <= 32 ? requant(acc, m, s) : requant64(acc, m, s);
}
inline Wide div_round(Wide num, Wide den) {
  const Wide n = num < 0 ? -num : num, d = den < 0 ? -den : den;
  const Wide q = (2 * n + d) / (2 * d);
  return (num < 0) != (den < 0) ? -q : q;
}
inline Wide isqrt(Wide x) {
  Wide lo = 0, hi = power(32);
  while (hi - lo > 1) {
    const Wide mid = (lo + hi) / 2;
    (mid * mid <= x ? lo : hi) = mid;
  }
  return lo;
}
inline Wide over_root(Wide n, Wide v) {
  if (v == 0) return 0;
  int f = 0;
  while (v * power(2 * (f + 1)) < power(62)) ++f;
  return sat32(div_round(n * power(15 + f), isqrt(v * power(2 * f))));
}

// ----------------------------------------------------------------------- operators N21
// to N37
class Oracle {
 public:
  Oracle(const Graph& graph, const Node& node, std::span<const Tensor> inputs)
      : node_(node) {
    for (const Tensor& t : inputs) {
      in_.push_back(array_of(t));
      dtypes_.push_back(t.dtype());
    }
    out_.shape = graph.value(node.output).shape;
    out_.values.resize(static_cast<std::size_t>(num_elements(out_.shape)));
    dtype_ = graph.value(node.output).dtype;
  }

  Tensor run() {
    for_each_index(out_.shape, [&](const Index& at) {
      out_.values[out_.offset(at)] =
          std::visit([&](const auto& o) { return element(o, at); }, node_.op);
    });
    Tensor t = Tensor::zeros(dtype_, out_.shape);
    for (std::size_t i = 0; i < out_.values.size(); ++i) {
      if (dtype_ == DType::I16) {
        t.mutable_values<std::int16_t>()[i] = static_cast<std::int16_t>(out_.values[i]);
      } else {
        t.mutable_values<std::int8_t>()[i] = static_cast<std::int8_t>(out_.values[i]);
      }
    }
    return t;
  }

 private:
  template <class O>
  Wide finish(const O& o, Wide y) const {
    return clamp(sat32(y + o.y_zero), o.lo, o.hi);
  }

  /// N19 and the requantiser of a convolution's sum of products.
  Wide biased(Wide sum, std::int64_t channel, std::int64_t acc_bits) const {
    const Wide shift = in_[4][{channel}];
    const Wide acc = in_[2][{channel}] + sum * power(shift > 0 ? shift : 0);
    return req(acc, in_[3][{channel}], shift > 0 ? 0 : shift, acc_bits);
  }

  Wide element(const op::QConv2d& o, const Index& at) {
    const Array &x = in_[0], &w = in_[1];
    const std::int64_t channel = at[3], per_group = w.shape[0] / o.groups;
    const std::int64_t first = channel / per_group * w.shape[3];
    Wide acc = 0;
    for_each_index({w.shape[1], w.shape[2], w.shape[3]}, [&](const Index& k) {
      const std::int64_t ih = at[1] * o.stride[0] - o.pads[0] + k[0] * o.dilation[0];
      const std::int64_t iw = at[2] * o.stride[1] - o.pads[1] + k[1] * o.dilation[1];
      if (ih < 0 || iw < 0 || ih >= x.shape[1] || iw >= x.shape[2]) return;
      acc += (x[{at[0], ih, iw, first + k[2]}] - o.x_zero) *
             (w[{channel, k[0], k[1], k[2]}] - weight_zero(channel));
    });
    return finish(o, biased(acc, channel, o.acc_bits));
  }

  Wide element(const op::QConvTranspose2d& o, const Index& at) {
    const Array &x = in_[0], &w = in_[1];
    const std::int64_t channel = at[3], per_group = w.shape[0] / o.groups;
    const std::int64_t first = channel / per_group * w.shape[3];
    Wide acc = 0;
    for_each_index({x.shape[1], x.shape[2]}, [&](const Index& i) {
      for_each_index({w.shape[1], w.shape[2]}, [&](const Index& k) {
        if (at[1] != i[0] * o.stride[0] - o.pads[0] + k[0] * o.dilation[0]) return;
        if (at[2] != i[1] * o.stride[1] - o.pads[1] + k[1] * o.dilation[1]) return;
        for (std::int64_t c = 0; c < w.shape[3]; ++c) {
          acc += (x[{at[0], i[0], i[1], first + c}] - o.x_zero) *
                 (w[{channel, k[0], k[1], c}] - weight_zero(channel));
        }
      });
    });
    return finish(o, biased(acc, channel, o.acc_bits));
  }

  Wide element(const op::QMatMul& o, const Index& at) {
    Wide acc = 0;
    for (std::int64_t k = 0; k < in_[0].shape.back(); ++k) {
      Index a = at, b = at;
      a.back() = k;
      b[b.size() - 2] = k;
      acc += (in_[0].broadcast(a) - o.a_zero) * (in_[1].broadcast(b) - o.b_zero);
    }
    return finish(o, req(acc, o.multiplier, o.shift, o.acc_bits));
  }

  Wide element(const op::QAdd& o, const Index& at) {
    const Wide acc = (in_[0].broadcast(at) - o.a_zero) * o.a_multiplier +
                     (in_[1].broadcast(at) - o.b_zero) * o.b_multiplier;
    return finish(o, shift_right(acc, o.shift));
  }
  Wide element(const op::QMul& o, const Index& at) {
    const Wide acc =
        (in_[0].broadcast(at) - o.a_zero) * (in_[1].broadcast(at) - o.b_zero);
    return finish(o, req(acc, o.multiplier, o.shift, o.acc_bits));
  }
  Wide element(const op::QDiv& o, const Index& at) {
    const int f = dtypes_[0] == DType::I8 && dtypes_[1] == DType::I8 ? 20 : 14;
    const Wide num = in_[0].broadcast(at) - o.a_zero,
               den = in_[1].broadcast(at) - o.b_zero;
    Wide q = num > 0 ? power(30) : (num < 0 ? -power(30) : 0);
    if (den != 0) q = clamp(div_round(num * power(f), den), -power(30), power(30));
    return finish(o, requant(q, o.multiplier, o.shift));
  }
  Wide element(const op::Rescale& o, const Index& at) {
    return finish(o, requant(in_[0][at] - o.x_zero, o.multiplier, o.shift));
  }
  Wide element(const op::Lut&, const Index& at) {
    const Array& table = in_[1];
    const auto entry =
        static_cast<std::int64_t>(in_[0][at] + (dtypes_[0] == DType::I8 ? 128 : 32768));
    return table.shape.size() == 2 ? table[{at.back(), entry}] : table[{entry}];
  }
  Wide element(const op::MaxPool2d& o, const Index& at) {
    Wide most = dtype_ == DType::I8 ? -128 : -32768;
    for_each_index({o.kernel[0], o.kernel[1]}, [&](const Index& k) {
      const std::int64_t ih = at[1] * o.stride[0] - o.pads[0] + k[0] * o.dilation[0];
      const std::int64_t iw = at[2] * o.stride[1] - o.pads[1] + k[1] * o.dilation[1];
      if (ih < 0 || iw < 0 || ih >= in_[0].shape[1] || iw >= in_[0].shape[2]) return;
      most = std::max(most, in_[0][{at[0], ih, iw, at[3]}]);
    });
    return most;
  }
  Wide element(const op::QAvgPool2d& o, const Index& at) {
    const auto oh = static_cast<std::size_t>(at[1]), ow = static_cast<std::size_t>(at[2]);
    Wide acc = 0;
    for (std::int64_t h = o.row_start[oh]; h < o.row_end[oh]; ++h) {
      for (std::int64_t w = o.col_start[ow]; w < o.col_end[ow]; ++w) {
        acc += in_[0][{at[0], h, w, at[3]}] - o.x_zero;
      }
    }
    const auto k = static_cast<std::int64_t>(in_[3][{at[1], at[2]}]);
    return finish(o, req(acc, in_[1][{k}], in_[2][{k}], o.acc_bits));
  }
  Wide element(const op::QReduce& o, const Index& at) {
    Wide acc = 0;
    for_each_index(in_[0].shape, [&](const Index& from) {
      Index to;
      for (std::size_t i = 0; i < from.size(); ++i) {
        const bool reduced = std::count(o.axes.begin(), o.axes.end(), i) > 0;
        if (!reduced) to.push_back(from[i]);
        if (reduced && o.keepdim) to.push_back(0);
      }
      if (to == at) acc += in_[0][from] - o.x_zero;
    });
    return finish(o, req(acc, o.multiplier, o.shift, o.acc_bits));
  }
  Wide element(const op::QResize&, const Index& at) {
    Wide acc = 0;
    for_each_index({2, 2}, [&](const Index& tap) {
      const auto row = static_cast<std::int64_t>(in_[1][{at[1], tap[0]}]);
      const auto col = static_cast<std::int64_t>(in_[3][{at[2], tap[1]}]);
      acc += in_[2][{at[1], tap[0]}] * in_[4][{at[2], tap[1]}] *
             in_[0][{at[0], row, col, at[3]}];
    });
    return shift_right(acc, 22);
  }
  Wide element(const op::QSoftmax& o, const Index& at) {
    const auto axis = static_cast<std::size_t>(o.axis);
    Index line = at;
    Wide most = -40000, sum = 0;
    for (line[axis] = 0; line[axis] < in_[0].shape[axis]; ++line[axis]) {
      most = std::max(most, in_[0][line]);
    }
    const auto e = [&](const Index& i) {
      return in_[1][{static_cast<std::int64_t>(most - in_[0][i])}];
    };
    for (line[axis] = 0; line[axis] < in_[0].shape[axis]; ++line[axis]) sum += e(line);
    return finish(o, floor_div(e(at) * power(o.out_bits) + sum / 2, sum));
  }
  Wide element(const op::QLayerNorm& o, const Index& at) {
    const Shape& x = in_[0].shape;
    const std::size_t lead = x.size() - static_cast<std::size_t>(o.num_axes);
    const Shape inner(x.begin() + static_cast<std::ptrdiff_t>(lead), x.end());
    Wide s1 = 0, s2 = 0, count = 0, position = 0;
    for_each_index(inner, [&](const Index& i) {
      Index from(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(lead));
      from.insert(from.end(), i.begin(), i.end());
      if (from == at) position = count;
      s1 += in_[0][from];
      s2 += in_[0][from] * in_[0][from];
      ++count;
    });
    const Wide z = over_root(count * in_[0][at] - s1, count * s2 - s1 * s1 + o.eps);
    const auto d = static_cast<std::int64_t>(position);
    return finish(o, sat32(shift_right(z * in_[1][{d}] + in_[2][{d}], o.shift)));
  }
  Wide element(const op::QL2Normalize& o, const Index& at) {
    Index line = at;
    const auto axis = static_cast<std::size_t>(o.axis);
    Wide v = 0;
    for (line[axis] = 0; line[axis] < in_[0].shape[axis]; ++line[axis]) {
      v += (in_[0][line] - o.x_zero) * (in_[0][line] - o.x_zero);
    }
    v = std::max<Wide>(v, o.eps);
    return finish(o, requant(over_root(in_[0][at] - o.x_zero, v), o.multiplier, o.shift));
  }
  Wide element(const op::QGather&, const Index& at) {
    const Index which(at.begin(), at.end() - 1);
    const auto row =
        static_cast<std::int64_t>(clamp(in_[0][which], 0, in_[1].shape[0] - 1));
    return in_[1][{row, at.back()}];
  }
  Wide element(const op::Concat& o, const Index& at) {
    Index from = at;
    const auto axis = static_cast<std::size_t>(o.axis);
    for (const Array& part : in_) {
      if (from[axis] < part.shape[axis]) return part[from];
      from[axis] -= part.shape[axis];
    }
    throw InternalError("beyond the last part");
  }
  Wide element(const op::Slice& o, const Index& at) {
    Index from = at;
    from[static_cast<std::size_t>(o.axis)] *= o.step;
    from[static_cast<std::size_t>(o.axis)] += o.start;
    return in_[0][from];
  }
  Wide element(const op::Reshape&, const Index& at) {
    return in_[0].values[out_.offset(at)];
  }
  Wide element(const op::Permute& o, const Index& at) {
    Index from(at.size());
    for (std::size_t i = 0; i < at.size(); ++i)
      from[static_cast<std::size_t>(o.perm[i])] = at[i];
    return in_[0][from];
  }
  Wide element(const op::Expand&, const Index& at) { return in_[0].broadcast(at); }
  Wide element(const op::Pad& o, const Index& at) {
    Index from = at;
    for (std::size_t i = 0; i < at.size(); ++i) {
      from[i] -= o.before[i];
      if (from[i] < 0 || from[i] >= in_[0].shape[i]) return static_cast<Wide>(o.value);
    }
    return in_[0][from];
  }
  template <class Other>
  Wide element(const Other&, const Index&) {
    throw InternalError("no integer meaning");
  }

  Wide weight_zero(std::int64_t channel) const {
    return in_.size() > 5 ? in_[5][{channel}] : 0;
  }

  const Node& node_;
  std::vector<Array> in_;
  std::vector<DType> dtypes_;
  Array out_;
  DType dtype_;
};

/// The result of `node` on `inputs` (its constants included).
inline Tensor apply(const Graph& graph, const Node& node,
                    std::span<const Tensor> inputs) {
  return Oracle(graph, node, inputs).run();
}

}  // namespace qopt::oracle
