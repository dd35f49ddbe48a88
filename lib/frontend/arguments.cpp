// SPDX-License-Identifier: MIT
// Arguments: nested types of forward's schema walked once, for names and for values
// alike.
#include "lib/frontend/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <map>

#include "lib/core/error.h"

namespace qopt::frontend {
namespace {

namespace jit = torch::jit;
using c10::TypePtr;

/// Keys with which forward's own code reads each dict argument, in order of appearance.
using DictKeys = std::map<std::string, std::vector<std::string>>;

void collect_keys(const jit::Block& block, const jit::Value* dict,
                  std::vector<std::string>& keys) {
  for (const jit::Node* node : block.nodes()) {
    for (const jit::Block* inner : node->blocks()) collect_keys(*inner, dict, keys);
    if (node->inputs().size() < 2 || node->input(0) != dict) continue;
    const auto key = jit::toIValue(node->input(1));
    if (key && key->isString() &&
        std::ranges::find(keys, key->toStringRef()) == keys.end()) {
      keys.push_back(key->toStringRef());
    }
  }
}

DictKeys dict_keys(const jit::Module& module) {
  DictKeys keys;
  const jit::Method forward = module.get_method("forward");
  const std::shared_ptr<jit::Graph> graph = forward.graph();
  const auto& formal = forward.function().getSchema().arguments();
  for (std::size_t i = 0; i < formal.size() && i < graph->inputs().size(); ++i) {
    if (formal[i].type()->kind() != c10::TypeKind::DictType) continue;
    collect_keys(*graph->block(), graph->inputs()[i], keys[formal[i].name()]);
  }
  return keys;
}

[[noreturn]] void refuse(const std::string& argument, const TypePtr& type) {
  throw Error(
      ExitCode::ModelUnsupported, argument,
      fmt::format("forward's argument '{}' of type {} takes no tensors", argument,
                  type->annotation_str()),
      "give it a default value or wrap the model in a module that takes tensors only");
}

class Binder {
 public:
  Binder(const jit::Module& module, std::span<const at::Tensor> tensors)
      : keys_(dict_keys(module)), tensors_(tensors) {}

  /// Tensors an argument of this type cannot do without.
  std::size_t needed(const c10::Argument& argument) const {
    if (argument.default_value()) return 0;
    return needed(argument.type(), argument.name());
  }

  void bind(const c10::Argument& argument, std::size_t needed_later) {
    needed_later_ = needed_later;
    const std::size_t available = left() > needed_later ? left() - needed_later : 0;
    if (argument.default_value() && (available == 0 || !takes_tensors(argument.type()))) {
      bound.values.push_back(*argument.default_value());
      return;
    }
    bound.values.push_back(build(argument.type(), argument.name(), argument.name()));
  }

  std::size_t left() const { return tensors_.size() - bound.names.size(); }

  BoundArguments bound;

 private:
  static bool takes_tensors(const TypePtr& type) {
    if (type->isSubtypeOf(*c10::TensorType::get())) return true;
    const auto inner = type->containedTypes();
    return std::ranges::any_of(inner, [](const TypePtr& t) { return takes_tensors(t); });
  }

  std::size_t needed(const TypePtr& type, const std::string& argument) const {
    switch (type->kind()) {
      case c10::TypeKind::TensorType: return 1;
      case c10::TypeKind::DictType: {
        const auto found = keys_.find(argument);
        return found == keys_.end() ? 0 : found->second.size();
      }
      case c10::TypeKind::TupleType: {
        std::size_t sum = 0;
        for (const TypePtr& element : type->containedTypes())
          sum += needed(element, argument);
        return sum;
      }
      case c10::TypeKind::ListType: return 1;
      default: return 0;
    }
  }

  c10::IValue take(const std::string& name) {
    QOPT_CHECK(left() > 0, "no tensor left for '{}'", name);
    const at::Tensor& tensor = tensors_[bound.names.size()];
    bound.names.push_back(name);
    return tensor;
  }

  c10::IValue build(const TypePtr& type, const std::string& argument,
                    const std::string& name) {
    switch (type->kind()) {
      case c10::TypeKind::TensorType: return take(name);
      case c10::TypeKind::OptionalType: {
        const TypePtr inner = type->expect<c10::OptionalType>()->getElementType();
        if (!takes_tensors(inner) || left() <= needed_later_) return {};
        return build(inner, argument, name);
      }
      case c10::TypeKind::TupleType: {
        std::vector<c10::IValue> elements;
        for (const TypePtr& element : type->containedTypes()) {
          const std::string inner = fmt::format("{}.{}", name, elements.size());
          elements.push_back(build(element, argument, inner));
        }
        const auto tuple = type->expect<c10::TupleType>();
        if (!tuple->name()) return c10::ivalue::Tuple::create(std::move(elements));
        return c10::ivalue::Tuple::createNamed(std::move(elements), tuple);
      }
      case c10::TypeKind::ListType: {
        const TypePtr element = type->expect<c10::ListType>()->getElementType();
        if (!takes_tensors(element)) refuse(argument, type);
        c10::impl::GenericList list(element);
        while (left() > needed_later_) {
          list.push_back(
              build(element, argument, fmt::format("{}.{}", name, list.size())));
        }
        return c10::IValue(std::move(list));
      }
      case c10::TypeKind::DictType: {
        const auto dict = type->expect<c10::DictType>();
        if (dict->getKeyType()->kind() != c10::TypeKind::StringType ||
            !takes_tensors(dict->getValueType())) {
          refuse(argument, type);
        }
        c10::impl::GenericDict entries(dict->getKeyType(), dict->getValueType());
        const auto found = keys_.find(argument);
        if (found == keys_.end() || found->second.empty()) {
          throw Error(ExitCode::ModelUnsupported, argument,
                      "forward does not say which keys its dict argument has");
        }
        for (const std::string& key : found->second) {
          entries.insert(key, build(dict->getValueType(), argument, name + "." + key));
        }
        return c10::IValue(std::move(entries));
      }
      default: refuse(argument, type);
    }
  }

  DictKeys keys_;
  std::span<const at::Tensor> tensors_;
  std::size_t needed_later_ = 0;
};

std::span<const c10::Argument> formal_arguments(const jit::Method& forward) {
  const auto& all = forward.function().getSchema().arguments();
  return std::span<const c10::Argument>(all).subspan(all.empty() ? 0
                                                                 : 1);  // without self
}

void flatten(const c10::IValue& value, const std::string& name,
             std::vector<NamedTensor>& out) {
  const auto join = [&](const std::string& inner) {
    return name.empty() ? inner : name + "." + inner;
  };
  const auto element_name = [&](std::size_t i) {
    return name.empty() ? fmt::format("out{}", i) : fmt::format("{}.{}", name, i);
  };
  if (value.isTensor()) {
    if (value.toTensor().defined())
      out.push_back({name.empty() ? "out0" : name, value.toTensor()});
  } else if (value.isTuple()) {
    const auto& elements = value.toTupleRef().elements();
    for (std::size_t i = 0; i < elements.size(); ++i)
      flatten(elements[i], element_name(i), out);
  } else if (value.isList()) {
    const auto elements = value.toListRef().vec();
    for (std::size_t i = 0; i < elements.size(); ++i)
      flatten(elements[i], element_name(i), out);
  } else if (value.isGenericDict()) {
    // In the order of insertion, which is the model's own.
    for (const auto& entry : value.toGenericDict()) {
      const c10::IValue key = entry.key();
      flatten(entry.value(),
              join(key.isString() ? key.toStringRef() : fmt::format("{}", key.toInt())),
              out);
    }
  }
}

}  // namespace

std::vector<std::string> leaf_names(const jit::Module& module) {
  const jit::Method forward = module.get_method("forward");
  std::size_t needed = 0;
  const Binder counter(module, {});
  for (const c10::Argument& argument : formal_arguments(forward))
    needed += counter.needed(argument);
  const std::vector<at::Tensor> blanks(needed);
  return bind_arguments(module, blanks).names;
}

BoundArguments bind_arguments(const jit::Module& module,
                              std::span<const at::Tensor> tensors) {
  const jit::Method forward = module.get_method("forward");
  const std::span<const c10::Argument> formal = formal_arguments(forward);
  Binder binder(module, tensors);
  std::size_t needed = 0;
  for (const c10::Argument& argument : formal) needed += binder.needed(argument);
  if (tensors.size() < needed) {
    throw Error(ExitCode::ModelUnsupported, "inputs",
                fmt::format("the model takes {} tensors ({}), {} given", needed,
                            fmt::join(leaf_names(module), ", "), tensors.size()));
  }
  for (const c10::Argument& argument : formal) {
    needed -= binder.needed(argument);
    binder.bind(argument, needed);
  }
  if (binder.left() > 0) {
    throw Error(ExitCode::ModelUnsupported, "inputs",
                fmt::format("the model takes {} tensors ({}), {} given",
                            binder.bound.names.size(),
                            fmt::join(binder.bound.names, ", "), tensors.size()));
  }
  return std::move(binder.bound);
}

std::vector<NamedTensor> flatten_result(const c10::IValue& result) {
  std::vector<NamedTensor> tensors;
  flatten(result, "", tensors);
  return tensors;
}

}  // namespace qopt::frontend
