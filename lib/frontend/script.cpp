// SPDX-License-Identifier: MIT
// Script: facts about TorchScript nodes, and the values of nodes without an operator.
#include "lib/frontend/script.h"

#include <fmt/format.h>
#include <torch/csrc/jit/frontend/error_report.h>

#include <algorithm>
#include <ostream>
#include <set>
#include <sstream>
#include <unordered_set>
#include <utility>

#include "lib/aten/bridge.h"
#include "lib/frontend/call.h"

namespace qopt::frontend {
namespace {

namespace jit = torch::jit;

/// Reads back what was streamed into an ErrorReport, which has no other accessor.
struct ReportReader {
  std::string* message;
  friend std::ostream& operator<<(std::ostream& stream, const ReportReader& reader) {
    if (const auto* text = dynamic_cast<std::stringstream*>(&stream)) {
      *reader.message = text->str();
    }
    return stream;
  }
};

void visit_block(const jit::Block& block, std::unordered_set<const jit::Function*>& seen,
                 const std::function<void(const jit::Node*)>& visit);

void visit_function(jit::Function& function,
                    std::unordered_set<const jit::Function*>& seen,
                    const std::function<void(const jit::Node*)>& visit) {
  jit::GraphFunction* scripted = jit::tryToGraphFunction(function);
  if (scripted == nullptr || !seen.insert(&function).second) return;
  visit_block(*scripted->graph()->block(), seen, visit);
}

void visit_block(const jit::Block& block, std::unordered_set<const jit::Function*>& seen,
                 const std::function<void(const jit::Node*)>& visit) {
  for (const jit::Node* node : block.nodes()) {
    visit(node);
    for (const jit::Block* inner : node->blocks()) visit_block(*inner, seen, visit);
    if (node->kind() == c10::prim::CallFunction) {
      const auto type = node->input(0)->type()->expect<c10::FunctionType>();
      visit_function(*type->function(), seen, visit);
    } else if (node->kind() == c10::prim::CallMethod) {
      const auto type = node->input(0)->type()->cast<c10::ClassType>();
      jit::Function* method = type ? type->findMethod(node->s(c10::attr::name)) : nullptr;
      if (method != nullptr) visit_function(*method, seen, visit);
    }
  }
}

}  // namespace

std::string reason_of(const std::exception& error) {
  if (const auto* report = dynamic_cast<const jit::ErrorReport*>(&error)) {
    // Its what() adds source excerpts, and ends the process when the file's debug
    // information is damaged: it throws inside a noexcept function. The message alone is
    // in the stream.
    std::string message;
    *report << ReportReader{&message};
    return aten::short_reason(message);
  }
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  return aten::short_reason(torch_error != nullptr ? torch_error->what_without_backtrace()
                                                   : error.what());
}

std::string source_of(const torch::jit::Node* node) {
  try {
    torch::jit::SourceRange range = node->sourceRange();
    if (const auto original = range.findSourceRangeThatGenerated()) range = *original;
    if (const auto place = range.file_line_col()) {
      return fmt::format("{}:{}", std::get<0>(*place), std::get<1>(*place));
    }
  } catch (const std::exception&) {
    // The file's debug information is damaged; the model may be sound without it.
  }
  return {};
}

bool is_structural(const std::string& name, const std::vector<c10::IValue>& args) {
  static const std::set<std::string, std::less<>> kNames = {
      "aten::append",
      "aten::extend",
      "aten::insert",
      "aten::pop",
      "aten::clear",
      "aten::reverse",
      "aten::copy",
      "aten::list",
      "aten::__getitem__",
      "aten::_set_item",
      "aten::len",
      "aten::keys",
      "aten::values",
      "aten::items",
      "aten::dict",
      "aten::get",
      "aten::setdefault",
      "aten::update",
      "aten::popitem",
      "aten::Delete",
      "aten::format",
      "aten::__contains__",
      "prim::unchecked_cast",
      "prim::data",
  };
  if (name == "aten::__is__" || name == "aten::__isnot__") return true;
  if (kNames.contains(name)) return args.empty() || !args[0].isTensor();
  // "+", "*" and slices of lists share their names with those of tensors.
  return (name == "aten::add" || name == "aten::add_" || name == "aten::mul" ||
          name == "aten::slice") &&
         !args.empty() && args[0].isList();
}

bool is_type_query(const std::string& name) {
  static const std::set<std::string, std::less<>> kNames = {
      "prim::dtype",         "prim::device",    "prim::layout",
      "prim::is_cuda",       "prim::is_nested", "prim::is_quantized",
      "prim::is_sparse",     "prim::is_mkldnn", "prim::is_mps",
      "prim::is_meta",       "prim::is_xpu",    "prim::is_ort",
      "prim::is_vulkan",     "prim::is_ipu",    "prim::is_sparse_csr",
      "prim::requires_grad", "prim::itemsize",  "prim::shape",
  };
  return kNames.contains(name);
}

std::vector<at::Tensor> written_arguments(const c10::FunctionSchema& schema,
                                          const std::vector<c10::IValue>& args) {
  std::vector<at::Tensor> written;
  for (std::size_t i = 0; i < schema.arguments().size() && i < args.size(); ++i) {
    const c10::AliasInfo* alias = schema.arguments()[i].alias_info();
    if (alias != nullptr && alias->isWrite()) {
      for_each_tensor(args[i], [&](const at::Tensor& t) { written.push_back(t); });
    }
  }
  return written;
}

c10::IValue construct_list(const torch::jit::Node* node,
                           const std::vector<c10::IValue>& elements) {
  c10::impl::GenericList list(
      node->output()->type()->expect<c10::ListType>()->getElementType());
  for (const c10::IValue& element : elements) list.push_back(element);
  return c10::IValue(std::move(list));
}

c10::IValue construct_dict(const torch::jit::Node* node,
                           const std::vector<c10::IValue>& entries) {
  const auto type = node->output()->type()->expect<c10::DictType>();
  c10::impl::GenericDict dict(type->getKeyType(), type->getValueType());
  for (std::size_t i = 0; i + 1 < entries.size(); i += 2) {
    dict.insert_or_assign(entries[i], entries[i + 1]);
  }
  return c10::IValue(std::move(dict));
}

c10::IValue construct_tuple(const torch::jit::Node* node,
                            std::vector<c10::IValue> elements) {
  const auto type = node->output()->type()->expect<c10::TupleType>();
  if (type->name())
    return c10::IValue(c10::ivalue::Tuple::createNamed(std::move(elements), type));
  return c10::IValue(c10::ivalue::Tuple::create(std::move(elements)));
}

bool is_instance(const torch::jit::Node* node, const c10::IValue& v) {
  const c10::TypePtr type = v.type();
  return std::ranges::any_of(
      node->tys(c10::attr::types),
      [&](const c10::TypePtr& wanted) { return type->isSubtypeOf(*wanted); });
}

void for_each_reachable_node(jit::Function& function,
                             const std::function<void(const jit::Node*)>& visit) {
  std::unordered_set<const jit::Function*> seen;
  visit_function(function, seen, visit);
}

}  // namespace qopt::frontend
