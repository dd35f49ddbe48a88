// SPDX-License-Identifier: MIT
// Operators of newer PyTorch written in operators that every LibTorch has.
#include "lib/frontend/composites.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <cmath>
#include <limits>

#include "lib/aten/optional.h"

namespace qopt::frontend {
namespace {

/// Softmax(q k^T * scale + mask) v, as torch.nn.functional documents it. Dropout is for
/// training only and is not done.
at::Tensor attention(const at::Tensor& query, const at::Tensor& key,
                     const at::Tensor& value, const aten::Optional<at::Tensor>& mask,
                     double /*dropout_p*/, bool is_causal, aten::Optional<double> scale,
                     bool /*enable_gqa*/) {
  constexpr double kLow = -std::numeric_limits<double>::infinity();
  const double factor =
      scale ? *scale : 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  at::Tensor score = at::matmul(at::mul(query, factor), key.transpose(-2, -1));
  if (is_causal) {
    const at::Tensor later =
        at::ones({score.size(-2), score.size(-1)}, score.options().dtype(at::kBool))
            .triu(1);
    score = score.masked_fill(later, kLow);
  }
  if (mask && mask->defined()) {
    score = mask->scalar_type() == at::kBool
                ? score.masked_fill(mask->logical_not(), kLow)
                : at::add(score, *mask);
  }
  return at::matmul(at::softmax(score, -1), value);
}

/// Kept for the life of the process: LibTorch's registry is process-wide.
torch::Library* register_attention() {
  const auto known =
      c10::Dispatcher::singleton().findSchema({"aten::scaled_dot_product_attention", ""});
  if (known) return nullptr;
  auto* library = new torch::Library(torch::Library::FRAGMENT, "aten", aten::kNone,
                                     __FILE__, __LINE__);
  library->def(
      "scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? "
      "attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, "
      "bool "
      "enable_gqa=False) -> Tensor");
  library->impl(
      "scaled_dot_product_attention",
      torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(attention)));
  return library;
}

}  // namespace

void register_missing_operators() {
  static const torch::Library* const kRegistered = register_attention();
  static_cast<void>(kRegistered);
}

}  // namespace qopt::frontend
