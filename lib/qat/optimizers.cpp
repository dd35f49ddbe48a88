// SPDX-License-Identifier: MIT
#include "lib/qat/optimizers.h"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <sstream>
#include <type_traits>

namespace qopt::qat {
namespace {

using torch::optim::OptimizerParamGroup;

/// LibTorch 2 keeps an optimiser's state by address, LibTorch 1 by the address in words.
using StateKey =
    std::decay_t<decltype(std::declval<torch::optim::Optimizer&>().state())>::key_type;

template <typename Key>
Key key_from(void* address) {
  if constexpr (std::is_same_v<Key, std::string>) {
    std::ostringstream words;
    words << address;
    return words.str();
  } else {
    return address;
  }
}

StateKey key_of(const at::Tensor& parameter) {
  return key_from<StateKey>(parameter.unsafeGetTensorImpl());
}

bool decays(Group group) {
  return group == Group::Weights || group == Group::DecayedSteps;
}
bool is_step(Group group) {
  return group == Group::Steps || group == Group::DecayedSteps;
}

const at::Tensor* find(const std::vector<Checkpoint::Entry>& entries,
                       const std::string& name) {
  const auto found = std::ranges::find(entries, name, &Checkpoint::Entry::name);
  return found == entries.end() ? nullptr : &found->tensor;
}

bool fits(const at::Tensor* state, const at::Tensor& parameter) {
  return state != nullptr && state->sizes() == parameter.sizes() &&
         state->scalar_type() == parameter.scalar_type();
}

}  // namespace

struct Optimizers::Impl {
  std::vector<Parameter>& parameters;
  QatConfig config;
  std::vector<Group> groups;  // of the optimiser's parameter groups
  std::unique_ptr<torch::optim::Optimizer> optimizer;

  bool is_sgd() const { return config.optimizer == Optimizer::Sgd; }
};

Optimizers::Optimizers(std::vector<Parameter>& parameters, const QatConfig& config)
    : impl_(new Impl{parameters, config, {}, nullptr}) {
  std::vector<OptimizerParamGroup> groups;
  for (const Group group :
       {Group::Weights, Group::Other, Group::Steps, Group::DecayedSteps}) {
    std::vector<at::Tensor> members;
    for (const Parameter& p : parameters) {
      if (p.group == group) members.push_back(p.tensor);
    }
    if (members.empty()) continue;
    const double decay = decays(group) ? config.weight_decay : 0.0;
    std::unique_ptr<torch::optim::OptimizerOptions> options;
    if (impl_->is_sgd()) {
      auto sgd = std::make_unique<torch::optim::SGDOptions>(config.learning_rate);
      sgd->momentum(config.momentum).weight_decay(decay);
      sgd->nesterov(config.nesterov && config.momentum > 0);
      options = std::move(sgd);
    } else {
      auto adam = std::make_unique<torch::optim::AdamWOptions>(config.learning_rate);
      adam->weight_decay(decay);
      options = std::move(adam);
    }
    groups.emplace_back(std::move(members), std::move(options));
    impl_->groups.push_back(group);
  }
  if (impl_->is_sgd()) {
    impl_->optimizer = std::make_unique<torch::optim::SGD>(
        std::move(groups), torch::optim::SGDOptions(config.learning_rate));
  } else {
    impl_->optimizer = std::make_unique<torch::optim::AdamW>(
        std::move(groups), torch::optim::AdamWOptions(config.learning_rate));
  }
}

Optimizers::~Optimizers() = default;

void Optimizers::step(std::vector<at::Tensor>& gradients, double learning_rate) {
  QOPT_CHECK(gradients.size() == impl_->parameters.size(), "{} gradients",
             gradients.size());
  std::vector<at::Tensor> tensors;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    at::Tensor& parameter = impl_->parameters[i].tensor;
    parameter.mutable_grad() = gradients[i];
    if (gradients[i].defined()) tensors.push_back(parameter);
  }
  if (impl_->config.clip_norm > 0) {
    torch::nn::utils::clip_grad_norm_(tensors, impl_->config.clip_norm);
  }
  for (std::size_t g = 0; g < impl_->groups.size(); ++g) {
    const double rate = is_step(impl_->groups[g])
                            ? learning_rate * impl_->config.step_learning_rate
                            : learning_rate;
    torch::optim::OptimizerOptions& options =
        impl_->optimizer->param_groups()[g].options();
    if (impl_->is_sgd()) {
      static_cast<torch::optim::SGDOptions&>(options).lr(rate);
    } else {
      static_cast<torch::optim::AdamWOptions&>(options).lr(rate);
    }
  }
  impl_->optimizer->step();
}

std::vector<Checkpoint::Entry> Optimizers::state() const {
  std::vector<Checkpoint::Entry> entries;
  for (const Parameter& p : impl_->parameters) {
    const auto found = impl_->optimizer->state().find(key_of(p.tensor));
    if (found == impl_->optimizer->state().end()) continue;
    if (impl_->is_sgd()) {
      const auto& s = static_cast<const torch::optim::SGDParamState&>(*found->second);
      if (!s.momentum_buffer().defined()) continue;
      entries.push_back({"momentum/" + p.name, s.momentum_buffer()});
    } else {
      const auto& s = static_cast<const torch::optim::AdamWParamState&>(*found->second);
      entries.push_back({"mean/" + p.name, s.exp_avg()});
      entries.push_back({"square/" + p.name, s.exp_avg_sq()});
      entries.push_back({"count/" + p.name, at::full({1}, s.step(), at::kLong)});
    }
  }
  return entries;
}

bool Optimizers::restore(const std::vector<Checkpoint::Entry>& entries) {
  for (const Parameter& p : impl_->parameters) {
    if (impl_->is_sgd()) {
      const at::Tensor* momentum = find(entries, "momentum/" + p.name);
      if (momentum == nullptr) continue;  // it never had a gradient
      if (!fits(momentum, p.tensor)) return false;
      auto state = std::make_unique<torch::optim::SGDParamState>();
      state->momentum_buffer(momentum->clone().to(p.tensor.device()));
      impl_->optimizer->state()[key_of(p.tensor)] = std::move(state);
    } else {
      const at::Tensor* mean = find(entries, "mean/" + p.name);
      if (mean == nullptr) continue;
      const at::Tensor* square = find(entries, "square/" + p.name);
      const at::Tensor* count = find(entries, "count/" + p.name);
      if (!fits(mean, p.tensor) || !fits(square, p.tensor)) return false;
      if (count == nullptr || count->numel() != 1 || count->scalar_type() != at::kLong) {
        return false;
      }
      auto state = std::make_unique<torch::optim::AdamWParamState>();
      state->exp_avg(mean->clone().to(p.tensor.device()));
      state->exp_avg_sq(square->clone().to(p.tensor.device()));
      state->step(count->item<std::int64_t>());
      impl_->optimizer->state()[key_of(p.tensor)] = std::move(state);
    }
  }
  return true;
}

}  // namespace qopt::qat
