// SPDX-License-Identifier: MIT
// Image folders: one sub-folder for each class in the order of their names, or one flat
// folder (or list) of images without labels. Images are decoded when asked for, so memory
// stays small.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "lib/data/image.h"
#include "lib/data/readers.h"

namespace qopt::data {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxImageBytes = 256ULL << 20;

struct Entry {
  fs::path path;
  std::optional<std::int64_t> label;
};

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension)
    c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return !name.empty() && name[0] == '.';
}

/// Entries of one folder in byte order of their names.
std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (!is_hidden(it->path())) entries.push_back(it->path());
  }
  if (error) fail(folder.string(), "cannot list folder: " + error.message());
  std::sort(entries.begin(), entries.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return entries;
}

/// Images below `folder`, folders within it too. Links to folders below the first level
/// are not followed, so a loop cannot trap us.
void images_below(const fs::path& folder, std::int64_t label, std::vector<Entry>& out) {
  for (const fs::path& path : sorted_entries(folder)) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      if (!fs::is_symlink(path, error)) images_below(path, label, out);
    } else if (is_image_name(path)) {
      out.push_back({path, label});
    }
  }
}

class ImageFolder : public Dataset {
 public:
  ImageFolder(std::vector<Entry> entries, std::vector<std::string> class_names,
              Preprocess preprocess, std::string description)
      : entries_(std::move(entries)),
        class_names_(std::move(class_names)),
        preprocess_(std::move(preprocess)),
        description_(std::move(description)) {
    // Folders mix grey and colour files; one model input has one number of channels.
    if (!preprocess_.channels) preprocess_.channels = 3;
  }

  std::int64_t size() const override {
    return static_cast<std::int64_t>(entries_.size());
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string description() const override { return description_; }

  Sample sample(std::int64_t index) const override {
    QOPT_CHECK(index >= 0 && index < size(), "sample {} of {}", index, size());
    const Entry& entry = entries_[static_cast<std::size_t>(index)];
    const std::string where = entry.path.string();
    const std::string bytes = read_source(entry.path, kMaxImageBytes);
    Sample sample;
    sample.inputs.push_back(
        preprocess_picture(decode_image(bytes_of(bytes), where), preprocess_, where));
    sample.label = entry.label;
    return sample;
  }

 private:
  std::vector<Entry> entries_;
  std::vector<std::string> class_names_;
  Preprocess preprocess_;
  std::string description_;
};

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const DatasetSpec& spec) {
  if (spec.folder.empty() == spec.files.empty()) {
    fail("", "image_folder needs either `folder` or `files`");
  }
  std::vector<Entry> entries;
  std::vector<std::string> class_names;
  if (spec.folder.empty()) {
    for (const fs::path& path : spec.files) entries.push_back({path, std::nullopt});
    return std::make_unique<ImageFolder>(
        std::move(entries), std::move(class_names), spec.preprocess,
        fmt::format("image_folder: {}, {} images", names_text(spec.files),
                    spec.files.size()));
  }

  const std::string where = spec.folder.string();
  std::error_code error;
  if (!fs::is_directory(spec.folder, error)) fail(where, "no such folder");
  std::vector<fs::path> class_folders;
  for (const fs::path& path : sorted_entries(spec.folder)) {
    if (fs::is_directory(path, error)) {
      class_folders.push_back(path);
    } else if (is_image_name(path)) {
      entries.push_back({path, std::nullopt});
    }
  }
  if (!class_folders.empty() && !entries.empty()) {
    fail(where, "has images beside class folders, so their class is unknown",
         "move them into a class folder, or point `folder` at a flat folder");
  }
  for (const fs::path& folder : class_folders) {
    const std::size_t before = entries.size();
    images_below(folder, static_cast<std::int64_t>(class_names.size()), entries);
    if (entries.size() == before) {
      fail(folder.string(), "class folder has no .jpg, .jpeg or .png files");
    }
    class_names.push_back(folder.filename().string());
  }
  fs::path root = spec.folder;
  if (!root.has_filename()) root = root.parent_path();  // "images/" names "images"
  std::string description =
      fmt::format("image_folder: {}, {} images", names_text({&root, 1}), entries.size());
  if (!class_names.empty())
    description += fmt::format(", {} classes", class_names.size());
  return std::make_unique<ImageFolder>(std::move(entries), std::move(class_names),
                                       spec.preprocess, std::move(description));
}

}  // namespace qopt::data
