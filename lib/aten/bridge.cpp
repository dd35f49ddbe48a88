// SPDX-License-Identifier: MIT
// The bridge between Tensor and at::Tensor: one table of element types, zero-copy in,
// copy out.
#include "lib/aten/bridge.h"

#include <cstring>
#include <utility>

#include "lib/core/error.h"

namespace qopt::aten {
namespace {

constexpr std::pair<DType, at::ScalarType> kTypes[] = {
    {DType::F32, at::kFloat}, {DType::F64, at::kDouble}, {DType::I8, at::kChar},
    {DType::U8, at::kByte},   {DType::I16, at::kShort},  {DType::I32, at::kInt},
    {DType::I64, at::kLong},  {DType::Bool, at::kBool},
};

}  // namespace

at::ScalarType to_scalar_type(DType dtype) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == dtype) return theirs;
  }
  throw InternalError("unknown dtype");
}

std::optional<DType> to_dtype(at::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  return std::nullopt;
}

at::Tensor to_at(const Tensor& tensor) {
  QOPT_CHECK(tensor.defined(), "an undefined tensor has no LibTorch form");
  void* bytes = const_cast<std::byte*>(tensor.bytes().data());
  // The deleter's copy of `tensor` shares the bytes and so keeps them alive.
  return at::from_blob(
      bytes, tensor.shape(), [keep = tensor](void*) {},
      at::TensorOptions().dtype(to_scalar_type(tensor.dtype())));
}

Tensor from_at(const at::Tensor& tensor) {
  QOPT_CHECK(tensor.defined(), "an undefined LibTorch tensor has no elements");
  const std::optional<DType> dtype = to_dtype(tensor.scalar_type());
  if (!dtype || tensor.layout() != at::kStrided) {
    throw Error(ExitCode::ModelUnsupported, "",
                fmt::format("a tensor of type {} cannot be used",
                            c10::toString(tensor.scalar_type())),
                "dense float32 and integer tensors are supported");
  }
  const at::Tensor dense = tensor.detach().to(at::kCPU).contiguous().resolve_neg();
  Tensor out = Tensor::zeros(*dtype, Shape(dense.sizes().begin(), dense.sizes().end()));
  if (out.size() > 0)
    std::memcpy(out.mutable_bytes().data(), dense.data_ptr(), out.size_bytes());
  return out;
}

std::string short_reason(const std::string& what) {
  std::string line = what;
  for (const char* end :
       {"\nException raised from", "\nThe above operation failed", " (function "}) {
    line = line.substr(0, line.find(end));
  }
  // TorchScript's own errors open with a headline and close with "RuntimeError:
  // <reason>".
  const std::size_t mark = line.rfind("Error: ");
  if (mark != std::string::npos) line = line.substr(mark + 7);
  const std::size_t first = line.find_first_not_of(" \n\t");
  line = first == std::string::npos ? "no reason given" : line.substr(first);
  line = line.substr(0, line.find('\n'));
  constexpr std::size_t kLongest = 300;
  if (line.size() > kLongest) {
    line.resize(kLongest);
    line += "...";
  }
  return line;
}

}  // namespace qopt::aten
