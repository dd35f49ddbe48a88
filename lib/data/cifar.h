// SPDX-License-Identifier: MIT
// CIFAR-10's binary format: records of one label byte and 3 planes of 32x32 bytes, no
// header.
#pragma once

#include <string>
#include <vector>

#include "lib/core/tensor.h"
#include "lib/data/source.h"

namespace qopt::data {

struct CifarRecords {
  Tensor images;                     // u8 [N,3,32,32], planes R, G, B
  std::vector<std::int64_t> labels;  // 0..9
};

/// Throws Error(Data) when the length is no multiple of 3073 or a label is above 9.
CifarRecords parse_cifar(Bytes file, const std::string& where);

}  // namespace qopt::data
