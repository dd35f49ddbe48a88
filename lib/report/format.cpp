// SPDX-License-Identifier: MIT
#include "lib/report/format.h"

#include <fmt/format.h>

#include <cmath>

namespace qopt::report {
namespace {

std::string scaled(double value, const char* unit) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(kPrefixes)) value /= 1000, ++prefix;
  const std::string digits = prefix == 0     ? fmt::format("{:.0f}", value)
                             : value < 9.995 ? fmt::format("{:.2f}", value)
                             : value < 99.95 ? fmt::format("{:.1f}", value)
                                             : fmt::format("{:.0f}", value);
  return fmt::format("{} {}{}", digits, kPrefixes[prefix], unit);
}

}  // namespace

std::string bytes_text(std::uint64_t bytes) {
  return scaled(static_cast<double>(bytes), "B");
}

std::string count_text(std::int64_t count) {
  std::string text = scaled(static_cast<double>(count), "");
  if (text.back() == ' ') text.pop_back();
  return text;
}

std::string decibels_text(const std::optional<double>& db) {
  if (!db) return "-";
  return std::isinf(*db) ? "exact" : fmt::format("{:.1f} dB", *db);
}

std::string score_text(double score, std::string_view unit) {
  return unit == "%" ? fmt::format("{:.2f} %", score) : decibels_text(score);
}

std::string short_number(double value) { return fmt::format("{:.4g}", value); }

std::string cycles_number(double value) {
  return value < 1000 ? short_number(value) : fmt::format("{:.0f}", value);
}

}  // namespace qopt::report
