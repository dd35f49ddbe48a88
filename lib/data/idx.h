// SPDX-License-Identifier: MIT
// IDX, the format of the MNIST family: a big-endian array with its type and extents in
// front, plain or gzip. Bytes in, tensor out; knows no preprocessing.
#pragma once

#include <string>

#include "lib/core/tensor.h"
#include "lib/data/source.h"

namespace qopt::data {

/// The array of an IDX file (gzip recognised by its magic), in its own element type (u8,
/// i8, i16, i32, f32, f64). Throws Error(Data) naming `where` and the offset.
Tensor parse_idx(Bytes file, const std::string& where);

}  // namespace qopt::data
