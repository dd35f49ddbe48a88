// SPDX-License-Identifier: MIT
// Batches: every sample once an epoch, in an order of the seed's; shifts and mirrors of a
// toy image, exactly; what does not fit is refused.
#include "lib/qat/batches.h"

#include <algorithm>
#include <set>

#include "lib/core/error.h"
#include "tests/qat/support.h"
#include "tests/support/catch.h"

namespace qopt::qat {
namespace {

/// Image k of 2 x 3 x 4 has the numbers 100 k + position; label k.
class Toy : public data::Dataset {
 public:
  explicit Toy(std::int64_t count) : count_(count) {}
  std::int64_t size() const override { return count_; }
  data::Sample sample(std::int64_t k) const override {
    std::vector<float> x;
    const std::int64_t rows = k == taller ? 4 : 3;
    for (std::int64_t i = 0; i < 2 * rows * 4; ++i) {
      x.push_back(static_cast<float>(100 * k + i + 1));
    }
    data::Sample sample{{Tensor::from(x, {1, 2, rows, 4})}, k};
    if (k == unlabelled) sample.label.reset();
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string description() const override { return "toy"; }

  std::int64_t taller = -1, unlabelled = -1;

 private:
  std::int64_t count_;
  std::vector<std::string> names_;
};

std::vector<std::int64_t> labels_of(const Batch& batch) {
  const std::int64_t* data = batch.labels.data_ptr<std::int64_t>();
  return {data, data + batch.labels.numel()};
}

std::vector<std::int64_t> epoch_of(Batches& batches, std::int64_t epoch,
                                   std::int64_t shards) {
  std::vector<std::int64_t> all;
  for (std::int64_t s = 0; s < batches.steps_per_epoch(); ++s) {
    const std::int64_t step = epoch * batches.steps_per_epoch() + s;
    batches.begin_step(step);
    for (std::int64_t shard = 0; shard < shards; ++shard) {
      const auto labels = labels_of(batches.part(step, shard));
      all.insert(all.end(), labels.begin(), labels.end());
    }
  }
  return all;
}

TEST_CASE("an epoch has each sample once, in the seed's order") {
  const Toy toy(26);
  Batches batches(toy, 3, 2, {}, 1), same(toy, 3, 2, {}, 1), other(toy, 3, 2, {}, 2);
  CHECK(batches.steps_per_epoch() == 4);  // two samples are left out
  const auto first = epoch_of(batches, 0, 2), second = epoch_of(batches, 1, 2);
  CHECK(first.size() == 24);
  CHECK(std::set<std::int64_t>(first.begin(), first.end()).size() == 24);
  CHECK(first != second);
  CHECK(second == epoch_of(same, 1, 2));  // without having seen epoch 0
  CHECK(first != epoch_of(other, 0, 2));
  // The order does not depend on how a step is split.
  Batches whole(toy, 6, 1, {}, 1);
  CHECK(first == epoch_of(whole, 0, 1));
}

TEST_CASE("a part holds its samples' numbers, channels innermost") {
  const Toy toy(4);
  Batches batches(toy, 2, 2, {}, 1);
  batches.begin_step(0);
  const Batch part = batches.part(0, 1);
  REQUIRE(part.inputs.size() == 1);
  CHECK(part.inputs[0].is_contiguous(at::MemoryFormat::ChannelsLast));
  const auto labels = labels_of(part);
  for (std::int64_t i = 0; i < 2; ++i) {
    const at::Tensor x = part.inputs[0][i].contiguous();
    for (std::int64_t p = 0; p < 24; ++p) {
      const auto k = labels[static_cast<std::size_t>(i)];
      REQUIRE(x.data_ptr<float>()[p] == static_cast<float>(100 * k + p + 1));
    }
  }
}

TEST_CASE("crops and flips move pixels and bring in zeros, nothing else") {
  const Toy toy(1);
  const Augment augment{.crop = 2, .flip = true};
  Batches batches(toy, 1, 1, augment, 5), again(toy, 1, 1, augment, 5);
  std::set<std::tuple<int, int, bool>> seen;
  for (std::int64_t step = 0; step < 400; ++step) {
    batches.begin_step(step), again.begin_step(step);
    const at::Tensor x = batches.part(step, 0).inputs[0];
    REQUIRE(same_bits(x, again.part(step, 0).inputs[0]));
    const auto at = [&](int c, int row, int column) {
      return x[0][c][row][column].item<float>();
    };
    int matches = 0;
    for (int down = -2; down <= 2; ++down) {
      for (int right = -2; right <= 2; ++right) {
        for (const bool flip : {false, true}) {
          bool equal = true;
          for (int i = 0; i < 24 && equal; ++i) {
            const int c = i / 12, row = i / 4 % 3, column = i % 4;
            const int from_row = row + down;
            const int from_column = (flip ? 3 - column : column) + right;
            const bool inside =
                from_row >= 0 && from_row < 3 && from_column >= 0 && from_column < 4;
            const float wanted =
                inside ? static_cast<float>(c * 12 + from_row * 4 + from_column + 1) : 0;
            equal = at(c, row, column) == wanted;
          }
          if (!equal) continue;
          ++matches;
          seen.insert({down, right, flip});
        }
      }
    }
    REQUIRE(matches == 1);
  }
  CHECK(seen.size() == 50);  // every shift, both ways
}

std::string fault_of(const data::Dataset& samples, Augment augment, std::int64_t size) {
  try {
    Batches batches(samples, size, 1, augment, 1);
    batches.begin_step(0);
    for (std::int64_t s = 0; s < batches.steps_per_epoch(); ++s) batches.part(s, 0);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Data);
    return e.what();
  }
  return {};
}

TEST_CASE("samples that do not fit together are refused by name") {
  Toy toy(8);
  CHECK(fault_of(toy, {}, 4).empty());
  CHECK_THAT(fault_of(toy, {}, 9), has_text("8 samples left to train on"));
  toy.taller = 5;
  CHECK_THAT(fault_of(toy, {}, 4), has_text("sample 5"));
  toy.taller = -1, toy.unlabelled = 3;
  CHECK_THAT(fault_of(toy, {}, 4), has_text("labels"));
}

}  // namespace
}  // namespace qopt::qat
