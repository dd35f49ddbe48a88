// SPDX-License-Identifier: MIT
#include "lib/data/preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "lib/data/source.h"

namespace qopt::data {
namespace {

constexpr int kWeightBits = 22;             // Pillow's 32 - 8 - 2
constexpr std::int64_t kMaxSide = 1 << 16;  // of a declared size, in pixels

/// For each output position: the first input position and the Q22 weights from there on.
struct Taps {
  std::vector<std::int64_t> first;
  std::vector<std::size_t> begin;  // into `weights`; one more entry than positions
  std::vector<std::int32_t> weights;
};

Taps triangle_taps(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0);
  Taps taps;
  taps.begin.push_back(0);
  std::vector<double> w;
  for (std::int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto lo =
        std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const auto hi =
        std::min<std::int64_t>(in, static_cast<std::int64_t>(centre + support + 0.5));
    w.clear();
    double sum = 0;
    for (std::int64_t x = lo; x < hi; ++x) {
      const double distance = std::abs((static_cast<double>(x) - centre + 0.5) / support);
      w.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += w.back();
    }
    for (double value : w) {
      taps.weights.push_back(
          static_cast<std::int32_t>(0.5 + value / sum * (1 << kWeightBits)));
    }
    taps.first.push_back(lo);
    taps.begin.push_back(taps.weights.size());
  }
  return taps;
}

/// One pass along an axis of `from` seen as [outer, in, inner].
std::vector<std::uint8_t> resample(const std::vector<std::uint8_t>& from,
                                   std::int64_t outer, std::int64_t in,
                                   std::int64_t inner, std::int64_t out) {
  const Taps taps = triangle_taps(in, out);
  std::vector<std::uint8_t> to(static_cast<std::size_t>(outer * out * inner));
  for (std::int64_t o = 0; o < outer; ++o) {
    const std::uint8_t* src = from.data() + o * in * inner;
    std::uint8_t* dst = to.data() + o * out * inner;
    for (std::int64_t i = 0; i < out; ++i) {
      const auto at = static_cast<std::size_t>(i);
      for (std::int64_t k = 0; k < inner; ++k) {
        std::int64_t sum = 1 << (kWeightBits - 1);
        const std::uint8_t* p = src + taps.first[at] * inner + k;
        for (std::size_t t = taps.begin[at]; t < taps.begin[at + 1]; ++t, p += inner) {
          sum += std::int64_t{*p} * taps.weights[t];
        }
        dst[i * inner + k] = static_cast<std::uint8_t>(
            std::clamp<std::int64_t>(sum >> kWeightBits, 0, 255));
      }
    }
  }
  return to;
}

void check_pixels(std::int64_t height, std::int64_t width, const std::string& where) {
  if (height > kMaxPixels || width > kMaxPixels || height * width > kMaxPixels) {
    fail(where, fmt::format("resizing needs {}x{} pixels, more than {}", height, width,
                            kMaxPixels));
  }
}

/// mean or stddev for channel c.
double entry(const std::vector<double>& values, std::size_t c, double otherwise) {
  if (values.empty()) return otherwise;
  return values.size() == 1 ? values[0] : values[c];
}

void check_channel_count(const Preprocess& p, std::int64_t channels,
                         const std::string& where) {
  for (const std::vector<double>* values : {&p.mean, &p.stddev}) {
    if (values->size() > 1 && values->size() != static_cast<std::size_t>(channels)) {
      fail(where,
           fmt::format("{} has {} entries, the sample has {} channels",
                       values == &p.mean ? "mean" : "std", values->size(), channels));
    }
  }
}

float normalised(double x, const Preprocess& p, std::size_t c) {
  return static_cast<float>((x * p.scale - entry(p.mean, c, 0.0)) /
                            entry(p.stddev, c, 1.0));
}

}  // namespace

void check_preprocess(const Preprocess& p) {
  const auto check_side = [](std::int64_t side, const char* name) {
    if (side < 1 || side > kMaxSide) {
      fail("", fmt::format("{} to {} pixels, 1 to {} expected", name, side, kMaxSide));
    }
  };
  if (p.resize_shorter && p.resize)
    fail("", "both resize and resize_shorter are declared");
  if (p.resize_shorter) check_side(*p.resize_shorter, "resize_shorter");
  for (const auto* size : {&p.resize, &p.crop}) {
    if (!*size) continue;
    for (std::int64_t side : **size)
      check_side(side, size == &p.crop ? "crop" : "resize");
  }
  if (p.channels && *p.channels != 1 && *p.channels != 3) {
    fail("", fmt::format("{} channels, 1 (grey) or 3 (colour) expected", *p.channels));
  }
  if (!std::isfinite(p.scale)) fail("", "scale is not a finite number");
  for (double m : p.mean) {
    if (!std::isfinite(m)) fail("", "mean is not a finite number");
  }
  for (double s : p.stddev) {
    if (!std::isfinite(s) || s <= 0) fail("", "std must be above 0");
  }
}

Picture with_channels(Picture picture, std::int64_t channels) {
  if (picture.channels == channels) return picture;
  Picture out{picture.height, picture.width, channels, {}};
  const std::size_t area = static_cast<std::size_t>(picture.height * picture.width);
  if (channels == 3) {
    out.pixels.reserve(area * 3);
    for (std::uint8_t grey : picture.pixels) out.pixels.insert(out.pixels.end(), 3, grey);
  } else {
    out.pixels.resize(area);
    for (std::size_t i = 0; i < area; ++i) {
      const std::uint8_t* p = &picture.pixels[i * 3];
      out.pixels[i] = static_cast<std::uint8_t>(
          (p[0] * 19595U + p[1] * 38470U + p[2] * 7471U + 0x8000U) >> 16);
    }
  }
  return out;
}

Picture resize(const Picture& from, std::int64_t height, std::int64_t width,
               const std::string& where) {
  check_pixels(from.height, width, where);
  check_pixels(height, width, where);
  Picture out = from;
  if (width != out.width) {
    out.pixels = resample(out.pixels, out.height, out.width, out.channels, width);
    out.width = width;
  }
  if (height != out.height) {
    out.pixels = resample(out.pixels, 1, out.height, out.width * out.channels, height);
    out.height = height;
  }
  return out;
}

Picture centre_crop(const Picture& from, std::int64_t height, std::int64_t width,
                    const std::string& where) {
  if (height > from.height || width > from.width) {
    fail(where,
         fmt::format("crop of {}x{} is larger than the image, {}x{}", height, width,
                     from.height, from.width),
         "declare a resize before the crop");
  }
  const auto half = [](std::int64_t rest) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(rest) / 2.0));
  };
  const std::int64_t top = half(from.height - height), left = half(from.width - width);
  Picture out{height, width, from.channels, {}};
  out.pixels.reserve(static_cast<std::size_t>(height * width * from.channels));
  for (std::int64_t y = 0; y < height; ++y) {
    const auto row =
        from.pixels.begin() + ((top + y) * from.width + left) * from.channels;
    out.pixels.insert(out.pixels.end(), row, row + width * from.channels);
  }
  return out;
}

Tensor preprocess_picture(Picture picture, const Preprocess& p,
                          const std::string& where) {
  if (p.channels) picture = with_channels(std::move(picture), *p.channels);
  if (p.resize) {
    picture = resize(picture, (*p.resize)[0], (*p.resize)[1], where);
  } else if (p.resize_shorter) {
    const std::int64_t shorter = std::min(picture.height, picture.width);
    const std::int64_t longer = std::max(picture.height, picture.width);
    const std::int64_t to = *p.resize_shorter * longer / shorter;
    const bool is_tall = picture.height > picture.width;
    picture = resize(picture, is_tall ? to : *p.resize_shorter,
                     is_tall ? *p.resize_shorter : to, where);
  }
  if (p.crop) picture = centre_crop(picture, (*p.crop)[0], (*p.crop)[1], where);
  check_channel_count(p, picture.channels, where);

  const auto channels = static_cast<std::size_t>(picture.channels);
  const std::size_t area = picture.pixels.size() / channels;
  Tensor out =
      Tensor::zeros(DType::F32, {1, picture.channels, picture.height, picture.width});
  const std::span<float> values = out.mutable_values<float>();
  for (std::size_t c = 0; c < channels; ++c) {
    std::array<float, 256> table;
    for (std::size_t v = 0; v < table.size(); ++v) {
      table[v] = normalised(static_cast<double>(v), p, c);
    }
    for (std::size_t i = 0; i < area; ++i) {
      values[c * area + i] = table[picture.pixels[i * channels + c]];
    }
  }
  return out;
}

Tensor preprocess_array(Tensor array, const Preprocess& p, const std::string& where) {
  if (p.resize || p.resize_shorter || p.crop || p.channels) {
    fail(where,
         fmt::format(
             "resize, crop and channels need 8-bit images of 1 or 3 channels, these "
             "samples are {}",
             shape_text(array.shape())),
         "save the array at the size the model wants");
  }
  if (p == Preprocess{}) return array;
  const std::int64_t channels = array.shape().size() > 1 ? array.shape()[1] : 1;
  check_channel_count(p, channels, where);
  const std::span<float> values = array.mutable_values<float>();
  const std::size_t inner = values.size() / static_cast<std::size_t>(channels);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = normalised(values[i], p, i / inner);
  }
  return array;
}

}  // namespace qopt::data
