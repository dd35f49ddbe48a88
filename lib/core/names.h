// SPDX-License-Identifier: MIT
// Names: the one place where text out of a model or a file becomes safe for C, HTML, file
// names and terminals. JSON is escaped by nlohmann.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace qopt {

/// A C identifier made of [A-Za-z0-9_], not a keyword, at most 60 characters, never
/// empty: every other byte becomes '_', a leading digit is prefixed.
std::string c_identifier(std::string_view text);
/// c_identifier made different from all in `taken` by a numeric suffix; inserts the
/// result.
std::string unique_c_identifier(std::string_view text, std::set<std::string>& taken);
/// Text that cannot end a C comment or continue a line: printable ASCII, `*/` and `\`
/// broken.
std::string c_comment(std::string_view text);
/// & < > " ' escaped; control bytes and invalid UTF-8 replaced.
std::string html_escape(std::string_view text);
/// One path component of [A-Za-z0-9._-], not "." or "..", not hidden, at most 80
/// characters.
std::string file_name(std::string_view text);
/// Control bytes (ESC too) shown as \xNN, for terminals and logs.
std::string printable(std::string_view text);

/// The candidate nearest to `text` by edit distance, for "did you mean"; empty if none is
/// near.
std::string nearest(std::string_view text, const std::set<std::string>& candidates);

/// True when `name` matches a glob of `*` (any run, dots too) and `?`; everything else
/// literal.
bool glob_match(std::string_view glob, std::string_view name);

}  // namespace qopt
