// SPDX-License-Identifier: MIT
// What a user of the installed libraries might write first. Exits 0 when all of it works.
#include <cstdio>

#include "lib/data/dataset.h"
#include "lib/export/export.h"
#include "lib/graph/text.h"
#ifdef USE_TORCH
#include "lib/frontend/import.h"
#endif

int main() {
  qopt::Graph graph(qopt::Level::Canonical);
  const qopt::ValueId x = graph.add_input("x", qopt::DType::F32, {1, 2});
  graph.add_output("y", graph.add(qopt::op::Clamp{}, {x}, "y"));
  const std::string text = qopt::print(graph);
  bool works = qopt::print(qopt::parse(text, {})) == text;
  works = works && !qopt::data::dataset_formats().empty();
#ifdef USE_TORCH
  works = works && !qopt::frontend::supported_ops().empty();
#endif
  std::puts(text.c_str());
  return works ? 0 : 1;
}
