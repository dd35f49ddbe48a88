// SPDX-License-Identifier: MIT
// A small complete job for tests: a TorchScript classifier of 8x8 images that works (its
// linear layer compares with the pattern of each class), images to feed it, and a
// configuration.
#pragma once

#include <torch/script.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lib/core/rng.h"
#include "tests/support/temp_folder.h"

namespace qopt {

class Workbench {
 public:
  static constexpr int kSide = 8, kClasses = 3;

  explicit Workbench(int images = 200) {
    save_model(model(), "model.pt");
    write_images(images);
    write("config.yaml", config());
  }

  std::filesystem::path operator/(const std::string& name) const {
    return folder_.path() / name;
  }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(*this / name, std::ios::binary) << bytes;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(*this / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void save_model(const torch::jit::Module& module, const std::string& name) const {
    module.save((*this / name).string());
  }

  /// conv 3x3 (the image itself and three edges), relu, linear on 4 * 64 values.
  static torch::jit::Module model(const std::string& result = "y") {
    torch::jit::Module module("Tiny");
    Rng rng(5);
    at::Tensor conv = at::zeros({4, 1, 3, 3});
    for (int o = 0; o < 4; ++o) {
      for (int k = 0; k < 9; ++k) {
        const double noise = 0.1 * rng.normal();
        conv[o][0][k / 3][k % 3] = o == 0 ? (k == 4 ? 1.0 : 0.0) : noise;
      }
    }
    at::Tensor linear = at::zeros({kClasses, 4 * kSide * kSide});
    for (int c = 0; c < kClasses; ++c) {
      int bright = 0;
      for (int p = 0; p < kSide * kSide; ++p) bright += is_bright(c, p);
      const double dark = -0.1 * bright / (kSide * kSide - bright);  // sums to zero
      for (int p = 0; p < kSide * kSide; ++p) linear[c][p] = is_bright(c, p) ? 0.1 : dark;
    }
    module.register_parameter("conv", conv, false);
    module.register_parameter("conv_bias", at::zeros({4}), false);
    module.register_parameter("linear", linear, false);
    module.register_parameter("linear_bias", at::zeros({kClasses}), false);
    module.define(
        "def forward(self, x):\n"
        "    h = torch.relu(torch.conv2d(x, self.conv, self.conv_bias, [1, 1], [1, 1]))\n"
        "    y = torch.linear(torch.flatten(h, 1), self.linear, self.linear_bias)\n"
        "    return " +
        result + "\n");
    return module;
  }

  static std::string config(const std::string& more = "") {
    return "version: 1\n"
           "model: {path: model.pt, inputs: [{name: x, shape: [1, 1, 8, 8]}]}\n"
           "data:\n"
           "  calibration: {format: idx, files: images.idx, samples: 32, seed: 3,\n"
           "    preprocess: {scale: 1/255}}\n"
           "  eval: {format: idx, files: images.idx, labels: labels.idx,\n"
           "    preprocess: {scale: 1/255}}\n"
           "passes: [ptq]\n" +
           more;
  }

  static std::string idx_header(int dims, std::vector<std::uint32_t> extents) {
    std::string bytes = {0, 0, 8, static_cast<char>(dims)};
    for (const std::uint32_t extent : extents) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        bytes += static_cast<char>((extent >> shift) & 0xFF);
      }
    }
    return bytes;
  }

 private:
  /// Class 0 is bright on the left, 1 on top, 2 in the middle.
  static bool is_bright(int c, int p) {
    const int row = p / kSide, column = p % kSide;
    if (c == 0) return column < 3;
    if (c == 1) return row < 3;
    return row > 2 && row < 6 && column > 2 && column < 6;
  }

  void write_images(int count) const {
    Rng rng(9);
    const auto n = static_cast<std::uint32_t>(count);
    std::string images = idx_header(3, {n, kSide, kSide}), labels = idx_header(1, {n});
    for (int i = 0; i < count; ++i) {
      const int label = static_cast<int>(rng.below(kClasses));
      labels += static_cast<char>(label);
      for (int p = 0; p < kSide * kSide; ++p) {
        const double mean = is_bright(label, p) ? 160 : 90;
        const double value = mean + 60 * rng.normal();
        images +=
            static_cast<char>(static_cast<int>(std::min(255.0, std::max(0.0, value))));
      }
    }
    write("images.idx", images);
    write("labels.idx", labels);
  }

  TempFolder folder_;
};

}  // namespace qopt
