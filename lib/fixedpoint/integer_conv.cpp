// SPDX-License-Identifier: MIT
// Integer convolutions (numerics N21): float BLAS over gathered columns where exact,
// direct int32 loops for depthwise layers, int64 loops otherwise.
#include <algorithm>
#include <cstring>

#include "lib/fixedpoint/integer_conv.h"
#include "lib/fixedpoint/integer_dot.h"
#include "lib/fixedpoint/integer_gemm.h"

namespace qopt {
namespace {

// Columns of one block of output positions: a good part of a second-level cache.
constexpr std::int64_t kBlockBytes = 1 << 20;
// Beyond this many float32 products per layer, float64 is as fast.
constexpr int kMaxPieces = 4;

/// Centred input with its padding, so that no window looks outside.
template <class T>
T* padded_image(const ConvLayer& l, const Tensor& x, std::int64_t n, Scratch& scratch) {
  T* image =
      scratch.take<T>(Scratch::Image, l.padded_rows() * l.padded_cols() * l.channels);
  const std::int64_t row = l.cols * l.channels;
  const std::int64_t padded_row = l.padded_cols() * l.channels;
  if (!l.is_padded()) {
    l.centre(x, n * l.rows * row, l.rows * row, image);
    return image;
  }
  std::fill(image, image + l.padded_rows() * padded_row, T{0});
  for (std::int64_t h = 0; h < l.rows; ++h) {
    T* to = image + (h + l.pads[0]) * padded_row + l.pads[1] * l.channels;
    l.centre(x, (n * l.rows + h) * row, row, to);
  }
  return image;
}

/// Float BLAS over columns; see exact_pieces for why this is exact.
template <class Real>
struct GemmConv {
  ConvLayer l;
  std::vector<Real> weights;  // [O][KH*KW*Cg], centred
  std::vector<std::int64_t> cuts;

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    return l.requantiser.is_wide() ? run<std::int64_t>(in[0], scratch)
                                   : run<std::int32_t>(in[0], scratch);
  }

  template <class Acc>
  Tensor run(const Tensor& x, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    const std::int64_t positions = l.out_rows * l.out_cols;
    const std::int64_t row_bytes =
        l.groups * l.taps() * static_cast<std::int64_t>(sizeof(Real));
    const std::int64_t block =
        std::clamp<std::int64_t>(kBlockBytes / std::max<std::int64_t>(1, row_bytes), 32,
                                 std::max<std::int64_t>(32, positions));
    for (std::int64_t n = 0; n < l.batch; ++n) {
      const Real* image = padded_image<Real>(l, x, n, scratch);
      for (std::int64_t first = 0; first < positions; first += block) {
        const std::int64_t count = std::min(block, positions - first);
        multiply_block<Acc>(image, first, count, n * positions, out, scratch);
      }
    }
    return out;
  }

  template <class Acc>
  void multiply_block(const Real* image, std::int64_t first, std::int64_t count,
                      std::int64_t base, Tensor& out, Scratch& scratch) const {
    const std::int64_t k = l.taps();
    const std::int64_t outputs = l.out_channels;
    Real* products = scratch.take<Real>(Scratch::Products, count * outputs);
    Acc* acc = scratch.take<Acc>(Scratch::Accumulators, count * outputs);
    std::fill(acc, acc + count * outputs, Acc{0});
    // A 1x1 convolution that skips nothing reads the image itself.
    const Real* columns = image + first * l.channels;
    std::int64_t group_step = l.group_channels, lda = l.channels;
    if (!l.reads_image_directly()) {
      Real* gathered = scratch.take<Real>(Scratch::Columns, count * l.groups * k);
      gather(image, first, count, gathered);
      columns = gathered;
      group_step = count * k;
      lda = k;
    }
    for (std::size_t piece = 0; piece + 1 < cuts.size(); ++piece) {
      const std::int64_t from = cuts[piece], length = cuts[piece + 1] - from;
      for (std::int64_t g = 0; g < l.groups; ++g) {
        gemm(count, l.group_outputs, length, columns + g * group_step + from, lda,
             weights.data() + g * l.group_outputs * k + from, k, true,
             products + g * l.group_outputs, outputs);
      }
      loops::add(products, count * outputs, acc);
    }
    l.requantiser.run(acc, count, 0, outputs, out, (base + first) * outputs);
  }

  /// columns[g][position][kh][kw][c].
  void gather(const Real* image, std::int64_t first, std::int64_t count,
              Real* columns) const {
    // Neighbouring columns of a window are contiguous when all channels are wanted.
    const bool whole_rows = l.groups == 1 && l.dilation[1] == 1;
    const std::int64_t run = whole_rows ? l.kernel_cols * l.channels : l.group_channels;
    const std::int64_t steps = whole_rows ? 1 : l.kernel_cols;
    for (std::int64_t g = 0; g < l.groups; ++g) {
      for (std::int64_t p = first; p < first + count; ++p) {
        const std::int64_t top = p / l.out_cols * l.stride[0];
        const std::int64_t left = p % l.out_cols * l.stride[1];
        for (std::int64_t kh = 0; kh < l.kernel_rows; ++kh) {
          const Real* row =
              image + ((top + kh * l.dilation[0]) * l.padded_cols() + left) * l.channels +
              g * l.group_channels;
          for (std::int64_t kw = 0; kw < steps; ++kw) {
            std::memcpy(columns, row + kw * l.dilation[1] * l.channels,
                        static_cast<std::size_t>(run) * sizeof(Real));
            columns += run;
          }
        }
      }
    }
  }
};

/// Pair products straight from the padded image: a window is a few contiguous runs of
/// codes.
class DotConv {
 public:
  DotConv(ConvLayer layer, const std::vector<std::int32_t>& centred,
          const DotKernel& kernel)
      : l_(std::move(layer)), kernel_(kernel) {
    // Neighbouring columns of a window are contiguous when all channels are wanted.
    const bool whole_rows = l_.groups == 1 && l_.dilation[1] == 1;
    run_ = whole_rows ? l_.kernel_cols * l_.channels : l_.group_channels;
    for (std::int64_t kh = 0; kh < l_.kernel_rows; ++kh) {
      for (std::int64_t kw = 0; kw < (whole_rows ? 1 : l_.kernel_cols); ++kw) {
        offsets_.push_back(
            (kh * l_.dilation[0] * l_.padded_cols() + kw * l_.dilation[1]) * l_.channels);
      }
    }
    pairs_ = (run_ + 1) / 2;
    panels_ = (l_.group_outputs + kDotPanel - 1) / kDotPanel;
    panel_step_ = static_cast<std::int64_t>(offsets_.size()) * pairs_ * 2 * kDotPanel;
    pack(centred);
  }

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l_.out_dtype, l_.out_shape);
    const std::int64_t positions = l_.out_rows * l_.out_cols;
    for (std::int64_t n = 0; n < l_.batch; ++n) {
      const auto* image = padded_image<std::int16_t>(l_, in[0], n, scratch);
      for (std::int64_t first = 0; first < positions; first += kBlock) {
        const std::int64_t count = std::min(kBlock, positions - first);
        for (std::int64_t g = 0; g < l_.groups; ++g) {
          block(image, first, count, g, n * positions, out, scratch);
        }
      }
    }
    return out;
  }

 private:
  static constexpr std::int64_t kBlock = 256;  // positions; accumulators stay in cache

  void block(const std::int16_t* image, std::int64_t first, std::int64_t count,
             std::int64_t g, std::int64_t base, Tensor& out, Scratch& scratch) const {
    const std::int64_t width = panels_ * kDotPanel;
    auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, count * width);
    std::fill(acc, acc + count * width, 0);
    const std::int16_t* rows[kBlock];
    for (std::int64_t p = 0; p < count; ++p) {
      const std::int64_t top = (first + p) / l_.out_cols * l_.stride[0];
      const std::int64_t left = (first + p) % l_.out_cols * l_.stride[1];
      rows[p] =
          image + (top * l_.padded_cols() + left) * l_.channels + g * l_.group_channels;
    }
    kernel_.run({.rows = rows,
                 .offsets = offsets_,
                 .pairs = pairs_,
                 .weights = weights_.data() + g * panels_ * panel_step_,
                 .panel_step = panel_step_,
                 .acc = acc,
                 .acc_step = width},
                count, panels_);
    const std::int64_t outputs = l_.group_outputs;
    l_.requantiser.run(acc, width, count, g * outputs, outputs, out,
                       (base + first) * l_.out_channels + g * outputs, l_.out_channels);
  }

  /// [group][panel][segment][pair][16 outputs][2], zero where nothing is.
  void pack(const std::vector<std::int32_t>& centred) {
    weights_.assign(static_cast<std::size_t>(l_.groups * panels_ * panel_step_), 0);
    for (std::int64_t o = 0; o < l_.out_channels; ++o) {
      const std::int64_t g = o / l_.group_outputs, lane = o % l_.group_outputs;
      std::int16_t* panel = weights_.data() +
                            (g * panels_ + lane / kDotPanel) * panel_step_ +
                            lane % kDotPanel * 2;
      const std::int32_t* w = centred.data() + o * l_.taps();
      for (std::int64_t k = 0; k < l_.taps(); ++k) {
        const std::int64_t segment = k / run_, i = k % run_;
        panel[(segment * pairs_ + i / 2) * 2 * kDotPanel + i % 2] =
            static_cast<std::int16_t>(w[k]);
      }
    }
  }

  ConvLayer l_;
  DotKernel kernel_;
  std::int64_t run_ = 0, pairs_ = 0, panels_ = 0, panel_step_ = 0;
  std::vector<std::int64_t> offsets_;  // of each run from a window's first code
  std::vector<std::int16_t> weights_;
};

/// One input channel for each output channel; contiguous in channels, exact in int32
/// because the accumulator is proven to fit 32 bits.
struct DepthwiseConv {
  ConvLayer l;
  std::vector<std::int32_t> weights;  // [KH][KW][C], centred

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    const std::int64_t channels = l.channels;
    auto* acc = scratch.take<std::int32_t>(Scratch::Accumulators, l.out_cols * channels);
    for (std::int64_t n = 0; n < l.batch; ++n) {
      const auto* image = padded_image<std::int32_t>(l, in[0], n, scratch);
      for (std::int64_t oh = 0; oh < l.out_rows; ++oh) {
        std::fill(acc, acc + l.out_cols * channels, 0);
        for (std::int64_t ow = 0; ow < l.out_cols; ++ow) {
          const std::int32_t* w = weights.data();
          for (std::int64_t kh = 0; kh < l.kernel_rows; ++kh) {
            const std::int64_t row = oh * l.stride[0] + kh * l.dilation[0];
            for (std::int64_t kw = 0; kw < l.kernel_cols; ++kw, w += channels) {
              const std::int64_t col = ow * l.stride[1] + kw * l.dilation[1];
              loops::add_products(image + (row * l.padded_cols() + col) * channels, w,
                                  channels, acc + ow * channels);
            }
          }
        }
        l.requantiser.run(acc, l.out_cols, 0, channels, out,
                          (n * l.out_rows + oh) * l.out_cols * channels);
      }
    }
    return out;
  }
};

/// The equation itself.
struct PlainConv {
  ConvLayer l;
  std::vector<std::int32_t> weights;  // [O][KH][KW][Cg], centred

  Tensor operator()(std::span<const Tensor> in, Scratch& scratch) const {
    Tensor out = Tensor::zeros(l.out_dtype, l.out_shape);
    auto* acc = scratch.take<std::int64_t>(Scratch::Accumulators, l.out_channels);
    for (std::int64_t n = 0; n < l.batch; ++n) {
      const auto* image = padded_image<std::int32_t>(l, in[0], n, scratch);
      for (std::int64_t p = 0; p < l.out_rows * l.out_cols; ++p) {
        for (std::int64_t o = 0; o < l.out_channels; ++o) acc[o] = sum(image, p, o);
        write(acc, n * l.out_rows * l.out_cols + p, out);
      }
    }
    return out;
  }

  std::int64_t sum(const std::int32_t* image, std::int64_t p, std::int64_t o) const {
    const std::int64_t group = o / l.group_outputs;
    const std::int32_t* w = weights.data() + o * l.taps();
    std::int64_t acc = 0;
    for (std::int64_t kh = 0; kh < l.kernel_rows; ++kh) {
      const std::int64_t row = p / l.out_cols * l.stride[0] + kh * l.dilation[0];
      for (std::int64_t kw = 0; kw < l.kernel_cols; ++kw) {
        const std::int64_t col = p % l.out_cols * l.stride[1] + kw * l.dilation[1];
        const std::int32_t* x =
            image + (row * l.padded_cols() + col) * l.channels + group * l.group_channels;
        for (std::int64_t c = 0; c < l.group_channels; ++c) {
          acc += static_cast<std::int64_t>(x[c]) * *w++;
        }
      }
    }
    return acc;
  }

  void write(const std::int64_t* acc, std::int64_t position, Tensor& out) const {
    l.requantiser.run(acc, 1, 0, l.out_channels, out, position * l.out_channels);
  }
};

/// Both factors fit 16 bits; the accumulator is proven to fit 32, pair sums included
/// (N38).
Kernel dot_conv(const ConvLayer& layer, const std::vector<std::int32_t>& centred) {
  const auto fits = [](std::int64_t x) { return x >= INT16_MIN && x <= INT16_MAX; };
  if (layer.requantiser.is_wide() || dot_kernels().empty()) return {};
  if (!fits(layer.centred_range.lo) || !fits(layer.centred_range.hi)) return {};
  if (!std::all_of(centred.begin(), centred.end(), fits)) return {};
  return DotConv(layer, centred, dot_kernels().front());
}

template <class Real>
Kernel gemm_conv(const ConvLayer& layer, const std::vector<std::int32_t>& centred) {
  std::vector<std::int64_t> cuts = exact_pieces(
      centred, layer.taps(), layer.centred_range, exact_limit<Real>(), kMaxPieces);
  if (cuts.empty()) return {};
  return GemmConv<Real>{layer, {centred.begin(), centred.end()}, std::move(cuts)};
}

std::vector<std::int32_t> channels_last(const ConvLayer& l,
                                        const std::vector<std::int32_t>& centred) {
  std::vector<std::int32_t> result(centred.size());
  const std::int64_t taps = l.taps();
  for (std::int64_t o = 0; o < l.out_channels; ++o) {
    for (std::int64_t k = 0; k < taps; ++k) {
      result[static_cast<std::size_t>(k * l.out_channels + o)] =
          centred[static_cast<std::size_t>(o * taps + k)];
    }
  }
  return result;
}

}  // namespace

std::vector<std::int32_t> centred_weights(const NodeView& view) {
  const Tensor& w = view.constant(1, {DType::I8, DType::I16});
  const Tensor* zero = view.has(5) ? &view.constant(5, {DType::I16}) : nullptr;
  std::vector<std::int32_t> result(static_cast<std::size_t>(w.size()));
  const std::int64_t outputs = w.shape().at(0);
  const std::int64_t taps = outputs == 0 ? 0 : w.size() / outputs;
  for (std::int64_t o = 0; o < outputs; ++o) {
    load_centred(w, o * taps, taps, zero ? zero->integer_at(o) : 0,
                 result.data() + o * taps);
  }
  return result;
}

Kernel prepare(const NodeView& view, const op::QConv2d& o) {
  const ConvLayer layer = conv_layer(view, o);
  const std::vector<std::int32_t> centred = centred_weights(view);
  const bool depthwise =
      layer.groups == layer.channels && layer.groups == layer.out_channels;
  if (view.arithmetic == Arithmetic::Fastest && depthwise &&
      !layer.requantiser.is_wide()) {
    return DepthwiseConv{layer, channels_last(layer, centred)};
  }
  Kernel kernel;
  if (view.arithmetic == Arithmetic::Fastest) kernel = dot_conv(layer, centred);
  if (!kernel && view.arithmetic <= Arithmetic::Float32) {
    kernel = gemm_conv<float>(layer, centred);
  }
  if (!kernel && view.arithmetic != Arithmetic::Plain) {
    kernel = gemm_conv<double>(layer, centred);
  }
  if (!kernel) kernel = PlainConv{layer, centred};
  return kernel;
}

}  // namespace qopt
