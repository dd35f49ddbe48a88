// SPDX-License-Identifier: MIT
// Encodings: code ranges, stored forms, and the one rounding from real numbers to codes.
// Chooses no scales; docs/numerics.md is its text.
#include "lib/graph/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace qopt {
namespace {

/// Extents before, along and after `axis`; one channel over everything when per tensor.
struct ChannelWalk {
  std::int64_t outer = 1, channels = 1, inner = 1;
};

ChannelWalk channel_walk(const Affine& encoding, const Shape& shape) {
  const std::optional<std::string> fault = encoding_fault(encoding, shape);
  QOPT_CHECK(!fault, "encoding of {}: {}", shape_text(shape), *fault);
  ChannelWalk walk;
  if (!encoding.axis) {
    walk.inner = num_elements(shape);
    return walk;
  }
  const auto axis = static_cast<std::size_t>(*encoding.axis);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    (i < axis ? walk.outer : i == axis ? walk.channels : walk.inner) *= shape[i];
  }
  return walk;
}

/// What the rounding of one number needs to know of its encoding.
struct Codes {
  explicit Codes(const Affine& e)
      : lo(code_min(e.levels, e.bits)),
        hi(code_max(e.levels, e.bits)),
        odd(e.levels == LevelSet::O) {}
  std::int32_t lo, hi;
  bool odd;
};

/// round_half_even(real / scale) + zero_point, or the nearest odd number, clamped to
/// [lo, hi] while still a float.
std::int32_t quantize(float real, float scale, std::int32_t zero_point,
                      const Codes& codes) {
  const float steps = std::isnan(real) ? 0.0F : real / scale;
  const double code = codes.odd
                          ? 2.0 * static_cast<double>(std::floor(steps * 0.5F)) + 1.0
                          : static_cast<double>(std::nearbyint(steps)) + zero_point;
  return static_cast<std::int32_t>(
      std::clamp(code, static_cast<double>(codes.lo), static_cast<double>(codes.hi)));
}

template <class T>
Tensor encode_as(const Tensor& real, const Affine& encoding) {
  const ChannelWalk walk = channel_walk(encoding, real.shape());
  const Codes codes(encoding);
  const std::int32_t offset = storage_offset(encoding);
  Tensor out = Tensor::zeros(dtype_of<T>(), real.shape());
  const float* from = real.values<float>().data();
  T* to = out.mutable_values<T>().data();
  for (std::int64_t o = 0; o < walk.outer; ++o) {
    for (std::int64_t c = 0; c < walk.channels; ++c) {
      const float scale = encoding.scale[static_cast<std::size_t>(c)];
      const std::int32_t zero = encoding.zero_point[static_cast<std::size_t>(c)];
      for (std::int64_t i = 0; i < walk.inner; ++i) {
        *to++ = static_cast<T>(quantize(*from++, scale, zero, codes) - offset);
      }
    }
  }
  return out;
}

template <class T>
Tensor decode_as(const Tensor& stored, const Affine& encoding) {
  const ChannelWalk walk = channel_walk(encoding, stored.shape());
  const std::int32_t offset = storage_offset(encoding);
  Tensor out = Tensor::zeros(DType::F32, stored.shape());
  const T* from = stored.values<T>().data();
  float* to = out.mutable_values<float>().data();
  for (std::int64_t o = 0; o < walk.outer; ++o) {
    for (std::int64_t c = 0; c < walk.channels; ++c) {
      for (std::int64_t i = 0; i < walk.inner; ++i) {
        *to++ = decode(*from++ + offset, encoding, static_cast<std::size_t>(c));
      }
    }
  }
  return out;
}

std::optional<std::string> affine_fault(const Affine& e, const Shape& shape) {
  if (const auto fault = bits_fault(e.levels, e.bits)) {
    return fmt::format("{} bits; {}", e.bits, *fault);
  }
  std::size_t entries = 1;
  if (e.axis) {
    if (*e.axis < 0 || static_cast<std::size_t>(*e.axis) >= shape.size()) {
      return fmt::format("axis {} of a value of rank {}", *e.axis, shape.size());
    }
    entries = static_cast<std::size_t>(shape[static_cast<std::size_t>(*e.axis)]);
  }
  if (e.scale.size() != entries || e.zero_point.size() != entries) {
    return fmt::format("{} scales and {} zero points where {} {} needed", e.scale.size(),
                       e.zero_point.size(), entries, entries == 1 ? "is" : "are");
  }
  for (std::size_t c = 0; c < entries; ++c) {
    if (!std::isfinite(e.scale[c]) || e.scale[c] <= 0.0F) {
      return fmt::format("scale {} of channel {}; must be finite and positive",
                         e.scale[c], c);
    }
    const std::int32_t zero = e.zero_point[c];
    if (is_symmetric(e.levels)) {
      if (zero == 0) continue;
      return fmt::format("zero point {} of channel {}; {} is symmetric, so it must be 0",
                         zero, c, level_set_name(e.levels));
    }
    if (!is_code(zero, e.levels, e.bits)) {
      return fmt::format("zero point {} of channel {} is no code of {}{}", zero, c,
                         level_set_name(e.levels), e.bits);
    }
  }
  return std::nullopt;
}

}  // namespace

std::int32_t code_min(LevelSet levels, int bits) {
  switch (levels) {
    case LevelSet::U: return 0;
    case LevelSet::S: return -(1 << (bits - 1));
    case LevelSet::N:
    case LevelSet::O:
    case LevelSet::T: return -code_max(levels, bits);
  }
  throw InternalError("unknown level set");
}

std::int32_t code_max(LevelSet levels, int bits) {
  switch (levels) {
    case LevelSet::U: return (1 << bits) - 1;
    case LevelSet::S:
    case LevelSet::N: return (1 << (bits - 1)) - 1;
    case LevelSet::O: return (1 << bits) - 1;
    case LevelSet::T: return 1;
  }
  throw InternalError("unknown level set");
}

std::string_view level_set_name(LevelSet levels) {
  switch (levels) {
    case LevelSet::U: return "u";
    case LevelSet::S: return "s";
    case LevelSet::N: return "n";
    case LevelSet::O: return "o";
    case LevelSet::T: return "t";
  }
  throw InternalError("unknown level set");
}

std::optional<LevelSet> parse_level_set(std::string_view text) {
  for (LevelSet levels :
       {LevelSet::U, LevelSet::S, LevelSet::N, LevelSet::O, LevelSet::T}) {
    if (level_set_name(levels) == text) return levels;
  }
  return std::nullopt;
}

std::optional<std::string> bits_fault(LevelSet levels, int bits) {
  switch (levels) {
    case LevelSet::U:
    case LevelSet::S:
      if ((bits >= 1 && bits <= 8) || bits == 16) return std::nullopt;
      return fmt::format("{} has 1 to 8 bits, or 16", level_set_name(levels));
    case LevelSet::N:
      if ((bits >= 2 && bits <= 8) || bits == 16) return std::nullopt;
      return "n has 2 to 8 bits, or 16";
    case LevelSet::O:  // 8 bits would not fit int8
      if (bits >= 1 && bits <= 7) return std::nullopt;
      return "o has 1 to 7 bits";
    case LevelSet::T:
      if (bits == 2) return std::nullopt;
      return "t has 2 bits";
  }
  throw InternalError("unknown level set");
}

bool has_zero(LevelSet levels) { return levels != LevelSet::O; }

bool is_symmetric(LevelSet levels) {
  return levels == LevelSet::N || levels == LevelSet::O || levels == LevelSet::T;
}

bool is_code(std::int32_t code, LevelSet levels, int bits) {
  return code >= code_min(levels, bits) && code <= code_max(levels, bits) &&
         (levels != LevelSet::O || code % 2 != 0);
}

DType storage_dtype(const Affine& encoding) {
  return encoding.bits <= 8 ? DType::I8 : DType::I16;
}

std::int32_t storage_offset(const Affine& encoding) {
  const bool fits =
      encoding.levels != LevelSet::U || (encoding.bits != 8 && encoding.bits != 16);
  return fits ? 0 : 1 << (encoding.bits - 1);
}

std::int32_t stored_min(const Affine& encoding) {
  return code_min(encoding.levels, encoding.bits) - storage_offset(encoding);
}

std::int32_t stored_max(const Affine& encoding) {
  return code_max(encoding.levels, encoding.bits) - storage_offset(encoding);
}

std::int32_t stored_zero_point(const Affine& encoding, std::size_t channel) {
  return encoding.zero_point.at(channel) - storage_offset(encoding);
}

std::int32_t encode(float real, const Affine& encoding, std::size_t channel) {
  return quantize(real, encoding.scale.at(channel), encoding.zero_point.at(channel),
                  Codes(encoding));
}

float decode(std::int32_t code, const Affine& encoding, std::size_t channel) {
  return encoding.scale.at(channel) *
         static_cast<float>(code - encoding.zero_point.at(channel));
}

Tensor encode_tensor(const Tensor& real, const Affine& encoding) {
  return storage_dtype(encoding) == DType::I8 ? encode_as<std::int8_t>(real, encoding)
                                              : encode_as<std::int16_t>(real, encoding);
}

Tensor decode_tensor(const Tensor& stored, const Affine& encoding) {
  return storage_dtype(encoding) == DType::I8 ? decode_as<std::int8_t>(stored, encoding)
                                              : decode_as<std::int16_t>(stored, encoding);
}

std::optional<std::string> encoding_fault(const Encoding& encoding, const Shape& shape) {
  return std::visit([&](const Affine& e) { return affine_fault(e, shape); }, encoding);
}

}  // namespace qopt
