// SPDX-License-Identifier: MIT
// File: magic, u64 header bytes, header (JSON: step, identity, tensors with type and
// shape, the rest), tensor bytes in that order, SHA-256 of all before it in hex.
#include "lib/qat/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <system_error>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/core/names.h"

namespace qopt::qat {
namespace {

constexpr std::string_view kMagic = "QOPTCKP1";
constexpr std::size_t kDigest = 64;
constexpr std::array kNames = {"a.ckpt", "b.ckpt"};
constexpr std::uint64_t kMaxElements = 1ULL << 34, kMaxExtent = 1ULL << 28;
constexpr std::size_t kMaxRank = 8;
constexpr std::uint64_t kMaxHeader = 1ULL << 28;

std::string to_bytes(const Checkpoint& c) {
  nlohmann::json header = c.header;
  header["step"] = c.step;
  header["identity"] = c.identity;
  std::string data;
  auto& list = header["tensors"] = nlohmann::json::array();
  for (const Checkpoint::Entry& entry : c.tensors) {
    const at::Tensor t = entry.tensor.detach().to(at::kCPU).contiguous();
    const bool is_float = t.scalar_type() == at::kFloat;
    QOPT_CHECK(is_float || t.scalar_type() == at::kLong, "type of '{}'", entry.name);
    list.push_back({{"name", entry.name},
                    {"type", is_float ? "f32" : "i64"},
                    {"shape", t.sizes().vec()}});
    data.append(static_cast<const char*>(t.data_ptr()), t.nbytes());
  }
  const std::string text = header.dump();
  std::uint64_t length = text.size();
  std::string bytes(kMagic);
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i) & 0xFF);
  bytes += text;
  bytes += data;
  return bytes + sha256_hex(bytes);
}

/// Empty when the bytes are no whole checkpoint.
std::optional<Checkpoint> from_bytes(std::string_view bytes) {
  const std::size_t prefix = kMagic.size() + 8;
  if (bytes.size() < prefix + kDigest || !bytes.starts_with(kMagic)) return std::nullopt;
  const std::string_view body = bytes.substr(0, bytes.size() - kDigest);
  if (sha256_hex(body) != bytes.substr(body.size())) return std::nullopt;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    length |= std::uint64_t{static_cast<unsigned char>(bytes[kMagic.size() + i])}
              << (8 * i);
  }
  if (length > body.size() - prefix) return std::nullopt;
  try {
    Checkpoint c;
    c.header = nlohmann::json::parse(body.substr(prefix, length));
    c.step = c.header.at("step").get<std::int64_t>();
    c.identity = c.header.at("identity").get<std::string>();
    std::size_t at = prefix + length;
    for (const auto& item : c.header.at("tensors")) {
      for (const auto& extent : item.at("shape")) {
        if (!extent.is_number_integer()) return std::nullopt;  // get() would round
      }
      const auto shape = item.at("shape").get<std::vector<std::int64_t>>();
      std::uint64_t elements = 1;
      // Every extent is bounded too, zeros or not: LibTorch multiplies them for strides.
      for (const std::int64_t extent : shape) {
        if (extent < 0 || static_cast<std::uint64_t>(extent) > kMaxExtent)
          return std::nullopt;
        elements *= static_cast<std::uint64_t>(extent);
        if (elements > kMaxElements) return std::nullopt;
      }
      if (shape.size() > kMaxRank) return std::nullopt;
      const bool is_float = item.at("type") == "f32";
      if (!is_float && item.at("type") != "i64") return std::nullopt;
      const std::uint64_t size = elements * (is_float ? 4 : 8);
      if (size > body.size() - at) return std::nullopt;
      at::Tensor tensor = at::empty(shape, is_float ? at::kFloat : at::kLong);
      std::memcpy(tensor.data_ptr(), body.data() + at, size);
      at += size;
      c.tensors.push_back({item.at("name").get<std::string>(), tensor});
    }
    if (at != body.size()) return std::nullopt;
    return c;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

/// Step in the header of a file of this identity; -1 where there is none to be read. The
/// tensors are not looked at: this only decides which file goes first.
std::int64_t step_of(const std::filesystem::path& path, const std::string& identity) {
  std::ifstream file(path, std::ios::binary);
  std::array<unsigned char, 16> prefix{};
  if (!file.read(reinterpret_cast<char*>(prefix.data()), prefix.size())) return -1;
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    length |= std::uint64_t{prefix[kMagic.size() + i]} << (8 * i);
  }
  std::error_code failed;
  const std::uint64_t size = std::filesystem::file_size(path, failed);
  if (failed || length > kMaxHeader || length > size) return -1;
  std::string text(length, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(length))) return -1;
  try {
    const nlohmann::json header = nlohmann::json::parse(text);
    if (header.at("identity").get<std::string>() != identity) return -1;
    return header.at("step").get<std::int64_t>();
  } catch (const nlohmann::json::exception&) {
    return -1;
  }
}

}  // namespace

void CheckpointFolder::write(const Checkpoint& checkpoint) const {
  if (folder_.empty()) return;
  std::error_code failed;
  std::filesystem::create_directories(folder_, failed);
  if (failed) {
    throw Error(ExitCode::Usage, printable(folder_.string()),
                "cannot make the checkpoint folder: " + failed.message());
  }
  // By step, not by time: two writes may fall into one tick of the clock.
  const auto step = [&](std::size_t i) {
    return step_of(folder_ / kNames[i], checkpoint.identity);
  };
  const std::size_t older = step(0) <= step(1) ? 0 : 1;
  write_file_atomic(folder_ / kNames[older], to_bytes(checkpoint));
}

std::optional<Checkpoint> CheckpointFolder::read(const std::string& identity,
                                                 std::vector<std::string>& notes) const {
  std::optional<Checkpoint> newest;
  if (folder_.empty()) return newest;
  std::vector<std::string> damaged;
  for (const char* name : kNames) {
    const std::filesystem::path path = folder_ / name;
    if (!std::filesystem::exists(path)) continue;
    std::optional<Checkpoint> found;
    try {
      found = from_bytes(read_file(path));
    } catch (const Error&) {
      // As good as damaged; named below.
    }
    if (!found) {
      damaged.push_back(printable(path.string()));
    } else if (found->identity != identity) {
      notes.push_back(
          fmt::format("checkpoint {} belongs to another configuration, model "
                      "or data and is not used",
                      printable(path.string())));
    } else if (!newest || found->step > newest->step) {
      newest = std::move(found);
    }
  }
  for (const std::string& path : damaged) {
    notes.push_back(newest
                        ? fmt::format("checkpoint {} is damaged; going on from the "
                                      "other one, at step {}",
                                      path, newest->step)
                        : fmt::format("checkpoint {} is damaged and there is no other; "
                                      "starting anew",
                                      path));
  }
  return newest;
}

void CheckpointFolder::remove() const {
  if (folder_.empty()) return;
  std::error_code ignored;
  for (const char* name : kNames) std::filesystem::remove(folder_ / name, ignored);
  std::filesystem::remove(folder_, ignored);
}

}  // namespace qopt::qat
