// SPDX-License-Identifier: MIT
// The report's section on training, as HTML with inline SVG. Pure functions of numbers;
// names are escaped here.
#pragma once

#include <string>

#include "lib/report/report.h"

namespace qopt::report {

/// What is inside the section: the score with its start and its best state, loss and
/// training accuracy, how often codes flip in each layer, and the visited states. All
/// charts have the epochs along one axis and can be read downwards.
std::string training_section(const Training& training);

}  // namespace qopt::report
