// SPDX-License-Identifier: MIT
// NumPy's NPY arrays and NPZ archives (zip, stored or deflated). Bytes in, tensors out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "lib/core/tensor.h"
#include "lib/data/source.h"

namespace qopt::data {

/// Format versions 1 to 3; little-endian f4 f8 i1 u1 i2 i4 i8 and b1; Fortran order is
/// turned into C order. Throws Error(Data) naming `where` and the offset.
Tensor parse_npy(Bytes file, const std::string& where);

/// Arrays of an NPZ archive by name (without ".npy"), in archive order; check sums are
/// checked.
std::vector<std::pair<std::string, Tensor>> parse_npz(Bytes file,
                                                      const std::string& where);

}  // namespace qopt::data
