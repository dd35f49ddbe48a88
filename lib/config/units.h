// SPDX-License-Identifier: MIT
// Numbers as people write them in a configuration: integers, reals (1/255 too), sizes
// with units. Parse and print are inverses. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qopt::config {

/// Decimal integer of 64 bits, optional sign, nothing else.
std::optional<std::int64_t> parse_integer(std::string_view text);
/// Finite decimal number, or a quotient of two (`1/255`).
std::optional<double> parse_real(std::string_view text);
/// `true` or `false`.
std::optional<bool> parse_bool(std::string_view text);
/// Bytes: a number >= 0 with B, KiB, MiB, GiB, kB, MB or GB; a bare number is bytes.
std::optional<std::int64_t> parse_size(std::string_view text);

/// Shortest text that reads back as the same double.
std::string real_text(double value);
/// "200KiB" where a binary unit divides the size, else plain bytes.
std::string size_text(std::int64_t bytes);

}  // namespace qopt::config
