// SPDX-License-Identifier: MIT
// Catch2, whichever major version is installed (Debian 12 has 2, Debian 13 has 3).
#pragma once

#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
inline auto has_text(const std::string& part) {
  return Catch::Matchers::ContainsSubstring(part);
}
#else
#include <catch2/catch.hpp>
inline auto has_text(const std::string& part) { return Catch::Matchers::Contains(part); }
#endif
