// SPDX-License-Identifier: MIT
#include "lib/data/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"

namespace qopt::data {

void fail(std::string_view where, std::string what, std::string hint) {
  throw Error(ExitCode::Data, printable(where), std::move(what), std::move(hint));
}

std::string read_source(const std::filesystem::path& path, std::uint64_t max_bytes) {
  try {
    return read_file(path, max_bytes);
  } catch (const Error& e) {
    // Whatever the reason, a data file that cannot be read is a fault of the data.
    throw Error(ExitCode::Data, e.where(), e.message(), e.hint());
  }
}

std::string names_text(std::span<const std::filesystem::path> files) {
  std::string text;
  const std::size_t shown = std::min<std::size_t>(files.size(), 3);
  for (std::size_t i = 0; i < shown; ++i) {
    text += (i ? ", " : "") + printable(files[i].filename().string());
  }
  if (shown < files.size()) text += fmt::format(" and {} more", files.size() - shown);
  return text;
}

}  // namespace qopt::data
