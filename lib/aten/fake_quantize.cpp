// SPDX-License-Identifier: MIT
// Fake quantisation: what encoding.h's encode and decode do to one number, done to a
// tensor.
#include <ATen/ATen.h>

#include "lib/aten/semantics.h"

namespace qopt::aten {
namespace {

/// Entries shaped so that they broadcast along the encoding's axis.
at::Tensor along_axis(const std::vector<float>& entries, const Affine& e,
                      std::int64_t rank) {
  at::Tensor t = at::empty({static_cast<std::int64_t>(entries.size())}, at::kFloat);
  std::copy(entries.begin(), entries.end(), t.data_ptr<float>());
  if (!e.axis) return t.reshape({});
  std::vector<std::int64_t> shape(static_cast<std::size_t>(rank), 1);
  shape.at(static_cast<std::size_t>(*e.axis)) = t.numel();
  return t.reshape(shape);
}

at::Tensor affine(const at::Tensor& x, const Affine& e) {
  const at::Tensor scale = along_axis(e.scale, e, x.dim());
  if (e.levels == LevelSet::O) {
    at::Tensor code = at::div(x, scale).nan_to_num_(0.0).mul_(0.5).floor_();
    code.mul_(2.0).add_(1.0).clamp_(code_min(e.levels, e.bits),
                                    code_max(e.levels, e.bits));
    return code.mul_(scale);
  }
  const at::Tensor zero =
      along_axis({e.zero_point.begin(), e.zero_point.end()}, e, x.dim());
  // Codes stay in float32: where that is inexact (beyond 2^24) the clamp decides anyway.
  const at::Tensor code = at::div(x, scale).round_().add_(zero).clamp_(
      code_min(e.levels, e.bits), code_max(e.levels, e.bits));
  // NaN passes through all of the above; it means the zero point, which decodes to 0.
  return code.sub_(zero).mul_(scale).nan_to_num_(0.0);
}

}  // namespace

at::Tensor fake_quantize(const at::Tensor& x, const Encoding& encoding) {
  return std::visit(Overloaded{[&](const Affine& e) { return affine(x, e); }}, encoding);
}

}  // namespace qopt::aten
