// SPDX-License-Identifier: MIT
// Chooses the device runtime's files for one export. They are compiled into this program
// as text (cmake/embed.cmake), so that an installed qopt needs no source tree.
#include <algorithm>
#include <set>

#include "lib/core/error.h"
#include "lib/export/c_files.h"

/// Written by cmake/embed.cmake.
struct QoptRuntimeFile {
  const char* path;
  const char* text;
};
extern const QoptRuntimeFile qopt_runtime_files[];
extern const unsigned qopt_runtime_file_count;

namespace qopt::emit {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         c == '_';
}

/// The runtime's names (qrt_...) that occur in a text.
std::set<std::string> runtime_names(std::string_view text) {
  std::set<std::string> names;
  std::size_t at = 0;
  while ((at = text.find("qrt_", at)) != std::string_view::npos) {
    std::size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    if (at == 0 || !is_word(text[at - 1])) names.emplace(text.substr(at, end - at));
    at = end;
  }
  return names;
}

/// What a source file defines for others: names (a line that starts in column 0, is not
/// static, and names a function of the runtime before its first parenthesis), and endings
/// of names (the argument of a QRT_DEFINE_ macro, which is a whole name or all of it but
/// the operator).
struct Exports {
  std::set<std::string> names, endings;

  bool serves(const std::set<std::string>& needed) const {
    return std::ranges::any_of(needed, [&](const std::string& name) {
      return names.contains(name) ||
             std::ranges::any_of(endings, [&](const std::string& ending) {
               return name == ending || name.ends_with("_" + ending);
             });
    });
  }
};

Exports exports_of(std::string_view text) {
  Exports exports;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t paren = line.find('(');
    const bool is_code = !line.empty() && is_word(line[0]) && !line.starts_with("static");
    if (is_code && paren != std::string_view::npos) {
      std::size_t begin = paren;
      while (begin > 0 && is_word(line[begin - 1])) --begin;
      const std::string_view name = line.substr(begin, paren - begin);
      if (name.starts_with("qrt_")) exports.names.emplace(name);
      if (name.starts_with("QRT_DEFINE_")) {
        std::size_t stop = paren + 1;
        while (stop < line.size() && is_word(line[stop])) ++stop;
        exports.endings.emplace(line.substr(paren + 1, stop - paren - 1));
      }
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return exports;
}

/// kernels.inc with only the rows of `kernels`; collects their symbols.
std::string used_rows(std::string_view table, const std::set<std::string>& kernels,
                      std::set<std::string>& symbols) {
  constexpr std::string_view kRow = "QRT_KERNEL(";
  std::string out;
  while (!table.empty()) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    const std::string_view line = table.substr(0, end);
    bool keep = true;
    if (line.starts_with(kRow)) {
      const std::size_t first = line.find(',', kRow.size());
      const std::size_t second = line.find(',', first + 1);
      const std::string op(line.substr(kRow.size(), first - kRow.size()));
      const std::string types(line.substr(first + 2, second - first - 2));
      keep = kernels.contains(op + "_" + types);
      if (keep) symbols.merge(runtime_names(line));
    }
    if (keep) out += std::string(line) + "\n";
    table.remove_prefix(std::min(end + 1, table.size()));
  }
  return out;
}

}  // namespace

std::map<std::string, std::string> runtime_files(
    const std::vector<std::string>& kernels, const std::vector<std::string>& sources) {
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> candidates;  // src/*.c
  std::set<std::string> needed;
  // A table without rows would be an empty struct.
  std::set<std::string> used(kernels.begin(), kernels.end());
  used.insert("copy_any");
  for (unsigned i = 0; i < qopt_runtime_file_count; ++i) {
    const std::string path = qopt_runtime_files[i].path;
    const std::string text = qopt_runtime_files[i].text;
    if (path == "include/qrt/kernels.inc") {
      files[path] = used_rows(text, used, needed);
    } else if (path.starts_with("include/qrt/") || path.starts_with("threads/")) {
      files[path] = text;
    } else if (path.ends_with(".h")) {
      files["src/qrt/" + path.substr(4)] = text;
    } else {
      candidates["src/qrt/" + path.substr(4)] = text;
    }
  }
  for (const std::string& source : sources) needed.merge(runtime_names(source));
  bool grew = true;
  while (grew) {
    grew = false;
    for (auto at = candidates.begin(); at != candidates.end();) {
      if (!exports_of(at->second).serves(needed)) {
        ++at;
        continue;
      }
      needed.merge(runtime_names(at->second));
      files.insert(*at);
      at = candidates.erase(at);
      grew = true;
    }
  }
  return files;
}

}  // namespace qopt::emit
