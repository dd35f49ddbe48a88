// SPDX-License-Identifier: MIT
// libpng reports errors by a callback that must not return: it jumps back into `run`,
// whose frames hold nothing with a destructor.
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include "lib/data/image.h"

namespace qopt::data {
namespace {

class PngDecoder {
 public:
  explicit PngDecoder(Bytes file) : rest_(file) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error,
                                  [](png_structp, png_const_charp) {});
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  /// False on failure; message() says why.
  bool run() {
    if (info_ == nullptr) return false;
    if (setjmp(jump_) != 0) return false;
    png_set_read_fn(png_, this, on_read);
    // Text and profile chunks are of no interest and may be bombs.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
    png_set_chunk_malloc_max(png_, 8U << 20);
    png_set_chunk_cache_max(png_, 64);
    png_read_info(png_, info_);
    picture_.height = png_get_image_height(png_, info_);
    picture_.width = png_get_image_width(png_, info_);
    if (picture_.height > kMaxPixels || picture_.height * picture_.width > kMaxPixels) {
      std::snprintf(message_, sizeof message_, "%lldx%lld pixels are too many",
                    static_cast<long long>(picture_.height),
                    static_cast<long long>(picture_.width));
      return false;
    }
    const int colour = png_get_color_type(png_, info_);
    const int depth = png_get_bit_depth(png_, info_);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (colour == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png_);
    if (depth == 16) png_set_scale_16(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    picture_.channels = png_get_channels(png_, info_);
    const std::size_t stride = png_get_rowbytes(png_, info_);
    if ((picture_.channels != 1 && picture_.channels != 3) ||
        stride != static_cast<std::size_t>(picture_.width * picture_.channels)) {
      std::snprintf(message_, sizeof message_, "unexpected pixel format");
      return false;
    }
    picture_.pixels.resize(stride * static_cast<std::size_t>(picture_.height));
    rows_.resize(static_cast<std::size_t>(picture_.height));
    for (std::size_t y = 0; y < rows_.size(); ++y) {
      rows_[y] = picture_.pixels.data() + y * stride;
    }
    png_read_image(png_, rows_.data());
    png_read_end(png_, nullptr);
    return true;
  }

  const char* message() const { return message_; }
  Picture take() { return std::move(picture_); }

 private:
  static void on_error(png_structp png, png_const_charp text) {
    auto& self = *static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::snprintf(self.message_, sizeof self.message_, "%s", text);
    std::longjmp(self.jump_, 1);
  }
  static void on_read(png_structp png, png_bytep out, std::size_t count) {
    auto& self = *static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (count > self.rest_.size()) png_error(png, "file ends too early");
    std::memcpy(out, self.rest_.data(), count);
    self.rest_ = self.rest_.subspan(count);
  }

  Bytes rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_;
  char message_[128] = "out of memory";
  Picture picture_;
  std::vector<png_bytep> rows_;
};

}  // namespace

Picture decode_png(Bytes file, const std::string& where) {
  PngDecoder decoder(file);
  if (!decoder.run()) fail(where, fmt::format("cannot read PNG: {}", decoder.message()));
  return decoder.take();
}

}  // namespace qopt::data
