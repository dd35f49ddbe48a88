// SPDX-License-Identifier: MIT
// What makes a set of files an export: its graph, its manifest, and reading it back.
// Checks hashes; runs nothing.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/export/artifact.h"
#include "lib/graph/graph.h"

namespace qopt::emit {

/// Adds model.qir, the text of the Integer graph; its constants are the blob's sections.
void add_graph(Artifact& artifact, const Graph& integer_graph);

/// Adds or replaces manifest.json: format, versions, the model's name, size and SHA-256
/// of every other file of the artifact. Files that a run adds later (reports, timings)
/// are not covered.
void add_manifest(Artifact& artifact, std::string_view name);

struct ManifestEntry {
  std::string sha256;
  std::uint64_t bytes = 0;
};
struct Manifest {
  std::string name, tool_version;
  std::map<std::string, ManifestEntry, std::less<>> files;
};

/// Reads manifest.json below `folder`. Throws Error(Data) when it is missing or
/// malformed.
Manifest read_manifest(const std::filesystem::path& folder);

/// Paths whose file is missing or differs from the manifest, in path order.
std::vector<std::string> changed_files(const std::filesystem::path& folder,
                                       const Manifest& manifest);

/// The graph of an exported folder, from model.qir and model.qpk, after both have matched
/// the manifest. Throws Error(Data) when the folder is no export or one of the two was
/// changed.
Graph load_export(const std::filesystem::path& folder);
/// The same without the manifest's hashes.
Graph load_export_unchecked(const std::filesystem::path& folder);

}  // namespace qopt::emit
