// SPDX-License-Identifier: MIT
// A page of SVG, drawn downwards: shapes, text, and a panel that maps data to the page.
// The file stands alone: no script, no font, no link. Knows nothing of what it shows.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

namespace qopt::bench {

class Svg {
 public:
  Svg(double width, double height)
      : body_(fmt::format(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" "
            "width=\"{0:g}\" height=\"{1:g}\" "
            "font-family=\"Helvetica, Arial, sans-serif\">\n"
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            width, height)) {}

  void line(double x1, double y1, double x2, double y2, const char* colour,
            double width = 1, const char* more = "") {
    body_ += fmt::format(
        "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"{}\" "
        "stroke-width=\"{:g}\" {}/>\n",
        x1, y1, x2, y2, colour, width, more);
  }
  void polyline(const std::vector<std::pair<double, double>>& points, const char* colour,
                double width = 1.5, const char* more = "") {
    shape("polyline", points, "none", colour, width, more);
  }
  void polygon(const std::vector<std::pair<double, double>>& points, const char* fill,
               const char* stroke = "none", double width = 1) {
    shape("polygon", points, fill, stroke, width, "");
  }
  void circle(double x, double y, double radius, const char* fill,
              const char* more = "") {
    body_ +=
        fmt::format("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{:g}\" fill=\"{}\" {}/>\n",
                    x, y, radius, fill, more);
  }
  void rect(double x, double y, double width, double height, const char* fill,
            const char* more = "") {
    body_ += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
        "fill=\"{}\" {}/>\n",
        x, y, width, height, fill, more);
  }
  /// anchor: start, middle or end.
  void text(double x, double y, const std::string& words, double size = 12,
            const char* colour = "#333333", const char* anchor = "start",
            const char* more = "") {
    body_ += fmt::format(
        "<text x=\"{:.2f}\" y=\"{:.2f}\" font-size=\"{:g}\" fill=\"{}\" "
        "text-anchor=\"{}\" {}>{}</text>\n",
        x, y, size, colour, anchor, more, escape(words));
  }
  std::string finish() const { return body_ + "</svg>\n"; }

 private:
  static std::string escape(const std::string& words) {
    std::string out;
    for (const char c : words) {
      if (c == '<')
        out += "&lt;";
      else if (c == '&')
        out += "&amp;";
      else
        out += c;
    }
    return out;
  }
  void shape(const char* name, const std::vector<std::pair<double, double>>& points,
             const char* fill, const char* stroke, double width, const char* more) {
    std::string list;
    for (const auto& [x, y] : points) list += fmt::format("{:.2f},{:.2f} ", x, y);
    body_ += fmt::format(
        "<{} points=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"{:g}\" "
        "stroke-linejoin=\"round\" {}/>\n",
        name, list, fill, stroke, width, more);
  }
  std::string body_;
};

/// A rectangle of the page with data coordinates.
struct Panel {
  double left, top, width, height;  // on the page
  double x0, x1, y0, y1;            // data at the edges

  double x(double v) const { return left + (v - x0) / (x1 - x0) * width; }
  double y(double v) const { return top + height - (v - y0) / (y1 - y0) * height; }

  void title(Svg& svg, const std::string& words, const std::string& below) const {
    svg.text(left, top - 30, words, 16, "#111111", "start", "font-weight=\"bold\"");
    svg.text(left, top - 11, below, 12, "#666666");
  }
  void x_tick(Svg& svg, double v, const std::string& label, bool grid = true) const {
    if (grid) svg.line(x(v), top, x(v), top + height, "#e8e8e8");
    svg.text(x(v), top + height + 17, label, 11.5, "#555555", "middle");
  }
  void y_tick(Svg& svg, double v, const std::string& label, bool grid = true) const {
    if (grid) svg.line(left, y(v), left + width, y(v), "#e8e8e8");
    svg.text(left - 8, y(v) + 4, label, 11.5, "#555555", "end");
  }
  void x_label(Svg& svg, const std::string& words) const {
    svg.text(left + width / 2, top + height + 36, words, 12.5, "#333333", "middle");
  }
  void y_label(Svg& svg, const std::string& words, double distance = 44) const {
    const double at = left - distance, middle = top + height / 2;
    const std::string turn =
        fmt::format("transform=\"rotate(-90 {:.2f} {:.2f})\"", at, middle);
    svg.text(at, middle, words, 12.5, "#333333", "middle", turn.c_str());
  }
};

}  // namespace qopt::bench
