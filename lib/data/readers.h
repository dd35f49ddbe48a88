// SPDX-License-Identifier: MIT
// The openers behind the table of formats: one for each row. Private to the room.
#pragma once

#include <memory>

#include "lib/data/dataset.h"

namespace qopt::data {

std::unique_ptr<Dataset> open_idx(const DatasetSpec& spec);
std::unique_ptr<Dataset> open_cifar(const DatasetSpec& spec);
std::unique_ptr<Dataset> open_image_folder(const DatasetSpec& spec);
std::unique_ptr<Dataset> open_npy(const DatasetSpec& spec);
std::unique_ptr<Dataset> open_random(const DatasetSpec& spec);

}  // namespace qopt::data
