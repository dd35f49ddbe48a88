// SPDX-License-Identifier: MIT
// Recorder: an interpreter of TorchScript graphs over real example tensors. It owns
// control flow, containers and objects; operators are operator_recorder.h's.
#include "lib/frontend/recorder.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "lib/core/interrupt.h"
#include "lib/frontend/call.h"
#include "lib/frontend/operator_recorder.h"
#include "lib/frontend/script.h"
#include "lib/frontend/table.h"

namespace qopt::frontend {
namespace {

namespace jit = torch::jit;
using c10::IValue;
using IValues = std::vector<IValue>;

constexpr int kDeepestCall = 500;  // nested calls; scripted code has no recursion
constexpr std::int64_t kMostNodes = 20'000'000;  // executed; an endless loop stops here

/// The run cannot go on; what is left is only looked at.
struct Stop {};

class Recorder {
 public:
  Recorder(Builder& builder, const jit::Module& module)
      : operators_(builder), module_(module) {
    for (const auto& named : module.named_modules()) {
      paths_.try_emplace(named.value._ivalue().get(), named.name);
    }
    for (const auto& named : module.named_attributes()) {
      int element = 0;
      for_each_tensor(named.value, [&](const at::Tensor& t) {
        builder.name_constant(t,
                              named.value.isTensor()
                                  ? named.name
                                  : fmt::format("{}.{}", named.name, element++),
                              /*is_state=*/true);
      });
    }
  }

  Recording run(IValues arguments) {
    Recording recording;
    arguments.insert(arguments.begin(), module_._ivalue());
    jit::Function& forward = module_.get_method("forward").function();
    ModuleCall root{"", is_leaf(module_)};
    try {
      recording.result = call(forward, std::move(arguments), root, nullptr);
    } catch (const Stop&) {
      add_unreached(forward);
    }
    recording.findings = operators_.findings();
    return recording;
  }

 private:
  struct Frame {
    ModuleCall* module = nullptr;
    std::unordered_map<const jit::Value*, IValue> values;
  };

  static bool is_leaf(const jit::Module& module) { return module.children().size() == 0; }

  [[noreturn]] void stop(const jit::Node* node, const std::string& reason) {
    operators_.find(node, node->kind().toQualString(), reason);
    throw Stop{};
  }

  /// Adds the unsupported operators of code that the run did not reach, so that the list
  /// is complete even where the run had to stop.
  void add_unreached(jit::Function& forward) {
    for_each_reachable_node(forward, [&](const jit::Node* node) {
      const c10::FunctionSchema* schema = node->maybeSchema();
      if (schema == nullptr || visited_.contains(node) || !node->kind().is_aten()) return;
      const bool takes_tensors =
          std::ranges::any_of(node->inputs(), [](const jit::Value* v) {
            return v->type()->isSubtypeOf(*c10::TensorType::get());
          });
      if (takes_tensors && find_row(schema->name()) == nullptr &&
          !is_structural(schema->name(), {IValue()})) {
        operators_.find(node, schema->name(), "");
      }
    });
  }

  // ---- control flow

  IValue call(jit::Function& function, IValues arguments, ModuleCall& module,
              const jit::Node* caller) {
    jit::GraphFunction* scripted = jit::tryToGraphFunction(function);
    if (scripted == nullptr) {
      function.run(arguments);
      return arguments.empty() ? IValue() : arguments.back();
    }
    if (depth_ >= kDeepestCall) stop(caller, "calls nest too deeply");
    ++depth_;
    const std::shared_ptr<jit::Graph> graph = scripted->graph();
    Frame frame{&module, {}};
    // Omitted trailing arguments take their defaults.
    const auto& formal = function.getSchema().arguments();
    for (std::size_t i = arguments.size(); i < formal.size(); ++i) {
      arguments.push_back(formal[i].default_value().value_or(IValue()));
    }
    for (std::size_t i = 0; i < graph->inputs().size(); ++i) {
      frame.values[graph->inputs()[i]] = arguments.at(i);
    }
    arguments.clear();
    run_block(*graph->block(), frame);
    --depth_;
    if (graph->outputs().empty()) return {};
    return value(frame, graph->outputs()[0]);
  }

  void run_block(const jit::Block& block, Frame& frame) {
    for (const jit::Node* node : block.nodes()) {
      if (++executed_ > kMostNodes) stop(node, "the model runs without end");
      if (executed_ % 64 == 0) throw_if_interrupted();
      visited_.insert(node);
      run_node(node, frame);
      release(node, block, frame);
    }
  }

  /// Lets go of values whose last use this was, so that activations do not pile up.
  static void release(const jit::Node* node, const jit::Block& block, Frame& frame) {
    for (const jit::Value* input : node->inputs()) {
      if (input->node()->owningBlock() != &block) continue;
      const bool last = std::ranges::all_of(input->uses(), [&](const jit::Use& use) {
        return use.user->owningBlock() == &block &&
               (use.user == node || use.user->isBefore(node));
      });
      if (last) frame.values.erase(input);
    }
  }

  IValue value(const Frame& frame, const jit::Value* v) const {
    const auto found = frame.values.find(v);
    QOPT_CHECK(found != frame.values.end(),
               "TorchScript value %{} used before it is made", v->debugName());
    return found->second;
  }

  IValues inputs(const Frame& frame, const jit::Node* node) const {
    IValues values;
    for (const jit::Value* v : node->inputs()) values.push_back(value(frame, v));
    return values;
  }

  static void set(Frame& frame, const jit::Node* node, IValues results) {
    for (std::size_t i = 0; i < node->outputs().size(); ++i) {
      frame.values[node->outputs()[i]] =
          i < results.size() ? std::move(results[i]) : IValue();
    }
  }

  void run_if(const jit::Node* node, Frame& frame) {
    const bool taken = value(frame, node->input(0)).toBool();
    const jit::Block* block = node->blocks().at(taken ? 0 : 1);
    run_block(*block, frame);
    IValues results;
    for (const jit::Value* v : block->outputs()) results.push_back(value(frame, v));
    set(frame, node, std::move(results));
  }

  void run_loop(const jit::Node* node, Frame& frame) {
    IValues carried = inputs(frame, node);
    const std::int64_t trips = carried[0].toInt();
    bool go_on = carried[1].toBool();
    carried.erase(carried.begin(), carried.begin() + 2);
    const jit::Block* body = node->blocks().at(0);
    for (std::int64_t i = 0; go_on && i < trips; ++i) {
      if (++executed_ > kMostNodes) stop(node, "the model runs without end");
      frame.values[body->inputs()[0]] = i;
      for (std::size_t k = 0; k < carried.size(); ++k) {
        frame.values[body->inputs()[k + 1]] = carried[k];
      }
      run_block(*body, frame);
      go_on = value(frame, body->outputs()[0]).toBool();
      for (std::size_t k = 0; k < carried.size(); ++k) {
        carried[k] = value(frame, body->outputs()[k + 1]);
      }
    }
    set(frame, node, std::move(carried));
  }

  void run_method(const jit::Node* node, Frame& frame) {
    IValues arguments = inputs(frame, node);
    if (!arguments.at(0).isObject())
      stop(node, "a method of something that is no object");
    const auto object = arguments[0].toObject();
    jit::Function* method = object->type()->findMethod(node->s(c10::attr::name));
    if (method == nullptr) stop(node, "a method that the file does not hold");
    const auto path = paths_.find(object.get());
    if (path == paths_.end()) {
      return set(frame, node, {call(*method, std::move(arguments), *frame.module, node)});
    }
    ModuleCall inner{path->second, is_leaf(jit::Module(object))};
    set(frame, node, {call(*method, std::move(arguments), inner, node)});
  }

  void run_function(const jit::Node* node, Frame& frame) {
    IValues arguments = inputs(frame, node);
    arguments.erase(arguments.begin());
    const auto type = node->input(0)->type()->expect<c10::FunctionType>();
    set(frame, node,
        {call(*type->function(), std::move(arguments), *frame.module, node)});
  }

  void run_fork(const jit::Node* node, Frame& frame) {
    const std::shared_ptr<jit::Graph> graph = node->g(c10::attr::Subgraph);
    Frame inner{frame.module, {}};
    for (std::size_t i = 0; i < graph->inputs().size(); ++i) {
      inner.values[graph->inputs()[i]] = value(frame, node->inputs().at(i));
    }
    run_block(*graph->block(), inner);
    set(frame, node, {value(inner, graph->outputs().at(0))});
  }

  // ---- values

  /// State may be set to what it is already; anything else outlives the call.
  void run_set_attribute(const jit::Node* node, Frame& frame) {
    const auto object = value(frame, node->input(0)).toObject();
    const IValue next = value(frame, node->input(1));
    const std::string& name = node->s(c10::attr::name);
    if (!paths_.contains(object.get())) return object->setAttr(name, next);
    const IValue now = object->getAttr(name);
    const bool is_plain =
        !now.isTensor() && !now.isObject() && !now.isList() && !now.isGenericDict();
    if (now.is(next) || (is_plain && now == next)) return;
    const std::string& path = paths_.at(object.get());
    operators_.find(node, "prim::SetAttr",
                    fmt::format("the model keeps state in '{}{}{}'", path,
                                path.empty() ? "" : ".", name));
  }

  void run_tuple_index(const jit::Node* node, Frame& frame) {
    const IValues elements = value(frame, node->input(0)).toTupleRef().elements().vec();
    const auto size = static_cast<std::int64_t>(elements.size());
    const std::int64_t index = value(frame, node->input(1)).toInt();
    if (index < -size || index >= size) stop(node, "an index outside the tuple");
    set(frame, node,
        {elements[static_cast<std::size_t>(index < 0 ? index + size : index)]});
  }

  [[noreturn]] void run_raise(const jit::Node* node, const Frame& frame) {
    const IValue message = value(frame, node->input(0));
    throw Error(
        ExitCode::ModelUnsupported, source_of(node),
        fmt::format("the model refuses its inputs: {}",
                    message.isString() ? message.toStringRef() : "no reason given"),
        "do names, shapes and types of the inputs fit?");
  }

  void run_node(const jit::Node* node, Frame& frame) {
    using namespace c10;  // the symbols prim:: and aten::
    switch (node->kind()) {
      case prim::Constant: {
        const auto constant = jit::toIValue(node->output());
        return set(frame, node, {constant ? *constant : IValue()});
      }
      case prim::If: return run_if(node, frame);
      case prim::Loop: return run_loop(node, frame);
      case prim::CallMethod: return run_method(node, frame);
      case prim::CallFunction: return run_function(node, frame);
      case prim::fork: return run_fork(node, frame);
      case c10::aten::wait: return set(frame, node, inputs(frame, node));
      case prim::SetAttr: return run_set_attribute(node, frame);
      case prim::GetAttr:
        return set(
            frame, node,
            {value(frame, node->input()).toObject()->getAttr(node->s(attr::name))});
      case prim::ListConstruct:
        return set(frame, node, {construct_list(node, inputs(frame, node))});
      case prim::DictConstruct:
        return set(frame, node, {construct_dict(node, inputs(frame, node))});
      case prim::TupleConstruct:
        return set(frame, node, {construct_tuple(node, inputs(frame, node))});
      case prim::ListUnpack:
        return set(frame, node, value(frame, node->input()).toListRef().vec());
      case prim::TupleUnpack:
        return set(frame, node,
                   value(frame, node->input()).toTupleRef().elements().vec());
      case prim::TupleIndex: return run_tuple_index(node, frame);
      case prim::TupleSlice: {
        const IValues all = value(frame, node->input()).toTupleRef().elements().vec();
        return set(frame, node,
                   {ivalue::Tuple::create(IValues(all.begin() + node->i(attr::beg),
                                                  all.begin() + node->i(attr::end)))});
      }
      case prim::CreateObject: {
        const auto type = node->output()->type()->expect<ClassType>();
        return set(frame, node,
                   {ivalue::Object::create(StrongTypePtr(type->compilation_unit(), type),
                                           type->numAttributes())});
      }
      case prim::isinstance:
        return set(frame, node, {is_instance(node, value(frame, node->input()))});
      case prim::Uninitialized: return set(frame, node, {IValue::uninitialized()});
      case prim::unchecked_cast:
      case prim::unchecked_unwrap_optional: return set(frame, node, inputs(frame, node));
      case prim::Enter: return set(frame, node, inputs(frame, node));
      case prim::Exit:
      case prim::Print:
      case c10::aten::warn: return set(frame, node, {});
      case prim::RaiseException: run_raise(node, frame);
      default: return run_operator(node, frame);
    }
  }

  void run_operator(const jit::Node* node, Frame& frame) {
    if (node->maybeSchema() == nullptr) stop(node, "");
    set(frame, node, operators_.run(node, inputs(frame, node), *frame.module));
  }

  OperatorRecorder operators_;
  jit::Module module_;
  int depth_ = 0;
  std::int64_t executed_ = 0;
  // Looked up only, never iterated.
  std::unordered_map<const c10::ivalue::Object*, std::string> paths_;
  std::unordered_set<const jit::Node*> visited_;
};

}  // namespace

Recording record(Builder& builder, torch::jit::Module module,
                 std::vector<IValue> arguments) {
  const at::NoGradGuard no_grad;
  return Recorder(builder, module).run(std::move(arguments));
}

}  // namespace qopt::frontend
