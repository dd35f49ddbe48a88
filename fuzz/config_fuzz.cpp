// SPDX-License-Identifier: MIT
// Hostile YAML: parsing, expansion, overrides and printing end in a value or a
// ConfigError.
#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/config/reader.h"
#include "lib/config/writer.h"

namespace {

using qopt::config::Fields;

struct Settings {
  std::int64_t whole = 1;
  double real = 1;
  std::optional<std::int64_t> bytes;
  std::filesystem::path file;
  std::vector<std::string> words;
  std::vector<Settings> parts;
};

// The recursion in `parts` follows the text's own depth, which the tree limits.
void describe(Fields& f, Settings& v) {
  f.key({.name = "whole", .help = "h"}, qopt::config::integer(-10, 10), v.whole);
  f.key({.name = "real", .help = "h"}, qopt::config::real(-1, 1), v.real);
  f.key({.name = "bytes", .help = "h"}, qopt::config::size(), v.bytes);
  f.key({.name = "file", .help = "h"}, qopt::config::path(), v.file);
  f.list({.name = "words", .help = "h"}, qopt::config::text(), {0, 100}, v.words);
  f.block_list({.name = "parts", .help = "h"}, v.parts,
               [](Fields& g, Settings& s) { describe(g, s); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\0');
  qopt::config::Source source;
  source.file = "fuzz.yaml";
  source.text = text.substr(0, cut);
  if (cut != std::string::npos) source.overrides.push_back(text.substr(cut + 1));
  source.environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "A" ? std::optional<std::string>("a b") : std::nullopt;
  };
  try {
    Settings settings;
    const auto written =
        qopt::config::read(source, [&](Fields& f) { describe(f, settings); });
    // What was accepted prints as YAML that is accepted.
    source.text = qopt::config::write_yaml([&](Fields& f) { describe(f, settings); },
                                           qopt::config::YamlStyle::Plain, written);
    source.overrides.clear();
    source.environment = [](const std::string&) { return std::string(); };
    Settings again;
    qopt::config::read(source, [&](Fields& f) { describe(f, again); });
  } catch (const qopt::config::ConfigError&) {
  }
  return 0;
}
