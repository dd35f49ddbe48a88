// SPDX-License-Identifier: MIT
// Every level set at every width it has, for tests that walk them.
#pragma once

#include <vector>

#include "lib/graph/encoding.h"

namespace qopt::testing {

struct LevelSetAt {
  LevelSet levels;
  int bits;
};

inline std::vector<LevelSetAt> all_level_sets() {
  std::vector<LevelSetAt> all;
  for (LevelSet levels :
       {LevelSet::U, LevelSet::S, LevelSet::N, LevelSet::O, LevelSet::T}) {
    for (int bits = 1; bits <= 16; ++bits) {
      if (!bits_fault(levels, bits)) all.push_back({levels, bits});
    }
  }
  return all;
}

}  // namespace qopt::testing
