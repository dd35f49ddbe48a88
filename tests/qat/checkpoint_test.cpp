// SPDX-License-Identifier: MIT
// Checkpoints: what is read is what was written; damaged, foreign and hostile files are
// refused by name, and the other file is used.
#include "lib/qat/checkpoint.h"

#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "tests/qat/support.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace qopt::qat {
namespace {

Checkpoint at_step(std::int64_t step, const std::string& identity = "me") {
  Checkpoint c;
  c.step = step, c.identity = identity;
  c.header["score"] = 0.1 + 1e-9 * static_cast<double>(step);
  c.tensors = {{"a", at::tensor({1.5F, -0.0F, static_cast<float>(step)})},
               {"b/c", at::full({2, 3}, 7 + step, at::kLong).t()},
               {"none", at::empty({0, 4})},
               {"one", at::full({}, 2.5F)}};
  return c;
}

struct Read {
  std::optional<Checkpoint> found;
  std::vector<std::string> notes;
};
Read read(const CheckpointFolder& folder, const std::string& identity = "me") {
  Read r;
  r.found = folder.read(identity, r.notes);
  return r;
}

void overwrite(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_CASE("a checkpoint comes back as it was") {
  const TempFolder temp;
  const CheckpointFolder folder(temp.path() / "deep" / "folder");
  CHECK_FALSE(read(folder).found.has_value());
  const Checkpoint c = at_step(12);
  folder.write(c);
  const Read r = read(folder);
  REQUIRE(r.found.has_value());
  CHECK(r.notes.empty());
  CHECK(r.found->step == 12);
  CHECK(r.found->identity == "me");
  CHECK(r.found->header.at("score").get<double>() == c.header["score"].get<double>());
  REQUIRE(r.found->tensors.size() == c.tensors.size());
  for (std::size_t i = 0; i < c.tensors.size(); ++i) {
    CHECK(r.found->tensors[i].name == c.tensors[i].name);
    CHECK(r.found->tensors[i].tensor.scalar_type() == c.tensors[i].tensor.scalar_type());
    CHECK(same_bits(r.found->tensors[i].tensor, c.tensors[i].tensor));
  }
  folder.remove();
  CHECK_FALSE(std::filesystem::exists(folder.path()));
}

TEST_CASE("two files take turns, also within one tick of the clock") {
  const TempFolder temp;
  const CheckpointFolder folder(temp.path());
  for (std::int64_t step = 1; step <= 40; ++step) {
    folder.write(at_step(step));
    CHECK(read(folder).found->step == step);
    if (step == 1) continue;
    // Without the newer file there is the one before.
    std::vector<std::int64_t> kept;
    for (const char* name : {"a.ckpt", "b.ckpt"}) {
      const std::filesystem::path path = temp.path() / name;
      const std::filesystem::path away = temp.path() / "away";
      std::filesystem::rename(path, away);
      kept.push_back(read(folder).found->step);
      std::filesystem::rename(away, path);
    }
    CHECK(std::min(kept[0], kept[1]) == step - 1);
    CHECK(std::max(kept[0], kept[1]) == step);
  }
  CHECK(std::distance(std::filesystem::directory_iterator(temp.path()), {}) == 2);
}

/// A file with this header and data, its checksum right.
std::string sealed(const std::string& header, const std::string& data,
                   std::optional<std::uint64_t> length = std::nullopt) {
  std::string bytes = "QOPTCKP1";
  const std::uint64_t size = length.value_or(header.size());
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(size >> (8 * i) & 0xFF);
  bytes += header + data;
  return bytes + sha256_hex(bytes);
}
std::string with_shape(const std::string& shape, const std::string& type = "f32") {
  return R"({"step": 9, "identity": "me", "tensors": [{"name": "a", "type": ")" + type +
         R"(", "shape": )" + shape + "}]}";
}

TEST_CASE("damaged and hostile files are refused, and the other one is used") {
  const TempFolder temp;
  const CheckpointFolder folder(temp.path());
  folder.write(at_step(4)), folder.write(at_step(5));
  const std::filesystem::path good = temp.path() / "a.ckpt", bad = temp.path() / "b.ckpt";
  const std::string whole = read_file(bad);
  const auto refused = [&](const std::string& bytes) {
    overwrite(bad, bytes);
    const Read r = read(folder);
    REQUIRE(r.found.has_value());
    CHECK(r.found->step == 4);
    REQUIRE(r.notes.size() == 1);
    CHECK_THAT(r.notes[0],
               has_text("b.ckpt") && has_text("damaged") && has_text("step 4"));
  };
  for (std::size_t n = 0; n < whole.size(); n += 1 + whole.size() / 50) {
    refused(whole.substr(0, n));
  }
  refused(whole.substr(0, whole.size() - 1));
  refused(whole + "x");
  for (std::size_t n = 0; n < whole.size(); n += 1 + whole.size() / 100) {
    std::string flipped = whole;
    flipped[n] = static_cast<char>(flipped[n] ^ (1 << (n % 8)));
    refused(flipped);
  }
  const std::string four(4, 'x');
  refused(sealed(with_shape("[1]"), ""));           // too few bytes
  refused(sealed(with_shape("[1]"), four + four));  // too many
  refused(sealed(with_shape("[-1]"), four));
  refused(sealed(with_shape("[1.5]"), four));
  refused(sealed(with_shape("[\"1\"]"), four));
  refused(sealed(with_shape("[9223372036854775807]"), four));
  refused(sealed(with_shape("[1073741824, 1073741824, 1073741824]"), four));
  refused(sealed(with_shape("[4, 4611686018427387904]"), ""));  // wraps to 0 elements
  refused(sealed(with_shape("[0, 4611686018427387904, 16]"), ""));
  refused(sealed(with_shape("[2, 9223372036854775807, 2]"), four));
  refused(sealed(with_shape("[1]", "f64"), four + four));
  refused(sealed(with_shape("[1]"), four, ~0ULL));
  refused(sealed(with_shape("[1]"), four, 3));
  refused(sealed("{}", ""));
  refused(sealed("[]", ""));
  refused(sealed("not json", ""));
  refused(sealed(std::string(100000, '['), ""));
  refused(sealed(R"({"step": "x", "identity": "me", "tensors": []})", ""));
  refused(sealed(R"({"step": 1, "identity": 5, "tensors": []})", ""));
  refused(sealed(R"({"step": 1, "identity": "me", "tensors": 5})", ""));
  // The form itself is right: only the faults above are refused.
  overwrite(bad, sealed(with_shape("[1]"), four));
  CHECK(read(folder).found->step == 9);
  // The damaged file is the one that the next write replaces.
  overwrite(bad, whole.substr(0, 30));
  folder.write(at_step(6));
  CHECK(read(folder).found->step == 6);
  CHECK(read(folder).notes.empty());
  std::filesystem::remove(bad);
  CHECK(read(folder).found->step == 4);
  // Without a whole file training starts anew, and says so.
  overwrite(good, "");
  const Read r = read(folder);
  CHECK_FALSE(r.found.has_value());
  REQUIRE(r.notes.size() == 1);
  CHECK_THAT(r.notes[0], has_text("a.ckpt") && has_text("starting anew"));
}

TEST_CASE("a checkpoint of another run is not used") {
  const TempFolder temp;
  const CheckpointFolder folder(temp.path());
  folder.write(at_step(7, "other"));
  Read r = read(folder);
  CHECK_FALSE(r.found.has_value());
  REQUIRE(r.notes.size() == 1);
  CHECK_THAT(r.notes[0], has_text("a.ckpt") && has_text("another configuration"));
  folder.write(at_step(2));
  CHECK(read(folder).found->step == 2);
}

TEST_CASE("a folder that cannot be written is an error that names it") {
  const TempFolder temp;
  overwrite(temp.path() / "file", "x");
  try {
    CheckpointFolder(temp.path() / "file").write(at_step(1));
    FAIL("written");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Usage);
    CHECK_THAT(std::string(e.what()), has_text("file"));
  }
}

/// A file system of 64 KiB, where this user may mount one.
class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount(folder_.path().c_str());
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
  bool mounted_ = false;
};

TEST_CASE("a full disk is a clear error, and the checkpoint before is still there") {
  // Where nothing can be mounted, a limit on the file's size takes the disk's place.
  const SmallDisk disk;
  if (!disk.mounted()) {
    WARN("skipped: no file system can be mounted here");
    return;
  }
  const CheckpointFolder folder(disk.path());
  folder.write(at_step(1)), folder.write(at_step(2));
  Checkpoint large = at_step(3);
  large.tensors.push_back({"large", at::zeros({1 << 16})});
  try {
    folder.write(large);
    FAIL("written");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Usage);
    CHECK_THAT(std::string(e.what()), has_text(".ckpt") && has_text("No space left"));
  }
  const Read r = read(folder);
  REQUIRE(r.found.has_value());
  CHECK(r.found->step == 2);
  CHECK(r.notes.empty());
  CHECK(std::distance(std::filesystem::directory_iterator(disk.path()), {}) == 2);
}

}  // namespace
}  // namespace qopt::qat
