// SPDX-License-Identifier: MIT
// Integer transposed convolutions (numerics N22): each input position adds its products
// to the output positions it reaches; the products of all taps are one matrix product.
#include "lib/fixedpoint/integer_conv.h"
#include "lib/fixedpoint/integer_gemm.h"

namespace qopt {
namespace {

constexpr std::int64_t kBlockBytes = 1 << 20;

/// Calls f(kh * KW + kw, output position) for each tap of input position p inside the
/// output.
template <class F>
void for_reached(const ConvLayer& l, std::int64_t p, F&& f) {
  const std::int64_t top = p / l.cols * l.stride[0] - l.pads[0];
  const std::int64_t left = p % l.cols * l.stride[1] - l.pads[1];
  for (std::int64_t kh = 0; kh < l.kernel_rows; ++kh) {
    const std::int64_t oh = top + kh * l.dilation[0];
    if (oh < 0 || oh >= l.out_rows) continue;
    for (std::int64_t kw = 0; kw < l.kernel_cols; ++kw) {
      const std::int64_t ow = left + kw * l.dilation[1];
      if (ow < 0 || ow >= l.out_cols) continue;
      f(kh * l.kernel_cols + kw, oh * l.out_cols + ow);
    }
  }
}

template <class Real>
struct GemmConvTranspose {
  ConvLayer l;
  std::vector<Real> weights;  // [group][KH][KW][Og][Cg], centred

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    return l.requantiser.is_wide() ? run<std::int64_t>(in[0], scratch)
                                   : run<std::int32_t>(in[0], scratch);
  }

  template <class Acc>
  Tensor run(const Tensor& x, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    const std::int64_t positions = l.rows * l.cols;
    const std::int64_t outputs = l.out_rows * l.out_cols;
    const std::int64_t kernel = l.kernel_rows * l.kernel_cols;
    const std::int64_t width = kernel * l.group_outputs;
    const std::int64_t block = std::max<std::int64_t>(
        16, kBlockBytes / std::max<std::int64_t>(1, width * std::int64_t{sizeof(Real)}));
    auto* image = scratch.take<Real>(Scratch::Image, positions * l.channels);
    auto* acc = scratch.take<Acc>(Scratch::Accumulators, outputs * l.out_channels);
    for (std::int64_t n = 0; n < l.batch; ++n) {
      l.centre(x, n * positions * l.channels, positions * l.channels, image);
      std::fill(acc, acc + outputs * l.out_channels, 0);
      for (std::int64_t g = 0; g < l.groups; ++g) {
        for (std::int64_t first = 0; first < positions; first += block) {
          const std::int64_t count = std::min(block, positions - first);
          auto* products = scratch.take<Real>(Scratch::Products, count * width);
          gemm(count, width, l.group_channels,
               image + first * l.channels + g * l.group_channels, l.channels,
               weights.data() + g * width * l.group_channels, l.group_channels, true,
               products, width);
          for (std::int64_t p = 0; p < count; ++p) {
            for_reached(l, first + p, [&](std::int64_t tap, std::int64_t position) {
              loops::add(products + p * width + tap * l.group_outputs, l.group_outputs,
                         acc + position * l.out_channels + g * l.group_outputs);
            });
          }
        }
      }
      l.requantiser.run(acc, outputs, 0, l.out_channels, out,
                        n * outputs * l.out_channels);
    }
    return out;
  }
};

struct PlainConvTranspose {
  ConvLayer l;
  std::vector<std::int32_t> weights;  // [O][KH][KW][Cg], centred

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    const std::int64_t positions = l.rows * l.cols;
    const std::int64_t outputs = l.out_rows * l.out_cols;
    auto* image = scratch.take<std::int32_t>(Scratch::Image, positions * l.channels);
    auto* acc =
        scratch.take<std::int64_t>(Scratch::Accumulators, outputs * l.out_channels);
    for (std::int64_t n = 0; n < l.batch; ++n) {
      l.centre(in[0], n * positions * l.channels, positions * l.channels, image);
      std::fill(acc, acc + outputs * l.out_channels, 0);
      for (std::int64_t p = 0; p < positions; ++p) {
        for_reached(l, p, [&](std::int64_t tap, std::int64_t position) {
          for (std::int64_t o = 0; o < l.out_channels; ++o) {
            const std::int64_t group = o / l.group_outputs;
            const std::int32_t* xs = image + p * l.channels + group * l.group_channels;
            const std::int32_t* w =
                weights.data() + o * l.taps() + tap * l.group_channels;
            std::int64_t sum = 0;
            for (std::int64_t c = 0; c < l.group_channels; ++c) {
              sum += static_cast<std::int64_t>(xs[c]) * w[c];
            }
            acc[position * l.out_channels + o] += sum;
          }
        });
      }
      l.requantiser.run(acc, outputs, 0, l.out_channels, out,
                        n * outputs * l.out_channels);
    }
    return out;
  }
};

/// [O][tap][Cg] to [group][tap][Og][Cg].
std::vector<std::int32_t> taps_first(const ConvLayer& l,
                                     const std::vector<std::int32_t>& w) {
  std::vector<std::int32_t> result;
  result.reserve(w.size());
  const std::int64_t kernel = l.kernel_rows * l.kernel_cols;
  for (std::int64_t g = 0; g < l.groups; ++g) {
    for (std::int64_t tap = 0; tap < kernel; ++tap) {
      for (std::int64_t o = 0; o < l.group_outputs; ++o) {
        const auto* from =
            w.data() + (g * l.group_outputs + o) * l.taps() + tap * l.group_channels;
        result.insert(result.end(), from, from + l.group_channels);
      }
    }
  }
  return result;
}

template <class Real>
Kernel gemm_conv_transpose(const ConvLayer& layer, const std::vector<std::int32_t>& w) {
  // Only the sum over a group's channels is done in floating point.
  if (exact_pieces(w, layer.group_channels, layer.centred_range, exact_limit<Real>(), 1)
          .empty()) {
    return {};
  }
  return GemmConvTranspose<Real>{layer, {w.begin(), w.end()}};
}

}  // namespace

Kernel prepare(const NodeView& view, const op::QConvTranspose2d& o) {
  const ConvLayer layer = conv_layer(view, o);
  const std::vector<std::int32_t> centred = centred_weights(view);
  const std::vector<std::int32_t> ordered = taps_first(layer, centred);
  Kernel kernel;
  if (view.arithmetic <= Arithmetic::Float32) {
    kernel = gemm_conv_transpose<float>(layer, ordered);
  }
  if (!kernel && view.arithmetic != Arithmetic::Plain) {
    kernel = gemm_conv_transpose<double>(layer, ordered);
  }
  if (!kernel) kernel = PlainConvTranspose{layer, centred};
  return kernel;
}

}  // namespace qopt
