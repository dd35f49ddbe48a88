// SPDX-License-Identifier: MIT
// The page around the report: style and the few lines of script that sort tables. Knows
// no data.
#pragma once

#include <string>
#include <string_view>

namespace qopt::report {

/// A whole HTML document; `title` is escaped, `body` is HTML.
std::string html_page(std::string_view title, const std::string& body);

}  // namespace qopt::report
