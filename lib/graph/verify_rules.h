// SPDX-License-Identifier: MIT
// What the two halves of the verifier share (verify.cpp, verify_integer.cpp); private to
// them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/graph/verify.h"

namespace qopt::verify_rules {

struct Report {
  std::vector<Diagnostic> found;
  void add(std::string where, std::string what) {
    found.push_back({std::move(where), std::move(what)});
  }
};

/// Rules of the Integer level alone: operators, element types, attribute ranges, tables.
void check_integer(const Graph& graph, Report& report);

}  // namespace qopt::verify_rules
