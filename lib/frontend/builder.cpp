// SPDX-License-Identifier: MIT
// Builder: identity of tensors by the address of their LibTorch object, staleness by the
// memory they share.
#include "lib/frontend/builder.h"

#include <cmath>
#include <utility>

#include "lib/aten/bridge.h"

namespace qopt::frontend {
namespace {

const c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

c10::weak_intrusive_ptr<c10::StorageImpl> pin_storage(const at::Tensor& tensor) {
  return tensor.storage().getWeakStorageImpl();
}

void refuse_not_finite(const Tensor& tensor, const std::string& name,
                       bool allow_infinity) {
  bool has_nan = false, has_infinity = false;
  for (float x : tensor.values<float>()) {
    has_nan |= std::isnan(x);
    has_infinity |= std::isinf(x);
  }
  if (!has_nan && (!has_infinity || allow_infinity)) return;
  throw Error(ExitCode::ModelUnsupported, name,
              fmt::format("the weights hold {}", has_nan ? "NaN" : "infinity"),
              "the file is damaged or training diverged");
}

}  // namespace

void Builder::name_constant(const at::Tensor& tensor, const std::string& name,
                            bool is_state) {
  if (!tensor.defined()) return;
  names_.try_emplace(tensor.unsafeGetTensorImpl(),
                     NamedConstant{WeakTensor(tensor.getIntrusivePtr()), name});
  if (is_state && tensor.has_storage()) {
    state_.try_emplace(storage_of(tensor), pin_storage(tensor));
  }
}

std::string Builder::constant_name(const at::Tensor& tensor) const {
  const auto found = names_.find(tensor.unsafeGetTensorImpl());
  return found == names_.end() ? std::string() : found->second.name;
}

bool Builder::is_state(const at::Tensor& tensor) const {
  return state_.contains(storage_of(tensor));
}

void Builder::bind(const at::Tensor& tensor, ValueId value, bool written) {
  bind_as(tensor, value, false, written);
}

void Builder::bind_opaque(const at::Tensor& tensor, bool written) {
  if (tensor.defined()) bind_as(tensor, {}, true, written);
}

void Builder::bind_stand_in(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat || is_stale(tensor)) return bind_opaque(tensor);
  const Shape shape(tensor.sizes().begin(), tensor.sizes().end());
  bind(tensor, graph_.add_input("unsupported", DType::F32, shape));
}

void Builder::bind_as(const at::Tensor& tensor, ValueId value, bool opaque,
                      bool written) {
  const c10::TensorImpl* key = tensor.unsafeGetTensorImpl();
  bound_.insert_or_assign(
      key, Bound{WeakTensor(tensor.getIntrusivePtr()), value, opaque, ++serial_});
  if (written && tensor.has_storage()) {
    written_.insert_or_assign(storage_of(tensor),
                              Written{pin_storage(tensor), key, opaque, serial_});
  }
}

bool Builder::is_activation(const at::Tensor& tensor) const {
  return bound_.contains(tensor.unsafeGetTensorImpl()) || is_stale(tensor);
}

bool Builder::is_opaque(const at::Tensor& tensor) const {
  const auto found = bound_.find(tensor.unsafeGetTensorImpl());
  if (is_stale(tensor)) return written_.at(storage_of(tensor)).opaque;
  return found != bound_.end() && found->second.opaque;
}

bool Builder::is_stale(const at::Tensor& tensor) const {
  const auto written = written_.find(storage_of(tensor));
  if (written == written_.end() || written->second.by == tensor.unsafeGetTensorImpl())
    return false;
  const auto found = bound_.find(tensor.unsafeGetTensorImpl());
  return found == bound_.end() || found->second.serial < written->second.serial;
}

ValueId Builder::value(const at::Tensor& tensor, const std::string& fallback_name,
                       bool allow_infinity) {
  QOPT_CHECK(tensor.defined(), "no tensor for '{}'", fallback_name);
  if (is_stale(tensor))
    throw Unsupported{"reads memory that was changed in place through a view"};
  const c10::TensorImpl* key = tensor.unsafeGetTensorImpl();
  if (const auto found = bound_.find(key); found != bound_.end()) {
    QOPT_CHECK(!found->second.opaque, "an opaque tensor is used in '{}'", fallback_name);
    return found->second.value;
  }
  if (const auto found = constants_.find(key); found != constants_.end()) {
    return found->second.value;
  }
  const std::string name = constant_name(tensor);
  const ValueId id =
      constant(tensor, name.empty() ? fallback_name : name, allow_infinity);
  constants_.insert_or_assign(key,
                              Bound{WeakTensor(tensor.getIntrusivePtr()), id, false, 0});
  return id;
}

ValueId Builder::constant(const at::Tensor& tensor, const std::string& name,
                          bool allow_infinity) {
  const bool is_floating = tensor.is_floating_point();
  Tensor dense = aten::from_at(is_floating ? tensor.to(at::kFloat) : tensor);
  if (is_floating) refuse_not_finite(dense, name, allow_infinity);
  return graph_.add_constant(name, std::move(dense));
}

}  // namespace qopt::frontend
