// SPDX-License-Identifier: MIT
#include "lib/config/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "lib/config/units.h"

namespace qopt::config {
namespace {

/// Whole numbers without an exponent.
std::string bound_text(double value) {
  if (std::abs(value) < 0x1p62 && value == std::nearbyint(value)) {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  }
  return fmt::format("{}", value);
}

/// "from 1 to 8", "at least 0", or nothing.
std::string bounds_text(const Type& type) {
  const bool below = std::isfinite(type.lo), above = std::isfinite(type.hi);
  if (below && above)
    return fmt::format(" from {} to {}", bound_text(type.lo), bound_text(type.hi));
  if (below) return fmt::format(" of at least {}", bound_text(type.lo));
  if (above) return fmt::format(" of at most {}", bound_text(type.hi));
  return "";
}

}  // namespace

Type boolean() { return {.kind = Kind::Bool}; }
Type integer(std::int64_t lo, std::int64_t hi) {
  return {.kind = Kind::Integer,
          .lo = static_cast<double>(lo),
          .hi = static_cast<double>(hi)};
}
Type integer_of(std::vector<std::int64_t> allowed) {
  return {.kind = Kind::Integer, .allowed = std::move(allowed)};
}
Type real(double lo, double hi) { return {.kind = Kind::Real, .lo = lo, .hi = hi}; }
Type text() { return {.kind = Kind::Text}; }
Type path() { return {.kind = Kind::Path}; }
Type choice(std::vector<std::string> names) {
  return {.kind = Kind::Choice, .choices = std::move(names)};
}
Type size() { return {.kind = Kind::Size, .lo = 0}; }

void Fields::key(const Key& k, bool& value) {
  leaf(k, boolean(), Scalar(value), [&](const Scalar& s) { value = std::get<bool>(s); });
}
void Fields::key(const Key& k, const Type& type, int& value) {
  leaf(k, type, to_scalar(value), [&](const Scalar& s) { value = from_scalar<int>(s); });
}
void Fields::key(const Key& k, const Type& type, std::int64_t& value) {
  leaf(k, type, to_scalar(value),
       [&](const Scalar& s) { value = from_scalar<std::int64_t>(s); });
}
void Fields::key(const Key& k, const Type& type, std::uint64_t& value) {
  leaf(k, type, to_scalar(value),
       [&](const Scalar& s) { value = from_scalar<std::uint64_t>(s); });
}
void Fields::key(const Key& k, const Type& type, double& value) {
  leaf(k, type, to_scalar(value),
       [&](const Scalar& s) { value = from_scalar<double>(s); });
}
// An empty text or path is "not given": templates show it as a comment.
void Fields::key(const Key& k, const Type& type, std::string& value) {
  leaf(k, type, value.empty() ? std::optional<Scalar>() : to_scalar(value),
       [&](const Scalar& s) { value = from_scalar<std::string>(s); });
}
void Fields::key(const Key& k, const Type& type, std::filesystem::path& value) {
  leaf(k, type, value.empty() ? std::optional<Scalar>() : to_scalar(value),
       [&](const Scalar& s) { value = from_scalar<std::filesystem::path>(s); });
}

std::string scalar_text(const Type& type, const Scalar& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    return type.kind == Kind::Size ? size_text(*number) : fmt::format("{}", *number);
  }
  if (const auto* number = std::get_if<double>(&value)) return real_text(*number);
  return std::get<std::string>(value);
}

std::string type_text(const Type& type) {
  switch (type.kind) {
    case Kind::Bool: return "true or false";
    case Kind::Integer:
      if (!type.allowed.empty())
        return fmt::format("one of {}", fmt::join(type.allowed, ", "));
      return "integer" + bounds_text(type);
    case Kind::Real: return "number" + bounds_text(type);
    case Kind::Text: return "text";
    case Kind::Path: return "path";
    case Kind::Choice: return fmt::format("one of {}", fmt::join(type.choices, ", "));
    case Kind::Size: return "size such as 200KiB";
  }
  throw InternalError("unknown kind of key");
}

}  // namespace qopt::config
