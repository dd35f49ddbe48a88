// SPDX-License-Identifier: MIT
// Fields: the one description of a configuration's keys. An owner writes
// `describe(Fields&, T&)` once, naming each key with its type, range and one sentence;
// reading, the resolved dump, the commented template, the JSON Schema and the reference
// page are visitors of it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/core/error.h"

namespace qopt::config {

/// A key as users see it.
struct Key {
  std::string_view name;
  std::string_view help;  // one clause, no full stop
  bool required = false;
  bool recorded = true;  // false: results do not depend on it, so dumps leave it out
  std::string_view example = {};  // shown in templates where there is no value
};

enum class Kind { Bool, Integer, Real, Text, Path, Choice, Size };

/// What a scalar may be. `lo` and `hi` bound Integer, Real and Size, both included.
struct Type {
  Kind kind = Kind::Text;
  double lo = -std::numeric_limits<double>::infinity();
  double hi = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};   // Choice
  std::vector<std::int64_t> allowed = {};  // Integer: only these, where not empty
};

Type boolean();
Type integer(std::int64_t lo, std::int64_t hi);
Type integer_of(std::vector<std::int64_t> allowed);
Type real(double lo, double hi);
Type text();
Type path();
Type choice(std::vector<std::string> names);
/// Bytes with a unit (`200KiB`).
Type size();

using Scalar = std::variant<bool, std::int64_t, double, std::string>;

/// Length of a list, both included.
struct Count {
  std::size_t lo = 0, hi = 4096;
};

/// One alternative of a list of named steps (`passes`).
struct StepField {
  Key key;
  bool present = false;
  std::function<void(class Fields&)> body;  // describes the step's own keys
};

/// One row of an enum's spelling table; the table serves parse, print and help alike.
template <class E>
struct Spelling {
  E value;
  std::string_view name;
};

class Fields {
 public:
  virtual ~Fields() = default;

  virtual void leaf(const Key& key, const Type& type, const std::optional<Scalar>& value,
                    const std::function<void(const Scalar&)>& set) = 0;
  virtual void leaves(const Key& key, const Type& item, Count count,
                      const std::optional<std::vector<Scalar>>& values,
                      const std::function<void(const std::vector<Scalar>&)>& set) = 0;
  /// A nested map. The body runs where the key is given (reading), where `present`
  /// (dumps), or always (schema and reference).
  virtual void block(const Key& key, bool present,
                     const std::function<void(Fields&)>& body) = 0;
  /// A list of maps, `size` of them now; `body(fields, size)` appends one.
  virtual void blocks(const Key& key, std::size_t size,
                      const std::function<void(Fields&, std::size_t)>& body) = 0;
  /// A list of named steps, each at most once, in the order of `rows`.
  virtual void steps(const Key& key, std::span<const StepField> rows) = 0;

  /// Position of this map in the source (reading only).
  virtual std::string where() const { return {}; }
  /// Position of a key's value, or of the map where the key is absent (reading only).
  virtual std::string where(std::string_view name) const { return (void)name, where(); }
  /// Reports a fault that spans keys, at `name` (reading only).
  virtual void refuse(std::string_view name, std::string what) { (void)name, (void)what; }

  // ------------------------------------------------------------ by the member's own type
  void key(const Key& k, bool& value);
  void key(const Key& k, const Type& type, int& value);
  void key(const Key& k, const Type& type, std::int64_t& value);
  void key(const Key& k, const Type& type, std::uint64_t& value);
  void key(const Key& k, const Type& type, double& value);
  void key(const Key& k, const Type& type, std::string& value);
  void key(const Key& k, const Type& type, std::filesystem::path& value);

  /// An optional scalar: absent stays empty.
  template <class T>
  void key(const Key& k, const Type& type, std::optional<T>& value) {
    std::optional<Scalar> now;
    if (value) now = to_scalar(*value);
    leaf(k, type, now, [&value](const Scalar& s) { value = from_scalar<T>(s); });
  }
  void key(const Key& k, std::optional<bool>& value) { key<bool>(k, boolean(), value); }

  /// A list of scalars.
  template <class T>
  void list(const Key& k, const Type& item, Count count, std::vector<T>& values) {
    std::vector<Scalar> now;
    for (const T& value : values) now.push_back(to_scalar(value));
    leaves(k, item, count, now.empty() ? std::optional<std::vector<Scalar>>() : now,
           [&values](const std::vector<Scalar>& s) {
             values.clear();
             for (const Scalar& scalar : s) values.push_back(from_scalar<T>(scalar));
           });
  }
  /// A list of exactly N integers, or nothing.
  template <std::size_t N>
  void list(const Key& k, const Type& item,
            std::optional<std::array<std::int64_t, N>>& values) {
    std::optional<std::vector<Scalar>> now;
    if (values) now.emplace(values->begin(), values->end());
    leaves(k, item, {N, N}, now, [&values](const std::vector<Scalar>& s) {
      values.emplace();
      for (std::size_t i = 0; i < N; ++i) (*values)[i] = std::get<std::int64_t>(s[i]);
    });
  }

  /// An enum by its spelling table.
  template <class E, std::size_t N>
  void enumeration(const Key& k, const Spelling<E> (&table)[N], E& value) {
    const std::span<const Spelling<E>> rows(table);
    leaf(k, choice(names_of(rows)), Scalar(name_of(rows, value)),
         [&value, rows](const Scalar& s) { value = value_of(rows, s); });
  }
  template <class E, std::size_t N>
  void enumeration(const Key& k, const Spelling<E> (&table)[N], std::optional<E>& value) {
    const std::span<const Spelling<E>> rows(table);
    std::optional<Scalar> now;
    if (value) now = Scalar(name_of(rows, *value));
    leaf(k, choice(names_of(rows)), now,
         [&value, rows](const Scalar& s) { value = value_of(rows, s); });
  }

  /// An optional block: read where given, dumped where it holds something.
  template <class T, class Body>
  void optional_block(const Key& k, std::optional<T>& value, Body body) {
    block(k, value.has_value(), [&](Fields& inner) {
      if (!value) value.emplace();
      body(inner, *value);
    });
  }
  /// A list of blocks.
  template <class T, class Body>
  void block_list(const Key& k, std::vector<T>& values, Body body) {
    blocks(k, values.size(), [&](Fields& inner, std::size_t i) {
      if (i == values.size()) values.emplace_back();
      body(inner, values[i]);
    });
  }

 private:
  template <class T>
  static Scalar to_scalar(const T& value) {
    if constexpr (std::is_same_v<T, bool>)
      return Scalar(value);
    else if constexpr (std::is_integral_v<T>)
      return Scalar(static_cast<std::int64_t>(value));
    else if constexpr (std::is_floating_point_v<T>)
      return Scalar(static_cast<double>(value));
    else if constexpr (std::is_same_v<T, std::filesystem::path>)
      return Scalar(value.string());
    else
      return Scalar(value);
  }
  template <class T>
  static T from_scalar(const Scalar& s) {
    if constexpr (std::is_same_v<T, bool>)
      return std::get<bool>(s);
    else if constexpr (std::is_integral_v<T>)
      return static_cast<T>(std::get<std::int64_t>(s));
    else if constexpr (std::is_floating_point_v<T>)
      return static_cast<T>(std::get<double>(s));
    else
      return T(std::get<std::string>(s));
  }
  template <class E>
  static std::vector<std::string> names_of(std::span<const Spelling<E>> table) {
    std::vector<std::string> names;
    for (const Spelling<E>& row : table) names.emplace_back(row.name);
    return names;
  }
  template <class E>
  static std::string name_of(std::span<const Spelling<E>> table, E value) {
    for (const Spelling<E>& row : table) {
      if (row.value == value) return std::string(row.name);
    }
    throw InternalError("enum value without a spelling");
  }
  template <class E>
  static E value_of(std::span<const Spelling<E>> table, const Scalar& s) {
    for (const Spelling<E>& row : table) {
      if (row.name == std::get<std::string>(s)) return row.value;
    }
    throw InternalError("spelling outside its table");
  }
};

/// A scalar as it is written in YAML and shown in messages (unquoted).
std::string scalar_text(const Type& type, const Scalar& value);
/// What a type expects, for messages and the reference: "integer from 1 to 8".
std::string type_text(const Type& type);

}  // namespace qopt::config
