// SPDX-License-Identifier: MIT
#include "lib/data/image.h"

#include <cstdlib>

#include "lib/core/rng.h"
#include "lib/data/dataset.h"
#include "tests/data/fixtures.h"
#include "tests/data/support.h"

namespace qopt::data {
namespace {

using Pixels = std::vector<std::uint8_t>;

const Pixels kColours = {0,  0,   255, 60, 20,  225, 120, 40,  195, 180, 60,  165,
                         5,  90,  215, 65, 110, 185, 125, 130, 155, 185, 150, 125,
                         10, 180, 175, 70, 200, 145, 130, 220, 115, 190, 240, 85};

TEST_CASE("PNG of every kind gives Pillow's pixels") {
  for (const std::string_view file : {kFilePngRgb, kFilePngRgba, kFilePngPalette}) {
    const Picture picture = decode_image(bytes_of(unhex(file)), "f");
    CHECK(picture.height == 3);
    CHECK(picture.width == 4);
    CHECK(picture.channels == 3);
    CHECK(picture.pixels == kColours);
  }
  const Picture bits = decode_image(bytes_of(unhex(kFilePngBits)), "f");
  CHECK(bits.channels == 1);
  CHECK(bits.pixels == Pixels{0, 255, 0, 255, 255, 0, 255, 0, 0, 255, 0, 255});
  const Picture deep = decode_image(bytes_of(unhex(kFilePng16)), "f");
  CHECK(deep.pixels == Pixels{1, 63, 125, 188, 5, 67, 129, 191, 9, 71, 133, 195});
}

void check_near(const Picture& picture, const std::vector<int>& expected) {
  const std::size_t n = static_cast<std::size_t>(picture.channels);
  REQUIRE(picture.pixels.size() == 256 * n);
  const std::size_t at[4] = {0, 15, 8 * 16 + 7, 255};
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t c = 0; c < n; ++c) {
      // Versions of libjpeg-turbo may differ by one in the colour conversion.
      CHECK(std::abs(picture.pixels[at[i] * n + c] - expected[i * n + c]) <= 1);
    }
  }
}

TEST_CASE("JPEG of every kind gives Pillow's pixels") {
  const auto decoded = [](std::string_view hex) {
    return decode_image(bytes_of(unhex(hex)), "f");
  };
  check_near(decoded(kFileJpegRgb),
             {22, 30, 190, 194, 33, 127, 102, 127, 132, 197, 209, 75});
  check_near(decoded(kFileJpegProgressive),
             {21, 31, 188, 192, 35, 124, 105, 125, 132, 199, 209, 76});
  check_near(decoded(kFileJpegGrey), {46, 92, 120, 190});
  check_near(decoded(kFileJpegCmyk),
             {20, 30, 200, 200, 30, 125, 104, 126, 133, 200, 210, 65});
}

TEST_CASE("cut, damaged and foreign images are errors that name the file") {
  CHECK(has(data_error([] { decode_image(bytes_of("GIF89a"), "a.gif"); }),
            "a.gif: neither"));
  CHECK(has(data_error([] { decode_image({}, "a"); }), "neither"));
  for (const std::string_view hex : {kFilePngRgb, kFilePngPalette, kFileJpegRgb,
                                     kFileJpegProgressive, kFileJpegGrey}) {
    const std::string whole = unhex(hex);
    // Without the end marker alone a JPEG still has all its pixels, so cut more.
    for (std::size_t size = 0; size + 12 < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      CHECK(
          has(data_error([&] { decode_image(bytes_of(cut), "cut.img"); }), "cut.img: "));
    }
  }
  std::string bad_sum = unhex(kFilePngRgb);
  bad_sum[50] = static_cast<char>(bad_sum[50] ^ 4);
  CHECK(
      has(data_error([&] { decode_image(bytes_of(bad_sum), "f"); }), "cannot read PNG"));
}

TEST_CASE("random bytes after the magic never crash") {
  Rng rng(3);
  for (const std::string_view hex : {kFilePngRgb, kFilePngPalette, kFileJpegRgb,
                                     kFileJpegProgressive, kFileJpegCmyk}) {
    for (int round = 0; round < 200; ++round) {
      std::string file = unhex(hex);
      for (int k = 0; k < 4; ++k) {
        file[static_cast<std::size_t>(rng.below(file.size()))] =
            static_cast<char>(rng.next());
      }
      data_error([&] { decode_image(bytes_of(file), "f"); });
    }
  }
}

TEST_CASE("images that claim a huge size are refused before memory is taken") {
  std::string png = unhex(kFilePngRgb);
  png[16] = 0x10;  // the width's high byte; its check sum is wrong, too
  CHECK(has(data_error([&] { decode_image(bytes_of(png), "f"); }), "cannot read PNG"));
  std::string jpeg = unhex(kFileJpegGrey);
  const std::size_t frame = jpeg.find("\xFF\xC0");
  jpeg.replace(frame + 5, 4, std::string("\xFF\0\xFF\0", 4));
  CHECK(
      has(data_error([&] { decode_image(bytes_of(jpeg), "f"); }), "65280x65280 pixels"));
}

TEST_CASE("image folders: classes by name, lazily decoded, grey and colour alike") {
  const TestFolder folder;
  folder.write("set/zebra/b.PNG", unhex(kFilePngRgb));
  folder.write("set/zebra/deep/a.png", unhex(kFilePngBits));
  folder.write("set/ant/1.jpg", unhex(kFileJpegGrey));
  folder.write("set/ant/notes.txt", "not an image");
  folder.write("set/.hidden/x.png", unhex(kFilePngRgb));
  DatasetSpec spec{.format = "image_folder"};
  spec.folder = folder.path() / "set/";
  spec.preprocess.resize = {4, 4};
  const auto dataset = open_dataset(spec);
  REQUIRE(dataset->size() == 3);
  CHECK(dataset->class_names() == std::vector<std::string>{"ant", "zebra"});
  CHECK(dataset->description() == "image_folder: set, 3 images, 2 classes");
  CHECK(dataset->sample(0).label == 0);
  CHECK(dataset->sample(1).label == 1);
  for (std::int64_t i = 0; i < 3; ++i) {
    CHECK(dataset->sample(i).inputs[0].shape() == Shape{1, 3, 4, 4});
  }

  folder.write("set/ant/broken.jpg", "no image");
  const auto with_broken = open_dataset(spec);
  CHECK(with_broken->size() == 4);
  CHECK(has(data_error([&] { with_broken->sample(1); }), "broken.jpg: neither"));

  folder.write("set/loose.png", unhex(kFilePngRgb));
  CHECK(has(data_error([&] { open_dataset(spec); }), "images beside class folders"));
  folder.write("other/empty_class/notes.txt", "");
  spec.folder = folder.path() / "other";
  CHECK(has(data_error([&] { open_dataset(spec); }), "empty_class: class folder has no"));
  spec.folder = folder.path() / "nowhere";
  CHECK(has(data_error([&] { open_dataset(spec); }), "no such folder"));
  std::filesystem::create_directory(folder.path() / "void");
  spec.folder = folder.path() / "void";
  CHECK(has(data_error([&] { open_dataset(spec); }), "empty"));

  folder.write("flat/1.png", unhex(kFilePngRgb));
  spec.folder = folder.path() / "flat";
  CHECK_FALSE(open_dataset(spec)->sample(0).label.has_value());
  spec.preprocess = {};
  spec.preprocess.crop = {4, 4};
  CHECK(has(data_error([&] { open_dataset(spec)->sample(0); }),
            "1.png: crop of 4x4 is larger"));
}

}  // namespace
}  // namespace qopt::data
