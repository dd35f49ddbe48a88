// SPDX-License-Identifier: MIT
// Checkpoints: named tensors and a header in one file with a checksum, two files taking
// turns, so that a run killed while writing still has the other. Knows nothing of what it
// stores.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace qopt::qat {

struct Checkpoint {
  std::int64_t step = 0;
  std::string identity;  // of the run that it belongs to
  nlohmann::json header;
  struct Entry {
    std::string name;
    at::Tensor tensor;  // f32 or i64
  };
  std::vector<Entry> tensors;
};

class CheckpointFolder {
 public:
  /// `folder` is made when the first checkpoint is written; empty: nothing is kept.
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Replaces the file of the lower step (absent, damaged and foreign ones first),
  /// atomically. Throws Error(Usage) naming the path (unwritable, disk full); the other
  /// file is untouched then.
  void write(const Checkpoint& checkpoint) const;
  /// The newest file of this identity that is whole. Damaged or foreign files are named
  /// in `notes`, with what was done instead.
  std::optional<Checkpoint> read(const std::string& identity,
                                 std::vector<std::string>& notes) const;
  /// Removes both files, and the folder when it is empty then.
  void remove() const;
  const std::filesystem::path& path() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace qopt::qat
