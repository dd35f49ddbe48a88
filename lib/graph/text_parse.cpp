// SPDX-License-Identifier: MIT
// Parsing of a graph's text form (docs/ir.md). The text is untrusted: every fault is an
// Error(Usage) with line and column, and nothing is allocated from unchecked sizes.
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "lib/graph/shape.h"
#include "lib/graph/text.h"

namespace qopt {
namespace {

/// Characters of one line at a time; a newline ends a statement.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  [[noreturn]] void fail(std::string what, std::string hint = {}) const {
    throw Error(ExitCode::Usage, fmt::format("{}:{}", line_, at_ - line_start_ + 1),
                std::move(what), std::move(hint));
  }

  /// Skips blanks and a `//` comment; never a newline.
  void skip_blanks() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '/' && text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else {
        return;
      }
    }
  }

  /// Moves to the next statement; false at the end of the text.
  bool next_statement() {
    for (skip_blanks(); at_ < text_.size() && text_[at_] == '\n'; skip_blanks()) {
      line_start_ = ++at_;
      ++line_;
    }
    return at_ < text_.size();
  }

  bool at_line_end() {
    skip_blanks();
    return at_ >= text_.size() || text_[at_] == '\n';
  }

  void end_statement() {
    if (!at_line_end()) fail("unexpected text at the end of the line");
  }

  bool is_next(std::string_view token) {
    skip_blanks();
    return text_.substr(at_, token.size()) == token;
  }

  bool accept(std::string_view token) {
    if (!is_next(token)) return false;
    at_ += token.size();
    return true;
  }

  void expect(std::string_view token) {
    if (!accept(token)) fail(fmt::format("expected '{}'", token));
  }

  /// A run of [A-Za-z0-9_.+-]; may be empty.
  std::string_view word() {
    skip_blanks();
    const std::size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  /// The word ahead, left where it is.
  std::string_view peek_word() {
    const std::size_t start = (skip_blanks(), at_);
    const std::string_view found = word();
    at_ = start;
    return found;
  }

  bool accept_word(std::string_view wanted) {
    if (peek_word() != wanted) return false;
    word();
    return true;
  }

  /// A bare or quoted name.
  std::string name() {
    skip_blanks();
    if (at_ < text_.size() && text_[at_] == '"') return quoted();
    const std::string_view bare = word();
    if (bare.empty() || bare.find_first_of("+-") != std::string_view::npos) {
      fail("expected a name");
    }
    return std::string(bare);
  }

  std::string quoted() {
    expect("\"");
    std::string out;
    for (;;) {
      if (at_ >= text_.size() || text_[at_] == '\n') fail("string without an end");
      const char c = text_[at_++];
      if (c == '"') return out;
      out += c == '\\' ? escaped() : c;
    }
  }

  template <class Number>
  Number number() {
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view digits = word();
    Number value{};
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) {
      at_ = start;
      fail("expected a number in range");
    }
    return value;
  }

  template <class Number>
  std::vector<Number> list() {
    std::vector<Number> out;
    expect("[");
    if (accept("]")) return out;
    do {
      out.push_back(number<Number>());
    } while (accept(","));
    expect("]");
    return out;
  }

 private:
  static bool is_word(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == '+' || c == '-';
  }

  char escaped() {
    const std::string_view rest = text_.substr(at_, 3);
    if (!rest.empty() && (rest[0] == '"' || rest[0] == '\\')) {
      ++at_;
      return rest[0];
    }
    unsigned byte = 0;
    if (rest.size() == 3 && rest[0] == 'x') {
      const auto [end, error] =
          std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16);
      if (error == std::errc{} && end == rest.data() + 3) {
        at_ += 3;
        return static_cast<char>(byte);
      }
    }
    fail("unknown escape", "use \\\\, \\\" or \\xNN");
  }

  std::string_view text_;
  std::size_t at_ = 0, line_start_ = 0, line_ = 1;
};

/// Reads the value of the attribute called `wanted` into its field.
struct AttributeReader {
  Cursor& cursor;
  std::string_view wanted;
  bool found = false;

  template <class T>
  void operator()(std::string_view name, T& field) {
    if (name != wanted) return;
    found = true;
    read(field);
  }

  void read(std::int64_t& x) { x = cursor.number<std::int64_t>(); }
  void read(double& x) { x = cursor.number<double>(); }
  void read(bool& x) {
    x = cursor.accept_word("true");
    if (!x && !cursor.accept_word("false")) cursor.fail("expected true or false");
  }
  void read(Ints& xs) { xs = cursor.list<std::int64_t>(); }
  template <class T, std::size_t N>
  void read(std::array<T, N>& xs) {
    const std::vector<T> list = cursor.list<T>();
    if (list.size() != N) {
      cursor.fail(fmt::format("'{}' needs {} entries, has {}", wanted, N, list.size()));
    }
    std::copy(list.begin(), list.end(), xs.begin());
  }
  void read(UnaryKind& kind) { read_kind(kind, parse_unary); }
  void read(BinaryKind& kind) { read_kind(kind, parse_binary); }
  void read(ReduceKind& kind) { read_kind(kind, parse_reduce); }
  void read(ResizeMode& mode) { read_kind(mode, parse_resize); }
  template <class Kind>
  void read_kind(Kind& kind, std::optional<Kind> (*parse_kind)(std::string_view)) {
    const std::string_view text = cursor.peek_word();
    const std::optional<Kind> parsed = parse_kind(text);
    if (!parsed) cursor.fail(fmt::format("unknown {} '{}'", wanted, text));
    cursor.word();
    kind = *parsed;
  }
};

class Parser {
 public:
  Parser(std::string_view text, const Constants& constants, bool allow_missing,
         std::uint64_t max_fill_bytes)
      : cursor_(text),
        constants_(constants),
        allow_missing_(allow_missing),
        fill_bytes_left_(max_fill_bytes) {}

  Graph run() {
    if (!cursor_.next_statement()) cursor_.fail("empty text; expected 'graph LEVEL'");
    if (!cursor_.accept_word("graph")) cursor_.fail("expected 'graph LEVEL'");
    const std::optional<Level> level = parse_level(cursor_.peek_word());
    if (!level) cursor_.fail("unknown level", "imported, canonical, encoded or integer");
    cursor_.word();
    cursor_.end_statement();
    graph_.set_level(*level);
    while (cursor_.next_statement()) {
      if (cursor_.accept("->")) {
        output();
      } else if (cursor_.accept("#")) {
        constant();
      } else {
        node();
      }
      cursor_.end_statement();
    }
    return std::move(graph_);
  }

 private:
  void output() {
    std::string name = cursor_.name();
    cursor_.expect("=");
    graph_.add_output(std::move(name), reference());
  }

  void constant() {
    Value value;
    value.name = new_name();
    cursor_.expect(":");
    type(value);
    Tensor tensor = bytes_of(value);
    std::string name = value.name;
    value.constant = std::move(tensor);
    ids_.emplace(std::move(name), graph_.add_unchecked(std::move(value)));
  }

  void node() {
    Value result;
    result.name = new_name();
    const bool typed = cursor_.accept(":");
    if (typed) type(result);
    cursor_.expect("=");
    Op op = operator_name();
    cursor_.expect("(");
    // An operator without operands needs no semicolon before its attributes.
    const bool takes_operands = op_arity(op).max > 0;
    std::vector<ValueId> inputs = takes_operands ? operands() : std::vector<ValueId>{};
    if (takes_operands ? cursor_.accept(";") : !cursor_.is_next(")")) attributes(op);
    cursor_.expect(")");
    require_arity(op, inputs.size());
    if (!typed) infer_type(op, inputs, result);
    std::string source = cursor_.accept("@") ? cursor_.quoted() : std::string();
    std::string name = result.name;
    const ValueId id = graph_.add_unchecked(std::move(op), std::move(inputs),
                                            std::move(result), std::move(source));
    ids_.emplace(std::move(name), id);
  }

  std::string new_name() {
    std::string name = cursor_.name();
    if (ids_.contains(name)) cursor_.fail(fmt::format("'{}' is defined twice", name));
    return name;
  }

  ValueId reference() {
    const bool constant = cursor_.accept("#");
    const std::string name = cursor_.name();
    const auto found = ids_.find(name);
    if (found == ids_.end()) cursor_.fail(fmt::format("unknown value '{}'", name));
    if (graph_.is_constant(found->second) != constant) {
      cursor_.fail(fmt::format("'{}' is {} constant", name, constant ? "no" : "a"),
                   "constants are written with a leading #");
    }
    return found->second;
  }

  std::vector<ValueId> operands() {
    std::vector<ValueId> inputs;
    if (cursor_.is_next(")") || cursor_.is_next(";")) return inputs;
    do {
      inputs.push_back(reference());
    } while (cursor_.accept(","));
    return inputs;
  }

  Op operator_name() {
    const std::string_view name = cursor_.peek_word();
    std::optional<Op> op = default_op(name);
    if (!op) cursor_.fail(fmt::format("unknown operator '{}'", name));
    cursor_.word();
    return std::move(*op);
  }

  void attributes(Op& op) {
    std::set<std::string, std::less<>> seen;
    do {
      const std::string_view name = cursor_.peek_word();
      if (!seen.emplace(name).second)
        cursor_.fail(fmt::format("'{}' is given twice", name));
      cursor_.word();
      cursor_.expect("=");
      AttributeReader reader{cursor_, name};
      std::visit([&](auto& o) { o.describe(reader); }, op);
      if (!reader.found) {
        cursor_.fail(fmt::format("{} has no attribute '{}'", op_name(op), name));
      }
    } while (cursor_.accept(","));
  }

  void require_arity(const Op& op, std::size_t count) {
    const Arity arity = op_arity(op);
    if (count >= arity.min && count <= arity.max) return;
    cursor_.fail(
        fmt::format("{} takes {}, got {}", op_name(op), arity_text(arity), count));
  }

  void infer_type(const Op& op, const std::vector<ValueId>& inputs, Value& result) {
    std::vector<ValueType> types;
    for (ValueId id : inputs)
      types.push_back({graph_.value(id).dtype, graph_.value(id).shape});
    try {
      ValueType type = infer(op, types, graph_.level());
      result.dtype = type.dtype;
      result.shape = std::move(type.shape);
    } catch (const Error& e) {
      cursor_.fail(e.what());
    }
  }

  /// TYPE {ENCODING}? (layout [..])?
  void type(Value& value) {
    const std::string_view dtype = cursor_.peek_word();
    try {
      value.dtype = parse_dtype(dtype);
    } catch (const Error& e) {
      cursor_.fail(e.message(), e.hint());
    }
    cursor_.word();
    value.shape = cursor_.list<std::int64_t>();
    try {
      require_possible(value.shape);
    } catch (const Error& e) {
      cursor_.fail(e.message());
    }
    if (cursor_.accept("{")) value.encoding = encoding();
    if (cursor_.accept_word("layout")) value.layout = cursor_.list<std::int64_t>();
  }

  Encoding encoding() {
    Affine e;
    const std::string_view head = cursor_.peek_word();
    const std::optional<LevelSet> levels = parse_level_set(head.substr(0, 1));
    if (!levels) cursor_.fail("unknown encoding", "u, s, n, o or t and its bits, as in s8");
    e.levels = *levels;
    cursor_.accept(head.substr(0, 1));
    e.bits = cursor_.number<int>();
    if (cursor_.accept_word("axis")) e.axis = cursor_.number<int>();
    if (!cursor_.accept_word("scale")) cursor_.fail("expected 'scale'");
    e.scale = cursor_.list<float>();
    if (cursor_.accept_word("zero")) {
      e.zero_point = cursor_.list<std::int32_t>();
    } else {
      e.zero_point.assign(e.scale.size(), 0);
    }
    cursor_.expect("}");
    return e;
  }

  Tensor bytes_of(const Value& value) {
    if (const auto found = constants_.find(value.name); found != constants_.end()) {
      const Tensor& tensor = found->second;
      if (!tensor.defined() || tensor.dtype() != value.dtype ||
          tensor.shape() != value.shape) {
        cursor_.fail(fmt::format("constant '{}' is {} here but {} in its bytes",
                                 value.name, type_text({value.dtype, value.shape}),
                                 type_text({tensor.dtype(), tensor.shape()})));
      }
      return tensor;
    }
    if (!allow_missing_)
      cursor_.fail(fmt::format("no bytes for constant '{}'", value.name));
    const auto elements = static_cast<std::uint64_t>(num_elements(value.shape));
    if (elements > fill_bytes_left_ / dtype_size(value.dtype)) {
      cursor_.fail("constants without bytes take too much memory");
    }
    fill_bytes_left_ -= elements * dtype_size(value.dtype);
    return Tensor::zeros(value.dtype, value.shape);
  }

  Cursor cursor_;
  const Constants& constants_;
  bool allow_missing_;
  std::uint64_t fill_bytes_left_;
  Graph graph_;
  std::map<std::string, ValueId, std::less<>> ids_;
};

}  // namespace

Graph parse(std::string_view text, const Constants& constants, bool allow_missing,
            std::uint64_t max_fill_bytes) {
  return Parser(text, constants, allow_missing, max_fill_bytes).run();
}

}  // namespace qopt
