// SPDX-License-Identifier: MIT
// Two results side by side: quality, sizes, layers. Reads reports only.
#pragma once

#include <filesystem>
#include <string>

#include "lib/report/report.h"

namespace qopt::pipeline {

/// The report of an export folder, or of a report.json itself. Throws Error(Data).
report::Report load_report(const std::filesystem::path& path);

std::string compare_text(const report::Report& a, const report::Report& b);
std::string compare_json(const report::Report& a, const report::Report& b);

}  // namespace qopt::pipeline
