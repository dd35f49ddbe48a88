// SPDX-License-Identifier: MIT
// Preprocessing: pixels to the float tensor a model was trained on, by the declared
// steps. Knows no file format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/core/tensor.h"
#include "lib/data/dataset.h"

namespace qopt::data {

/// 8-bit pixels, row by row, channels innermost (1 grey, 3 red-green-blue).
struct Picture {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

/// Error(Data) when the declaration itself is impossible.
void check_preprocess(const Preprocess& preprocess);

/// Grey by ITU-R 601-2 luma in Q16 (19595, 38470, 7471, half up), as Pillow; or grey
/// repeated.
Picture with_channels(Picture picture, std::int64_t channels);

/// Bilinear with the triangle widened by the reduction (antialiased), horizontal before
/// vertical, weights in Q22, each pass rounded to 8 bits: the same integers as Pillow
/// and, through it, torchvision's Resize on images.
Picture resize(const Picture& picture, std::int64_t height, std::int64_t width,
               const std::string& where);

/// Centre crop; an odd rest rounds as torchvision's (half to even).
Picture centre_crop(const Picture& picture, std::int64_t height, std::int64_t width,
                    const std::string& where);

/// All declared steps: f32 [1,C,H,W].
Tensor preprocess_picture(Picture picture, const Preprocess& preprocess,
                          const std::string& where);

/// Scale, mean and standard deviation on f32 [1,C,...]. Resize, crop and channels need
/// 8-bit images and are Error(Data) here.
Tensor preprocess_array(Tensor array, const Preprocess& preprocess,
                        const std::string& where);

}  // namespace qopt::data
