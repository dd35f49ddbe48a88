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

/// round_half_even(real / scale) + zero_point, clamped to [lo, hi] while still a float.
std::int32_t quantize(float real, float scale, std::int32_t zero_point, std::int32_t lo,
                      std::int32_t hi) {
  if (std::isnan(real)) return zero_point;
  const double code = static_cast<double>(std::nearbyint(real / scale)) + zero_point;
  return static_cast<std::int32_t>(
      std::clamp(code, static_cast<double>(lo), static_cast<double>(hi)));
}

template <class T>
Tensor encode_as(const Tensor& real, const Affine& encoding) {
  const ChannelWalk walk = channel_walk(encoding, real.shape());
  const std::int32_t lo = code_min(encoding.levels, encoding.bits);
  const std::int32_t hi = code_max(encoding.levels, encoding.bits);
  const std::int32_t offset = storage_offset(encoding);
  Tensor out = Tensor::zeros(dtype_of<T>(), real.shape());
  const float* from = real.values<float>().data();
  T* to = out.mutable_values<T>().data();
  for (std::int64_t o = 0; o < walk.outer; ++o) {
    for (std::int64_t c = 0; c < walk.channels; ++c) {
      const float scale = encoding.scale[static_cast<std::size_t>(c)];
      const std::int32_t zero = encoding.zero_point[static_cast<std::size_t>(c)];
      for (std::int64_t i = 0; i < walk.inner; ++i) {
        *to++ = static_cast<T>(quantize(*from++, scale, zero, lo, hi) - offset);
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
  if (!((e.bits >= 2 && e.bits <= 8) || e.bits == 16)) {
    return fmt::format("{} bits; must be 2 to 8, or 16", e.bits);
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
    if (zero < code_min(e.levels, e.bits) || zero > code_max(e.levels, e.bits)) {
      return fmt::format("zero point {} of channel {} is no code of {}{}", zero, c,
                         level_set_name(e.levels), e.bits);
    }
    if (e.levels == LevelSet::N && zero != 0) {
      return fmt::format("zero point {} of channel {}; n is symmetric, so it must be 0",
                         zero, c);
    }
  }
  return std::nullopt;
}

}  // namespace

std::int32_t code_min(LevelSet levels, int bits) {
  switch (levels) {
    case LevelSet::U: return 0;
    case LevelSet::S: return -(1 << (bits - 1));
    case LevelSet::N: return -((1 << (bits - 1)) - 1);
  }
  throw InternalError("unknown level set");
}

std::int32_t code_max(LevelSet levels, int bits) {
  switch (levels) {
    case LevelSet::U: return (1 << bits) - 1;
    case LevelSet::S:
    case LevelSet::N: return (1 << (bits - 1)) - 1;
  }
  throw InternalError("unknown level set");
}

std::string_view level_set_name(LevelSet levels) {
  switch (levels) {
    case LevelSet::U: return "u";
    case LevelSet::S: return "s";
    case LevelSet::N: return "n";
  }
  throw InternalError("unknown level set");
}

std::optional<LevelSet> parse_level_set(std::string_view text) {
  for (LevelSet levels : {LevelSet::U, LevelSet::S, LevelSet::N}) {
    if (level_set_name(levels) == text) return levels;
  }
  return std::nullopt;
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
                  code_min(encoding.levels, encoding.bits),
                  code_max(encoding.levels, encoding.bits));
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
