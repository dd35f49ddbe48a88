// SPDX-License-Identifier: MIT
// Numbers as people read them in reports. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qopt::report {

/// "1.15 MB" (decimal units, three digits).
std::string bytes_text(std::uint64_t bytes);
/// "41.1 M".
std::string count_text(std::int64_t count);
/// "31.4 dB", "exact", or "-".
std::string decibels_text(const std::optional<double>& db);
/// What training selects by: "88.10 %" for the unit "%", else decibels.
std::string score_text(double score, std::string_view unit);
/// At most four significant digits.
std::string short_number(double value);
/// The same, but whole digits instead of an exponent: "15640", "4.2".
std::string cycles_number(double value);

}  // namespace qopt::report
