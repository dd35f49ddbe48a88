// SPDX-License-Identifier: MIT
#include "lib/data/subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "lib/core/error.h"
#include "lib/core/rng.h"

namespace qopt::data {

Subset::Subset(const Dataset& whole, std::vector<std::int64_t> indices, std::string what)
    : whole_(whole), indices_(std::move(indices)), what_(std::move(what)) {
  for (const std::int64_t index : indices_) {
    QOPT_CHECK(index >= 0 && index < whole.size(), "sample {} of {}", index,
               whole.size());
  }
}

Sample Subset::sample(std::int64_t index) const {
  QOPT_CHECK(index >= 0 && index < size(), "sample {} of {}", index, size());
  return whole_.sample(indices_[static_cast<std::size_t>(index)]);
}

std::string Subset::description() const {
  return fmt::format("{}, {} samples {}", whole_.description(), indices_.size(), what_);
}

Split hold_out(std::int64_t size, std::int64_t count, std::uint64_t seed) {
  if (count < 1 || count >= size) {
    throw Error(ExitCode::Data, "",
                fmt::format("cannot hold out {} of {} samples", count, size),
                "both parts need at least one");
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Rng(seed).shuffle(std::span<std::int64_t>(order));
  const auto cut = order.begin() + count;
  Split split{{cut, order.end()}, {order.begin(), cut}};
  std::ranges::sort(split.rest);
  std::ranges::sort(split.held_out);
  return split;
}

}  // namespace qopt::data
