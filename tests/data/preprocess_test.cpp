// SPDX-License-Identifier: MIT
#include "lib/data/preprocess.h"

#include "tests/data/support.h"

namespace qopt::data {
namespace {

Picture pattern() {
  Picture picture{9, 13, 3, {}};
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 13; ++x) {
      for (const int v : {x * 31 + y * 17, x * 7 + y * 53 + 101, x * x * 3 + y * y * 5}) {
        picture.pixels.push_back(static_cast<std::uint8_t>(v % 256));
      }
    }
  }
  return picture;
}

std::uint64_t fnv(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::uint8_t b : bytes) hash = (hash ^ b) * 0x100000001b3;
  return hash;
}

// Expected values: Pillow 9.4, Image.resize((w, h), BILINEAR).
TEST_CASE("resizing gives Pillow's integers") {
  const Picture small = resize(pattern(), 4, 5, "f");
  CHECK(small.height == 4);
  CHECK(small.width == 5);
  CHECK(small.pixels == std::vector<std::uint8_t>{
                            47,  152, 12,  118, 169, 43,  186, 171, 117, 94,  154, 162,
                            97,  171, 125, 82,  91,  51,  153, 108, 82,  172, 104, 149,
                            74,  75,  119, 132, 92,  132, 120, 125, 137, 178, 142, 156,
                            101, 147, 144, 99,  159, 113, 170, 176, 127, 155, 137, 138,
                            158, 154, 95,  66,  97,  123, 134, 80,  126, 205, 97,  132});
  CHECK(fnv(small.pixels) == 0x9385ae1eab3c359a);
  CHECK(fnv(resize(pattern(), 20, 16, "f").pixels) == 0xf7aa33c1b23d9560);
  CHECK(fnv(resize(pattern(), 9, 6, "f").pixels) == 0x2938ce73ca2cc2fa);
  CHECK(fnv(resize(pattern(), 3, 13, "f").pixels) == 0x77583d6de062bc38);
  CHECK(resize(pattern(), 9, 13, "f").pixels == pattern().pixels);
}

TEST_CASE("colour to grey gives Pillow's luma, grey to colour repeats") {
  const Picture grey = with_channels(pattern(), 1);
  CHECK(std::vector<std::uint8_t>(grey.pixels.begin(), grey.pixels.begin() + 13) ==
        std::vector<std::uint8_t>{59, 73, 87, 102, 118, 135, 152, 170, 188, 131, 122, 142,
                                  163});
  const Picture back = with_channels(grey, 3);
  CHECK(back.pixels[0] == 59);
  CHECK(back.pixels[2] == 59);
  CHECK(back.pixels[5] == 73);
}

TEST_CASE("the shorter side decides, the crop is central") {
  Preprocess p;
  p.resize_shorter = 18;
  p.crop = {16, 15};
  const Tensor out = preprocess_picture(pattern(), p, "f");  // 9x13 -> 18x26
  CHECK(out.shape() == Shape{1, 3, 16, 15});
  const Picture whole = resize(pattern(), 18, 26, "f");
  // top 1, left round_half_even(5.5) = 6
  CHECK(out.values<float>()[0] == whole.pixels[(1 * 26 + 6) * 3]);
  CHECK(out.values<float>()[16 * 15] == whole.pixels[(1 * 26 + 6) * 3 + 1]);
}

TEST_CASE("impossible declarations are errors") {
  const auto error = [](const Preprocess& p) {
    return data_error([&] {
      check_preprocess(p);
      preprocess_picture(pattern(), p, "img");
    });
  };
  CHECK(has(error({.resize_shorter = 4, .resize = {{2, 2}}}), "both resize"));
  CHECK(has(error({.resize_shorter = 0}), "resize_shorter to 0"));
  CHECK(has(error({.crop = {{0, 4}}}), "crop to 0"));
  CHECK(has(error({.stddev = {0.0}}), "std must be above 0"));
  CHECK(has(error({.mean = {1, 2}}), "img: mean has 2 entries, the sample has 3"));
  CHECK(has(error({.channels = 2}), "2 channels"));
  CHECK(has(error({.resize = {{65536, 65536}}}), "img: resizing needs"));
  CHECK(has(
      data_error([] {
        preprocess_array(Tensor::zeros(DType::F32, {1, 4}), {.crop = {{1, 1}}}, "a.npy");
      }),
      "a.npy: resize, crop and channels need 8-bit images"));
}

TEST_CASE("float arrays are scaled by channel") {
  const Preprocess p{.scale = 2.0, .mean = {1, 3}, .stddev = {1, 4}};
  const Tensor out = preprocess_array(
      Tensor::from(std::vector<float>{1, 2, 3, 5.5F}, {1, 2, 2}), p, "f");
  const std::span<const float> values = out.values<float>();
  CHECK(values[0] == 1.0F);
  CHECK(values[1] == 3.0F);
  CHECK(values[2] == 0.75F);
  CHECK(values[3] == 2.0F);
}

}  // namespace
}  // namespace qopt::data
