// SPDX-License-Identifier: MIT
#include "lib/core/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace qopt {
namespace {

constexpr std::size_t kMaxIdentifier = 60;
constexpr std::size_t kMaxFileName = 80;

// C99 keywords and the C++ ones a header may meet, sorted.
constexpr std::array kReserved = {
    "alignas",  "alignof",  "and",      "asm",     "auto",      "bool",      "break",
    "case",     "catch",    "char",     "class",   "const",     "continue",  "default",
    "delete",   "do",       "double",   "else",    "enum",      "explicit",  "export",
    "extern",   "false",    "float",    "for",     "friend",    "goto",      "if",
    "inline",   "int",      "long",     "main",    "mutable",   "namespace", "new",
    "not",      "operator", "or",       "private", "protected", "public",    "register",
    "restrict", "return",   "short",    "signed",  "sizeof",    "static",    "struct",
    "switch",   "template", "this",     "throw",   "true",      "try",       "typedef",
    "typename", "union",    "unsigned", "using",   "virtual",   "void",      "volatile",
    "while",    "xor"};

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Length of the valid UTF-8 sequence at `at`, 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  std::size_t length = 0;
  std::uint32_t code = 0;
  if (first >= 0xC2 && first <= 0xDF)
    length = 2, code = first & 0x1Fu;
  else if (first >= 0xE0 && first <= 0xEF)
    length = 3, code = first & 0x0Fu;
  else if (first >= 0xF0 && first <= 0xF4)
    length = 4, code = first & 0x07u;
  else
    return 0;
  if (at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0u) != 0x80u) return 0;
    code = (code << 6) | (byte(at + i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return overlong || surrogate || code > 0x10FFFF ? 0 : length;
}

/// Letters to insert, remove, replace, or exchange with their neighbour (optimal string
/// alignment: Damerau 1964, no letter touched twice).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::string c_identifier(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, kMaxIdentifier)) out += is_alnum(c) || c == '_' ? c : '_';
  if (out.empty()) out = "unnamed";
  // A leading digit is no identifier, a leading underscore may be the implementation's.
  if ((out[0] >= '0' && out[0] <= '9') || out[0] == '_') out = "n" + out;
  if (std::ranges::find(kReserved, out) != kReserved.end()) out += "_";
  return out.substr(0, kMaxIdentifier);
}

std::string unique_c_identifier(std::string_view text, std::set<std::string>& taken) {
  const std::string base = c_identifier(text);
  std::string candidate = base;
  for (int n = 2; !taken.insert(candidate).second; ++n) {
    const std::string suffix = fmt::format("_{}", n);
    candidate = base.substr(0, kMaxIdentifier - suffix.size()) + suffix;
  }
  return candidate;
}

std::string c_comment(std::string_view text) {
  std::string out;
  for (char c : text) {
    // No '/', '*' or '\' neighbours: neither the comment's end, nor a nested start, nor a
    // continued line, nor a trigraph ("?\?/").
    if (c == '/' && !out.empty() && (out.back() == '*' || out.back() == '/')) out += ' ';
    if (c == '*' && !out.empty() && out.back() == '/') out += ' ';
    if (c == '?' && !out.empty() && out.back() == '?') out += ' ';
    out += c == '\\' ? '|' : (c >= 0x20 && c < 0x7F ? c : '?');
  }
  if (!out.empty() && out.back() == '*') out += ' ';
  return out;
}

std::string html_escape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    const char c = text[i];
    if (length == 0 ||
        (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F))) {
      out += c == '\n' || c == '\t' ? ' ' : '?';
      ++i;
      continue;
    }
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += text.substr(i, length);
    }
    i += length;
  }
  return out;
}

std::string file_name(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, kMaxFileName)) {
    out += is_alnum(c) || c == '_' || c == '-' || c == '.' ? c : '_';
  }
  if (out.empty()) return "unnamed";
  if (out[0] == '.' || out[0] == '-') out[0] = '_';
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text, i);
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 control characters are two-byte UTF-8 that some terminals obey.
    const bool c1 =
        length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (length == 0 || c1 || byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
      ++i;
      if (c1) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i++]));
    } else {
      out += text.substr(i, length);
      i += length;
    }
  }
  return out;
}

std::string nearest(std::string_view text, const std::set<std::string>& candidates) {
  if (text.size() > 200) return {};
  // A third of the letters may be wrong; beyond that a suggestion only confuses.
  std::size_t best = std::max<std::size_t>(1, text.size() / 3) + 1;
  std::string found;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > 200) continue;
    const std::size_t distance = edit_distance(text, candidate);
    if (distance < best) best = distance, found = candidate;
  }
  return found;
}

bool glob_match(std::string_view glob, std::string_view name) {
  // Greedy with one point of return: linear in practice, quadratic at worst, no
  // recursion.
  std::size_t g = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = n;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g, ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace qopt
