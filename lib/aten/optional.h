// SPDX-License-Identifier: MIT
// The optional of LibTorch's signatures under one name: its own before 2.3, the
// standard's from there on.
#pragma once

#include <torch/version.h>

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
#include <optional>
namespace qopt::aten {
namespace optionals = std;
}
#else
#include <c10/util/Optional.h>
namespace qopt::aten {
namespace optionals = c10;
}
#endif

namespace qopt::aten {

template <typename T>
using Optional = optionals::optional<T>;
inline constexpr optionals::nullopt_t kNone = optionals::nullopt;

}  // namespace qopt::aten
