// SPDX-License-Identifier: MIT
#include "lib/export/manifest.h"

#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"
#include "lib/export/blob.h"
#include "lib/export/version.h"
#include "lib/graph/text.h"
#include "lib/graph/verify.h"

namespace qopt::emit {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "qopt-export";
constexpr int kFormatVersion = 1;
constexpr std::uint64_t kMaxManifestBytes = 4ULL << 20;
constexpr std::uint64_t kMaxTextBytes = 256ULL << 20;

[[noreturn]] void no_export(const std::filesystem::path& folder, const std::string& why) {
  throw Error(ExitCode::Data, folder.string(), why,
              "give a folder written by qopt compress");
}

/// A path of the manifest must stay inside the folder.
bool is_inside(std::string_view path) {
  const std::filesystem::path relative(path);
  if (path.empty() || relative.is_absolute()) return false;
  for (const auto& part : relative) {
    if (part == "..") return false;
  }
  return true;
}

}  // namespace

void add_graph(Artifact& artifact, const Graph& graph) {
  artifact.add("model.qir", print(graph));
}

void add_manifest(Artifact& artifact, std::string_view name) {
  artifact.files.erase("manifest.json");
  Json files = Json::object();
  for (const auto& [path, bytes] : artifact.files) {
    files[path] = {{"bytes", bytes.size()}, {"sha256", sha256_hex(bytes)}};
  }
  const Json manifest = {{"format", kFormat},
                         {"version", kFormatVersion},
                         {"tool_version", kToolVersion},
                         {"name", printable(name)},
                         {"files", files}};
  artifact.add("manifest.json",
               manifest.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Manifest read_manifest(const std::filesystem::path& folder) {
  std::error_code fault;
  if (!std::filesystem::is_directory(folder, fault)) no_export(folder, "is not a folder");
  if (!std::filesystem::is_regular_file(folder / "manifest.json", fault)) {
    no_export(folder, "has no manifest.json");
  }
  const std::string text = read_file(folder / "manifest.json", kMaxManifestBytes);
  Manifest manifest;
  try {
    const Json json = Json::parse(text);
    if (json.at("format").get<std::string>() != kFormat)
      no_export(folder, "manifest.json is of another format");
    if (json.at("version").get<int>() != kFormatVersion) {
      no_export(folder, fmt::format("manifest.json has version {}, this program reads {}",
                                    json.at("version").get<int>(), kFormatVersion));
    }
    manifest.name = json.at("name").get<std::string>();
    manifest.tool_version = json.at("tool_version").get<std::string>();
    for (const auto& [path, entry] : json.at("files").items()) {
      if (!is_inside(path))
        no_export(folder, "manifest.json names a file outside the folder");
      manifest.files[path] = {entry.at("sha256").get<std::string>(),
                              entry.at("bytes").get<std::uint64_t>()};
    }
  } catch (const Json::exception& e) {
    no_export(folder, fmt::format("manifest.json is malformed: {}", printable(e.what())));
  }
  return manifest;
}

std::vector<std::string> changed_files(const std::filesystem::path& folder,
                                       const Manifest& manifest) {
  std::vector<std::string> changed;
  for (const auto& [path, entry] : manifest.files) {
    std::error_code fault;
    const std::uint64_t bytes = std::filesystem::file_size(folder / path, fault);
    if (fault || bytes != entry.bytes ||
        sha256_hex(read_file(folder / path)) != entry.sha256) {
      changed.push_back(path);
    }
  }
  return changed;
}

Graph load_export_unchecked(const std::filesystem::path& folder) {
  const std::string text = read_file(folder / "model.qir", kMaxTextBytes);
  const std::string blob = read_file(folder / "model.qpk");
  const Constants constants = read_constants(blob);
  std::optional<Graph> graph;
  try {
    graph = parse(text, constants);
  } catch (const Error& e) {
    throw Error(ExitCode::Data, (folder / "model.qir").string(), e.what());
  }
  if (graph->level() != Level::Integer)
    no_export(folder, "model.qir is no integer graph");
  if (const std::vector<Diagnostic> faults = verify(*graph); !faults.empty()) {
    no_export(folder, fmt::format("model.qir is not valid: {}: {}",
                                  printable(faults[0].where), printable(faults[0].what)));
  }
  return std::move(*graph);
}

Graph load_export(const std::filesystem::path& folder) {
  const Manifest manifest = read_manifest(folder);
  Manifest model = manifest;
  std::erase_if(model.files, [](const auto& entry) {
    return entry.first != "model.qir" && entry.first != "model.qpk";
  });
  if (model.files.size() != 2)
    no_export(folder, "manifest.json lists no model.qir or model.qpk");
  if (const std::vector<std::string> changed = changed_files(folder, model);
      !changed.empty()) {
    throw Error(ExitCode::Data, (folder / changed[0]).string(),
                "differs from manifest.json",
                "the export was changed or damaged; write it again");
  }
  return load_export_unchecked(folder);
}

}  // namespace qopt::emit
