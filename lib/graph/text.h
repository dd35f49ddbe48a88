// SPDX-License-Identifier: MIT
// Text form: print and parse are exact inverses. Tests are written in it, dumps are read
// in it. Constants print by reference (`#name`); their bytes travel beside the text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lib/graph/graph.h"

namespace qopt {

/// One line per value and node; floats print exactly (shortest round-trip form). Names
/// are quoted and escaped where they are not [A-Za-z0-9_.]+.
std::string print(const Graph& graph);

/// Bytes for the constants a text refers to.
using Constants = std::map<std::string, Tensor, std::less<>>;

/// Inverse of print: print(parse(t, c)) == t. A constant missing from `constants` is
/// zero-filled when `allow_missing`, up to `max_fill_bytes` in all, else an error. Throws
/// Error(Usage) with line and column.
Graph parse(std::string_view text, const Constants& constants, bool allow_missing = false,
            std::uint64_t max_fill_bytes = std::uint64_t{1} << 30);

/// The constants of a graph by name.
Constants constants_of(const Graph& graph);

}  // namespace qopt
