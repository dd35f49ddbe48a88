// SPDX-License-Identifier: MIT
#include "lib/data/image.h"

#include <algorithm>
#include <array>

namespace qopt::data {
namespace {

bool starts_with(Bytes file, std::span<const std::uint8_t> magic) {
  return file.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), file.begin());
}

}  // namespace

Picture decode_image(Bytes file, const std::string& where) {
  constexpr std::array<std::uint8_t, 3> kJpeg = {0xFF, 0xD8, 0xFF};
  constexpr std::array<std::uint8_t, 8> kPng = {0x89, 'P',  'N',  'G',
                                                '\r', '\n', 0x1A, '\n'};
  if (starts_with(file, kJpeg)) return decode_jpeg(file, where);
  if (starts_with(file, kPng)) return decode_png(file, where);
  fail(where, "neither a JPEG nor a PNG file (by its first bytes)");
}

}  // namespace qopt::data
