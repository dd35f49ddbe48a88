// SPDX-License-Identifier: MIT
#include "lib/config/tree.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <optional>
#include <sstream>

#include "lib/config/problems.h"
#include "lib/core/names.h"

namespace qopt::config {
namespace {

std::string position(std::string_view file, const YAML::Mark& mark) {
  if (mark.is_null()) return std::string(file);
  return fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1);
}

std::size_t count_nodes(const Node& node) {
  std::size_t count = 1;
  for (const Node& item : node.items) count += count_nodes(item);
  for (const Node::Entry& entry : node.entries) count += 1 + count_nodes(entry.value);
  return count;
}

std::size_t depth_of(const Node& node) {
  std::size_t depth = 0;
  for (const Node& item : node.items) depth = std::max(depth, depth_of(item));
  for (const Node::Entry& entry : node.entries) {
    depth = std::max(depth, depth_of(entry.value));
  }
  return depth + 1;
}

/// Builds the tree from the parser's events. Every growth passes `admit`.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view file, Problems& problems) : file_(file), problems_(problems) {}

  Node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(make(Node::Kind::Null, mark), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // A plain null ("~", "null") arrives as OnNull; a quoted one stays text.
    (void)tag;
    Node node = make(Node::Kind::Plain, mark);
    node.scalar = value;
    place(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      fail(mark, "an alias inside the value that it names");
    }
    admit(mark, count_nodes(found->second), depth_of(found->second));
    place(found->second, 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(Node::Kind::Sequence, mark), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(Node::Kind::Map, mark), anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    std::optional<Node> key;  // of a map: read, its value not yet
    YAML::anchor_t anchor = 0;
  };

  [[noreturn]] void fail(const YAML::Mark& mark, std::string what) {
    problems_.add(position(file_, mark), std::move(what));
    throw ConfigError(problems_.list());
  }

  void admit(const YAML::Mark& mark, std::size_t nodes, std::size_t levels) {
    num_nodes_ += nodes;
    if (num_nodes_ > kMaxNodes) fail(mark, fmt::format("more than {} values", kMaxNodes));
    if (stack_.size() + levels > kMaxDepth) {
      fail(mark, fmt::format("nested more than {} levels deep", kMaxDepth));
    }
  }

  Node make(Node::Kind kind, const YAML::Mark& mark) {
    admit(mark, 1, 1);
    Node node;
    node.kind = kind;
    node.where = position(file_, mark);
    return node;
  }

  void open(Node node, YAML::anchor_t anchor) {
    if (expects_key()) refuse_key(node.where);
    stack_.push_back({std::move(node), std::nullopt, anchor});
  }

  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    place(std::move(done.node), done.anchor);
  }

  bool expects_key() const {
    return !stack_.empty() && stack_.back().node.kind == Node::Kind::Map &&
           !stack_.back().key;
  }

  [[noreturn]] void refuse_key(const std::string& where) {
    problems_.add(where, "a key must be a plain name");
    throw ConfigError(problems_.list());
  }

  void place(Node node, YAML::anchor_t anchor) {
    if (anchor != 0) {
      num_nodes_ +=
          count_nodes(node);  // the copy counts too; `make` compares with the limit
      if (num_nodes_ <= kMaxNodes) anchors_[anchor] = node;
    }
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& top = stack_.back();
    if (top.node.kind == Node::Kind::Sequence) {
      top.node.items.push_back(std::move(node));
    } else if (!top.key) {
      if (node.kind != Node::Kind::Plain) refuse_key(node.where);
      top.key = std::move(node);
    } else {
      // yaml-cpp places a missing value on the next line; its key is where to look.
      if (node.kind == Node::Kind::Null) node.where = top.key->where;
      if (const Node* first = top.node.find(top.key->scalar)) {
        problems_.add(top.key->where,
                      fmt::format("key '{}' appears twice (first with {})",
                                  printable(top.key->scalar),
                                  first->where.empty() ? "?" : first->where));
      } else {
        top.node.entries.push_back({std::move(*top.key), std::move(node)});
      }
      top.key.reset();
    }
  }

  std::string_view file_;
  Problems& problems_;
  Node root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::size_t num_nodes_ = 0;
};

/// A document that follows the first is a mistake: its keys would be ignored.
class RefuseDocument : public Builder {
 public:
  RefuseDocument(std::string_view file, Problems& problems)
      : Builder(file, problems), file_(file), problems_(problems) {}
  void OnDocumentStart(const YAML::Mark& mark) override {
    problems_.add(position(file_, mark), "a second YAML document; only one is read");
    throw ConfigError(problems_.list());
  }

 private:
  std::string_view file_;
  Problems& problems_;
};

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key.scalar == key) return &entry.value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) {
  return const_cast<Node*>(std::as_const(*this).find(key));
}

Node parse_yaml(std::string_view text, std::string_view file) {
  Problems problems;
  if (text.size() > kMaxTextBytes) {
    problems.add(std::string(file),
                 fmt::format("{} bytes; a configuration has at most {}", text.size(),
                             kMaxTextBytes));
    problems.throw_if_any();
  }
  std::istringstream stream{std::string(text)};
  Builder builder(file, problems);
  try {
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) {
      RefuseDocument refuse(file, problems);
      parser.HandleNextDocument(refuse);
    }
  } catch (const YAML::Exception& e) {
    problems.add(position(file, e.mark), "not valid YAML: " + printable(e.msg));
  }
  problems.throw_if_any();
  return builder.take();
}

}  // namespace qopt::config
