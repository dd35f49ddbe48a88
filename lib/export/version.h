// SPDX-License-Identifier: MIT
// The version written into manifests; a test holds it equal to the project's.
#pragma once

#include <string_view>

namespace qopt::emit {

inline constexpr std::string_view kToolVersion = "0.1.0";

}  // namespace qopt::emit
