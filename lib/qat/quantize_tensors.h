// SPDX-License-Identifier: MIT
// What quantize_kernels.h does to rows, written in LibTorch's operators for other devices
// than the CPU. The same numbers, more passes.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "lib/qat/quantize_kernels.h"

namespace qopt::qat {

struct Quantized {
  at::Tensor y, state;
};

/// x [rows * n] or, with several steps, [rows, ...]; step [rows]; `levels` one a row.
/// With `noise` (shaped as x, in [-1/2, 1/2)) as add_noise_row, else as quantize_row.
Quantized quantize_tensor(const at::Tensor& x, const at::Tensor& step,
                          const std::vector<Levels>& levels, const at::Tensor& noise);

/// gx, and one RowSums a row.
struct Backward {
  at::Tensor gx;
  std::vector<RowSums> sums;
};
Backward backward_tensor(const at::Tensor& g, const at::Tensor& state,
                         const at::Tensor& y, const at::Tensor& step,
                         const std::vector<Levels>& levels, const Estimator& estimator,
                         float delta);

}  // namespace qopt::qat
