// SPDX-License-Identifier: MIT
#include "lib/pipeline/prepare.h"

#include <fmt/format.h>

#include "lib/config/problems.h"
#include "lib/ptq/settings.h"

namespace qopt::pipeline {
namespace {

void require_rules_match(const Graph& canonical, const ptq::PtqConfig& config) {
  config::Problems problems;
  ptq::PtqConfig one = config;
  for (const ptq::LayerRule& rule : config.layers) {
    one.layers = {rule};
    std::vector<std::string> findings;
    try {
      ptq::settings_of(canonical, one, findings);
    } catch (const Error& e) {
      problems.add(e.where(), e.hint().empty()
                                  ? e.message()
                                  : fmt::format("{}; {}", e.message(), e.hint()));
    }
  }
  problems.throw_if_any();
}

}  // namespace

Prepared prepare(const CompressConfig& config, const Graph& imported) {
  Rewritten rewritten = rewrite_activations(config.replace_activations, imported);
  Prepared prepared{ptq::separate_layer_inputs(rewritten.graph, config.ptq),
                    std::move(rewritten.activations)};
  require_rules_match(prepared.graph, config.ptq);
  return prepared;
}

}  // namespace qopt::pipeline
