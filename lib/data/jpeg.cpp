// SPDX-License-Identifier: MIT
// libjpeg reports errors by a callback that must not return: it jumps back into `run`,
// whose frames hold nothing with a destructor.
#include <fmt/format.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

#include "lib/data/image.h"

namespace qopt::data {
namespace {

/// Baseline files have one scan, usual progressive ones about ten. Each scan costs a pass
/// over the image, so thousands of them in a small file are an attack on our time.
constexpr int kMaxScans = 100;

class JpegDecoder {
 public:
  JpegDecoder() {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    errors_.output_message = [](j_common_ptr) {};
    info_.client_data = this;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// False on failure; message() says why.
  bool run(Bytes file) {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&info_);
    progress_.progress_monitor = on_progress;
    info_.progress = &progress_;
    jpeg_mem_src(&info_, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_read_header(&info_, TRUE);
    if (static_cast<std::int64_t>(info_.image_width) * info_.image_height > kMaxPixels) {
      std::snprintf(message_, sizeof message_, "%ux%u pixels are too many",
                    info_.image_height, info_.image_width);
      return false;
    }
    const bool is_cmyk =
        info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    const bool is_grey = info_.jpeg_color_space == JCS_GRAYSCALE;
    info_.out_color_space = is_cmyk ? JCS_CMYK : (is_grey ? JCS_GRAYSCALE : JCS_RGB);
    info_.dct_method = JDCT_ISLOW;
    info_.do_fancy_upsampling = TRUE;
    jpeg_start_decompress(&info_);
    picture_.height = info_.output_height;
    picture_.width = info_.output_width;
    picture_.channels = info_.output_components;
    stride_ = static_cast<std::size_t>(picture_.width * picture_.channels);
    picture_.pixels.resize(stride_ * static_cast<std::size_t>(picture_.height));
    while (info_.output_scanline < info_.output_height) {
      row_ = picture_.pixels.data() + info_.output_scanline * stride_;
      jpeg_read_scanlines(&info_, &row_, 1);
    }
    jpeg_finish_decompress(&info_);
    if (is_cmyk) cmyk_to_rgb();
    return true;
  }

  const char* message() const { return message_; }
  Picture take() { return std::move(picture_); }

 private:
  static JpegDecoder& of(j_common_ptr info) {
    return *static_cast<JpegDecoder*>(info->client_data);
  }
  static void on_error(j_common_ptr info) {
    JpegDecoder& self = of(info);
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    std::snprintf(self.message_, sizeof self.message_, "%s", text);
    std::longjmp(self.jump_, 1);
  }
  /// libjpeg fills what is missing with grey and goes on; such an image must not be
  /// calibrated with. Other warnings (stray bytes, odd version numbers) are common in
  /// good photographs.
  static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_MUST_RESYNC:
      case JWRN_NOT_SEQUENTIAL: on_error(info); break;
      default: break;
    }
  }
  static void on_progress(j_common_ptr info) {
    JpegDecoder& self = of(info);
    if (self.info_.input_scan_number <= kMaxScans) return;
    std::snprintf(self.message_, sizeof self.message_, "more than %d scans", kMaxScans);
    std::longjmp(self.jump_, 1);
  }
  /// Adobe stores CMYK inverted, so that ink 0 is 255.
  void cmyk_to_rgb() {
    const std::size_t area = picture_.pixels.size() / 4;
    for (std::size_t i = 0; i < area; ++i) {
      const unsigned k = picture_.pixels[i * 4 + 3];
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned ink = picture_.pixels[i * 4 + c];
        const unsigned product =
            info_.saw_Adobe_marker ? ink * k : (255 - ink) * (255 - k);
        picture_.pixels[i * 3 + c] = static_cast<std::uint8_t>((product + 127) / 255);
      }
    }
    picture_.pixels.resize(area * 3);
    picture_.channels = 3;
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = "unknown error";
  Picture picture_;
  std::size_t stride_ = 0;
  JSAMPROW row_ = nullptr;
};

}  // namespace

Picture decode_jpeg(Bytes file, const std::string& where) {
  JpegDecoder decoder;
  if (!decoder.run(file))
    fail(where, fmt::format("cannot read JPEG: {}", decoder.message()));
  return decoder.take();
}

}  // namespace qopt::data
