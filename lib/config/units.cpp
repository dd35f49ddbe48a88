// SPDX-License-Identifier: MIT
#include "lib/config/units.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace qopt::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t bytes;
};
constexpr Unit kUnits[] = {
    {"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10}, {"GB", 1'000'000'000},
    {"MB", 1'000'000},  {"kB", 1'000},      {"B", 1},
};

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  T value{};
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || at != end) return std::nullopt;
  return value;
}

std::optional<double> parse_finite(std::string_view text) {
  const std::optional<double> value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
  return parse_whole<std::int64_t>(text);
}

std::optional<double> parse_real(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return parse_finite(text);
  const std::optional<double> above = parse_finite(text.substr(0, slash));
  const std::optional<double> below = parse_finite(text.substr(slash + 1));
  if (!above || !below || !std::isfinite(*above / *below)) return std::nullopt;
  return *above / *below;
}

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  std::int64_t unit = 1;
  for (const Unit& row : kUnits) {
    if (text.ends_with(row.name)) {
      unit = row.bytes;
      text.remove_suffix(row.name.size());
      break;
    }
  }
  while (text.ends_with(' ')) text.remove_suffix(1);
  const std::optional<double> number = parse_finite(text);
  if (!number || *number < 0) return std::nullopt;
  const double bytes = std::nearbyint(*number * static_cast<double>(unit));
  if (bytes > 0x1p62) return std::nullopt;
  return static_cast<std::int64_t>(bytes);
}

std::string real_text(double value) { return fmt::format("{}", value); }

std::string size_text(std::int64_t bytes) {
  for (const Unit& unit : kUnits) {
    const bool binary = unit.name.size() == 3;
    if (binary && bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return fmt::format("{}{}", bytes / unit.bytes, unit.name);
    }
  }
  return fmt::format("{}B", bytes);
}

}  // namespace qopt::config
