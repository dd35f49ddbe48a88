// SPDX-License-Identifier: MIT
// CWriter: C99 text by construction (comments, literals, constants, blocks), so that
// emitters say what they mean and never paste quotes or braces. Knows C; knows no graph.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt::emit {

/// Integer literal that is valid and warning-free where an int32_t or int64_t is
/// expected.
std::string c_integer(std::int64_t value);
/// float literal that reads back as exactly `value` (finite).
std::string c_float(float value);
/// String literal of exactly these bytes.
std::string c_string(std::string_view bytes);

class CWriter {
 public:
  struct Field {
    std::string name;   // member, shown as a comment-free designator `.name = value`
    std::string value;  // C expression
  };

  /// Closes its brace (and `tail`) when it goes out of scope.
  class Block {
   public:
    Block(CWriter& writer, std::string tail) : writer_(writer), tail_(std::move(tail)) {}
    ~Block() { writer_.close(tail_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

   private:
    CWriter& writer_;
    std::string tail_;
  };

  void blank();
  /// One block comment; every line goes through c_comment.
  void comment(std::string_view text);
  void include_system(std::string_view header);
  void include_local(std::string_view header);
  void define(std::string_view name, std::string_view value);
  /// A preprocessor line without its '#'.
  void directive(std::string_view text);
  /// `head` + " {", indented until the Block ends.
  [[nodiscard]] Block block(std::string_view head, std::string tail = "}");
  /// `text` + ";".
  void statement(std::string_view text);
  /// A line as it is.
  void line(std::string_view text);
  /// function(argument, ...); broken where too long.
  void call(std::string_view function, const std::vector<std::string>& arguments);
  /// static const TYPE NAME[N] = {...};
  void array(std::string_view type, std::string_view name,
             std::span<const std::int64_t> values);
  /// static const TYPE NAME = {.field = value, ...};
  void constant(std::string_view type, std::string_view name,
                std::span<const Field> fields);

  const std::string& text() const { return text_; }

 private:
  void close(std::string_view tail);
  void list(std::string_view open, const std::vector<std::string>& items,
            std::string_view close_text);

  std::string text_;
  int depth_ = 0;
};

}  // namespace qopt::emit
