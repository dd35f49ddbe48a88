// SPDX-License-Identifier: MIT
// The folder of sources, file by file.
#include "lib/export/c_backend.h"

#include <set>

#include "lib/core/error.h"
#include "lib/export/c_files.h"
#include "lib/graph/verify.h"

namespace qopt::emit {

Artifact emit_c(const Graph& graph, const Blob& blob, const CodeOptions& options) {
  require_valid(graph, "export");
  const std::vector<std::optional<LayerChoice>> choices =
      choose_kernels(graph, options.target);
  const ModelCode code = model_code(graph, blob.sections, choices);
  const CodeNames names = code_names(graph, code, options.name);
  const CodeContext context{graph, blob, code, names, choices, options.target.core->name};

  Artifact artifact;
  const std::string source = model_source(context);
  const std::string selftest = selftest_source(context);
  std::set<std::string> kernels;
  for (const LayerCode& layer : code.layers) {
    for (const KernelCall& call : layer.calls) kernels.insert(call.kernel);
  }
  std::vector<std::string> kernel_files;
  for (auto& [path, text] :
       runtime_files({kernels.begin(), kernels.end()}, {source, selftest})) {
    if (path.starts_with("src/") && path.ends_with(".c")) kernel_files.push_back(path);
    artifact.add(path, text);
  }
  artifact.add("include/model.h", model_header(context));
  artifact.add("src/model.c", source);
  artifact.add("selftest.c", selftest);
  artifact.add("bench.c", bench_source(context));
  artifact.add("CMakeLists.txt", build_file(context, kernel_files));
  artifact.add("model.qpk", blob.bytes);
  return artifact;
}

}  // namespace qopt::emit
