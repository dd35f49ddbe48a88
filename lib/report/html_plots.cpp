// SPDX-License-Identifier: MIT
#include "lib/report/html_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/names.h"
#include "lib/report/format.h"

namespace qopt::report {
namespace {

constexpr double kWidth = 250, kHeight = 90;  // of one histogram, in SVG units
constexpr double kMostDecibels = 60;          // above this a layer is as good as float

std::string rect(double x, double y, double w, double h, std::string_view css_class) {
  return fmt::format(
      "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
      "height=\"{:.1f}\"/>",
      css_class, x, y, w, h);
}

}  // namespace

std::string bar_chart(std::span<const Bar> bars) {
  std::uint64_t most = 1;
  for (const Bar& bar : bars) most = std::max(most, bar.bytes);
  const double row = 30, left = 150, span = 620;
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 900 {:.0f}\" role=\"img\" "
      "aria-label=\"sizes\">",
      row * static_cast<double>(bars.size()));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = row * static_cast<double>(i);
    const double width = std::max(
        1.5, span * static_cast<double>(bars[i].bytes) / static_cast<double>(most));
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
                       left - 10, y + 19, html_escape(bars[i].name));
    out += rect(left, y + 5, width, row - 10, bars[i].css_class);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", left + width + 8,
                       y + 19, bytes_text(bars[i].bytes));
  }
  return out + "</svg>";
}

std::string share_bar(std::uint64_t value, std::uint64_t most,
                      std::string_view css_class) {
  const double share =
      most == 0 ? 0
                : std::min(1.0, static_cast<double>(value) / static_cast<double>(most));
  return "<svg width=\"70\" height=\"4\" aria-hidden=\"true\">" +
         rect(0, 0, 70, 4, "track") + rect(0, 0, 70 * share, 4, css_class) + "</svg>";
}

std::string interval_plot(double percent, double lo, double hi, double from, double to) {
  const double span = std::max(to - from, 1e-9);
  const auto x = [&](double p) { return 140 * std::clamp((p - from) / span, 0.0, 1.0); };
  return fmt::format(
             "<svg width=\"142\" height=\"14\"><title>from {:.2f} to {:.2f} %</title>",
             from, to) +
         rect(0, 6, 140, 2, "track") +
         rect(x(lo), 4, std::max(1.0, x(hi) - x(lo)), 6, "before") +
         rect(x(percent) - 1, 0, 2.5, 14, "after") + "</svg>";
}

std::string histogram_plot(const Activation& a) {
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"histogram\">",
      kWidth, kHeight + 14);
  const double lo = std::min<double>(a.bin_lo, a.range.lo);
  const double hi = std::max<double>(a.bin_hi, a.range.hi);
  if (a.histogram.empty() || !(hi > lo)) {
    return out + "<text class=\"dim\" x=\"8\" y=\"50\">always zero</text></svg>";
  }
  const auto x = [&](double value) { return kWidth * (value - lo) / (hi - lo); };
  out += rect(x(a.range.lo), 0, x(a.range.hi) - x(a.range.lo), kHeight, "band");
  const std::uint64_t most = *std::ranges::max_element(a.histogram);
  const double bin = (a.bin_hi - a.bin_lo) / static_cast<double>(a.histogram.size());
  for (std::size_t i = 0; i < a.histogram.size(); ++i) {
    if (a.histogram[i] == 0) continue;
    const double height = kHeight * std::log1p(static_cast<double>(a.histogram[i])) /
                          std::log1p(static_cast<double>(most));
    const double left = x(a.bin_lo + bin * static_cast<double>(i));
    const double width =
        std::max(0.6, x(a.bin_lo + bin * static_cast<double>(i + 1)) - left);
    out += rect(left, kHeight - height, width, height, "arena");
  }
  out += fmt::format("<path class=\"line\" d=\"M0 {0:.0f}H{1:.0f}\"/>", kHeight, kWidth);
  out += fmt::format("<text class=\"dim\" x=\"0\" y=\"{:.0f}\">{}</text>", kHeight + 12,
                     short_number(lo));
  out += fmt::format(
      "<text class=\"dim\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>",
      kWidth, kHeight + 12, short_number(hi));
  return out + "</svg>";
}

std::string sqnr_chart(std::span<const Layer> layers) {
  std::vector<const Layer*> shown;
  for (const Layer& layer : layers) {
    if (layer.sqnr_cumulative_db) shown.push_back(&layer);
  }
  if (shown.size() < 2) return "";
  const double width = 900, height = 200, left = 46, top = 10;
  const auto x = [&](std::size_t i) {
    return left + (width - left - 10) * static_cast<double>(i) /
                      static_cast<double>(shown.size() - 1);
  };
  const auto y = [&](double db) {
    return top + height * (1 - std::clamp(db, 0.0, kMostDecibels) / kMostDecibels);
  };
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"SQNR along the network\">",
      width, height + 40);
  for (int db = 0; db <= static_cast<int>(kMostDecibels); db += 20) {
    out += fmt::format(
        "<path class=\"line\" d=\"M{:.0f} {:.1f}H{:.0f}\"/><text class=\"dim\" "
        "x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{} dB</text>",
        left, y(db), width - 10, left - 6, y(db) + 4, db);
  }
  std::string alone, so_far;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const char* move = i == 0 ? "M" : "L";
    const double cumulative = *shown[i]->sqnr_cumulative_db;
    so_far += fmt::format("{}{:.1f} {:.1f}", move, x(i), y(cumulative));
    alone += fmt::format("{}{:.1f} {:.1f}", move, x(i),
                         y(shown[i]->sqnr_isolated_db.value_or(cumulative)));
  }
  out += fmt::format("<path class=\"alone\" d=\"{}\"/><path class=\"so-far\" d=\"{}\"/>",
                     alone, so_far);
  return out + fmt::format(
                   "<text class=\"dim\" x=\"{:.0f}\" y=\"{:.0f}\">signal to noise from "
                   "input to output: grey alone, green so far</text></svg>",
                   left, height + 32);
}

}  // namespace qopt::report
