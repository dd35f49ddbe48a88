// SPDX-License-Identifier: MIT
#include "lib/export/bit_panels.h"

#include <algorithm>

#include "lib/core/error.h"

namespace qopt::emit {
namespace {

constexpr std::int64_t kWordCodes = 64;
constexpr int kMaxBits = 4;

int bits_for(std::int64_t levels) {
  int bits = 1;
  while ((std::int64_t{1} << bits) < levels) ++bits;
  return bits;
}

/// Where the bits of a weight lie.
class PanelLayout {
 public:
  PanelLayout(const Shape& shape, int bits)
      : bits_(bits),
        channels_(shape[3]),
        words_((shape[3] + kWordCodes - 1) / kWordCodes),
        depth_(shape[1] * shape[2] * words_) {}

  /// Byte of plane 0 of code `index` (of the dense tensor), and its bit in that byte.
  std::pair<std::size_t, unsigned> at(std::int64_t index) const {
    const std::int64_t channel = index % channels_, tap = index / channels_;
    const std::int64_t taps = depth_ / words_;
    const std::int64_t o = tap / taps;
    const std::int64_t word = tap % taps * words_ + channel / kWordCodes;
    const bool is_single = word + 1 == depth_ && depth_ % 2 == 1;
    const std::int64_t in_plane =
        is_single ? 4 * word + o % 4 : word / 2 * 8 + o % 4 * 2 + word % 2;
    const std::int64_t in_word = channel % kWordCodes;
    return {static_cast<std::size_t>((o / 4 * bits_ * 4 * depth_ + in_plane) * 8 +
                                     in_word % 8),
            static_cast<unsigned>(in_word / 8)};
  }
  std::size_t plane_bytes() const { return static_cast<std::size_t>(depth_ * 32); }

 private:
  std::int64_t bits_, channels_, words_, depth_;
};

}  // namespace

std::optional<BitLevels> bit_levels(const Tensor& codes) {
  if (codes.dtype() != DType::I8 || codes.size() == 0) return std::nullopt;
  const auto values = codes.values<std::int8_t>();
  const auto [least, greatest] = std::ranges::minmax(values);
  BitLevels levels;
  levels.lowest = least;
  const bool is_even = std::ranges::all_of(
      values, [low = int{least}](std::int8_t code) { return (code - low) % 2 == 0; });
  levels.step = is_even && greatest > least ? 2 : 1;
  levels.bits = bits_for((int{greatest} - int{least}) / levels.step + 1);
  if (levels.bits > kMaxBits) return std::nullopt;
  return levels;
}

std::uint64_t panel_bytes(const Shape& shape, int bits) {
  const std::int64_t words = (shape[3] + kWordCodes - 1) / kWordCodes;
  return static_cast<std::uint64_t>((shape[0] + 3) / 4 * bits *
                                    (shape[1] * shape[2] * words) * 32);
}

std::string pack_panels(const Tensor& codes, const BitLevels& levels) {
  QOPT_CHECK(codes.shape().size() == 4, "panels of rank {}", codes.shape().size());
  const PanelLayout layout(codes.shape(), levels.bits);
  std::string out(panel_bytes(codes.shape(), levels.bits), '\0');
  const auto values = codes.values<std::int8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int above = values[i] - levels.lowest;
    QOPT_CHECK(
        above >= 0 && above % levels.step == 0 && above / levels.step < 1 << levels.bits,
        "code {} in panels of {} bits from {}", int{values[i]}, levels.bits,
        levels.lowest);
    const auto [byte, bit] = layout.at(static_cast<std::int64_t>(i));
    for (int plane = 0; plane < levels.bits; ++plane) {
      char& target = out[byte + static_cast<std::size_t>(plane) * layout.plane_bytes()];
      const unsigned value = static_cast<unsigned>(above / levels.step) >> plane & 1U;
      target = static_cast<char>(static_cast<unsigned char>(target) | value << bit);
    }
  }
  return out;
}

Tensor unpack_panels(std::string_view bytes, const Shape& shape,
                     const BitLevels& levels) {
  QOPT_CHECK(shape.size() == 4 && bytes.size() == panel_bytes(shape, levels.bits),
             "{} bytes of panels for {}", bytes.size(), shape_text(shape));
  const PanelLayout layout(shape, levels.bits);
  Tensor tensor = Tensor::zeros(DType::I8, shape);
  const auto values = tensor.mutable_values<std::int8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto [byte, bit] = layout.at(static_cast<std::int64_t>(i));
    int code = levels.lowest;
    for (int plane = 0; plane < levels.bits; ++plane) {
      const auto source = static_cast<unsigned char>(
          bytes[byte + static_cast<std::size_t>(plane) * layout.plane_bytes()]);
      if ((source >> bit & 1U) != 0) code += levels.step << plane;
    }
    values[i] = static_cast<std::int8_t>(code);
  }
  return tensor;
}

std::optional<BitSerial> bit_serial_form(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<op::QConv2d>(&node.op);
  if (conv == nullptr || conv->groups != 1 || conv->acc_bits > 32) return std::nullopt;
  const Value& x = graph.value(node.inputs[0]);
  const Value& w = graph.value(node.inputs[1]);
  if (x.dtype != DType::I8 || graph.value(node.output).dtype != DType::I8 ||
      graph.value(node.inputs[2]).dtype != DType::I32 || !w.constant) {
    return std::nullopt;
  }
  const auto* codes = x.encoding ? std::get_if<Affine>(&*x.encoding) : nullptr;
  const std::optional<BitLevels> levels = bit_levels(*w.constant);
  if (codes == nullptr || codes->bits > 8 || !levels) return std::nullopt;
  BitSerial form{*levels, stored_min(*codes), 1};
  form.x_bits = bits_for(std::int64_t{stored_max(*codes)} - form.x_lo + 1);
  const std::int64_t above = conv->x_zero - form.x_lo;
  if (form.x_bits > kMaxBits || above < 0 || above >= 1 << form.x_bits) {
    return std::nullopt;
  }
  const std::int64_t channels = w.shape[3];
  const std::int64_t words = (channels + kWordCodes - 1) / kWordCodes;
  const std::int64_t row = w.shape[1] * w.shape[2] * channels;
  const std::int64_t rows_bytes =
      w.shape[0] * ((row * std::max<std::int64_t>(conv->weight_bits, 1) + 7) / 8);
  if (w.shape[1] * w.shape[2] * words < 2 ||
      panel_bytes(w.shape, levels->bits) > static_cast<std::uint64_t>(rows_bytes)) {
    return std::nullopt;
  }
  return form;
}

}  // namespace qopt::emit
