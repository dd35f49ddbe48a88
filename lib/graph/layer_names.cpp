// SPDX-License-Identifier: MIT
#include "lib/graph/layer_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/names.h"

namespace qopt {

void no_such_layer(const Graph& graph, std::string_view pattern,
                   const std::string& where) {
  std::set<std::string> names;
  std::string wanted(pattern);
  std::erase_if(wanted, [](char c) { return c == '*' || c == '?'; });
  for (const Node& node : graph.nodes())
    names.insert(printable(graph.value(node.output).name));
  std::vector<std::string> near;
  if (const std::string one = nearest(wanted, names); !one.empty()) near.push_back(one);
  for (const std::string& name : names) {
    const bool is_alike = !wanted.empty() && name.find(wanted) != std::string::npos;
    if (is_alike && near.size() < 4 && name != (near.empty() ? "" : near[0])) {
      near.push_back(name);
    }
  }
  if (!near.empty()) {
    throw Error(ExitCode::Usage, where,
                fmt::format("pattern '{}' matches no layer", printable(pattern)),
                fmt::format("did you mean '{}'?", fmt::join(near, "' or '")));
  }
  const std::vector<std::string> all(names.begin(), names.end());
  const std::size_t shown = std::min<std::size_t>(all.size(), 6);
  throw Error(
      ExitCode::Usage, where,
      fmt::format("pattern '{}' matches no layer", printable(pattern)),
      fmt::format(
          "layers are called {}{}",
          fmt::join(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
          shown < all.size() ? ", ..." : ""));
}

}  // namespace qopt
