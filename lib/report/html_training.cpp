// SPDX-License-Identifier: MIT
#include "lib/report/html_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "lib/core/names.h"
#include "lib/report/format.h"

namespace qopt::report {
namespace {

// SVG units. All charts share left and right, so that one epoch is one line down the
// page.
constexpr double kWidth = 900, kLeft = 210, kRight = 885, kTop = 22;
constexpr std::size_t kMostDots = 120;    // beyond, only the best state is marked
constexpr std::size_t kMostColumns = 80;  // of the heat map; more stretches are joined
constexpr std::size_t kMostLetters = 27;  // of a layer's name that fit left of the chart
constexpr std::size_t kFewStates = 16;    // so many are shown without a click
// A share this much smaller than the largest one is drawn as nothing: the share falls
// with the learning rate by orders of magnitude, and each should be seen.
constexpr double kDecades = 3;

std::string share_text(double share) { return short_number(100 * share) + " %"; }

double last_epoch(const Training& t) {
  double last = 0;
  for (const Training::Visit& visit : t.visits) last = std::max(last, visit.epoch);
  return last > 0 ? last : 1;
}

std::string svg(double height, std::string_view label, const std::string& inside) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">{}</svg>\n",
      kWidth, height, label, inside);
}

/// The exported state; its `best` says only that it was the best so far.
bool is_best(const Training& t, const Training::Visit& visit) {
  return visit.step == t.best_step;
}

/// For each visit the index of an earlier one with the same codes.
std::vector<std::optional<std::size_t>> seen_before(const Training& t) {
  std::map<std::string, std::size_t> first;
  std::vector<std::optional<std::size_t>> before(t.visits.size());
  for (std::size_t i = 0; i < t.visits.size(); ++i) {
    const auto [at, is_new] = first.emplace(t.visits[i].hash, i);
    if (!is_new) before[i] = at->second;
  }
  return before;
}

// -------------------------------------------------------------------------------- curves

struct Point {
  double epoch = 0, value = 0;
  std::string tip;
  bool best = false, again = false;
};

/// One quantity over the epochs.
struct Curve {
  std::string title, small;  // left of the chart
  std::string_view css_class;
  double height = 0;
  std::vector<Point> points = {};  // finite
  std::optional<double> level = {};
  std::string level_text = {}, best_text = {};
};

/// About `wanted` round numbers (1, 2 or 5 times a power of ten) within [lo, hi].
std::vector<double> round_numbers(double lo, double hi, int wanted) {
  const double rough = (hi - lo) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  std::vector<double> numbers;
  const double first = std::ceil(lo / step);
  for (int i = 0; i <= 2 * wanted; ++i) {
    const double number = (first + i) * step;
    if (number > hi) break;
    numbers.push_back(number);
  }
  return numbers;
}

std::string curve_chart(const Curve& c, double epochs) {
  if (c.points.empty()) return "";
  double lo = c.points[0].value, hi = lo;
  for (const Point& p : c.points) lo = std::min(lo, p.value), hi = std::max(hi, p.value);
  if (c.level) lo = std::min(lo, *c.level), hi = std::max(hi, *c.level);
  // A curve that stands still is drawn in the middle.
  const double room = hi > lo ? 0.06 * (hi - lo) : std::max(0.5, 0.01 * std::fabs(hi));
  lo -= room, hi += room;
  const auto x = [&](double epoch) { return kLeft + (kRight - kLeft) * epoch / epochs; };
  const auto y = [&](double value) {
    return kTop + c.height * (1 - (value - lo) / (hi - lo));
  };
  std::string out = fmt::format(
      "<text x=\"0\" y=\"{0:.0f}\">{1}</text><text class=\"dim\" x=\"0\" "
      "y=\"{2:.0f}\">{3}</text>",
      kTop + 12, html_escape(c.title), kTop + 28, html_escape(c.small));
  for (const double number : round_numbers(lo, hi, c.height > 120 ? 4 : 3)) {
    out += fmt::format(
        "<path class=\"line\" d=\"M{0:.0f} {1:.1f}H{2:.0f}\"/><text class=\"dim\" "
        "x=\"{3:.0f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft, y(number), kRight, kLeft - 8, y(number) + 4, short_number(number));
  }
  if (c.level) {
    // Written where the curve is far: under the line when the curve ends above it.
    const double side = c.points.back().value >= *c.level ? 14 : -6;
    out += fmt::format(
        "<path class=\"mark dashed\" d=\"M{0:.0f} {1:.1f}H{2:.0f}\"/><text class=\"dim\" "
        "x=\"{2:.0f}\" y=\"{3:.1f}\" text-anchor=\"end\">{4}</text>",
        kLeft, y(*c.level), kRight, y(*c.level) + side, html_escape(c.level_text));
  }
  std::string path, dots;
  const bool few = c.points.size() <= kMostDots;
  for (const Point& p : c.points) {
    path +=
        fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(p.epoch), y(p.value));
    if (!few && !p.best) continue;
    dots += fmt::format(
        "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}</title>"
        "</circle>",
        p.best    ? "after"
        : p.again ? "hollow"
                  : "dot",
        x(p.epoch), y(p.value), p.best ? 6 : 3.5, html_escape(p.tip));
    if (!p.best) continue;
    const bool right = p.epoch > 0.8 * epochs;
    dots += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>",
                        x(p.epoch) + (right ? -10 : 10), y(p.value) - 7,
                        right ? "end" : "start", html_escape(c.best_text));
  }
  out += fmt::format("<path class=\"{}\" d=\"{}\"/>", c.css_class, path) + dots;
  return svg(kTop + c.height + 12, c.title, out);
}

Curve score_curve(const Training& t) {
  Curve curve{.title = "Selection score",
              .small = t.score_unit == "%" ? "top-1 in %, exact integers"
                                           : "output SQNR in dB, exact integers",
              .css_class = "so-far",
              .height = 190};
  const auto before = seen_before(t);
  for (std::size_t i = 0; i < t.visits.size(); ++i) {
    const Training::Visit& v = t.visits[i];
    if (!std::isfinite(v.score)) continue;
    curve.points.push_back(
        {v.epoch, v.score,
         fmt::format("epoch {:.2f}: {}{}", v.epoch, score_text(v.score, t.score_unit),
                     before[i] ? ", codes seen before" : ""),
         is_best(t, v), before[i].has_value()});
    if (is_best(t, v)) curve.best_text = "best " + score_text(v.score, t.score_unit);
  }
  if (std::isfinite(t.start_score)) curve.level = t.start_score;
  curve.level_text = "before training " + score_text(t.start_score, t.score_unit);
  return curve;
}

/// Of what was summed up since the state before; the start has none.
Curve stretch_curve(const Training& t, std::string title, std::string small,
                    double Training::Visit::*which) {
  Curve curve{.title = std::move(title),
              .small = std::move(small),
              .css_class = "alone",
              .height = 78};
  for (const Training::Visit& v : t.visits) {
    if (v.step == 0 || !std::isfinite(v.*which)) continue;
    curve.points.push_back(
        {v.epoch, v.*which,
         fmt::format("epoch {:.2f}: {}", v.epoch, short_number(v.*which))});
  }
  return curve;
}

// ----------------------------------------------------------------------------- heat map

/// Shares over the stretches, neighbours joined until there are few enough columns.
struct Row {
  std::string name;
  std::vector<double> share;
};

std::vector<double> joined(const std::vector<double>& share, std::size_t by) {
  std::vector<double> means;
  for (std::size_t from = 0; from < share.size(); from += by) {
    const std::size_t to = std::min(share.size(), from + by);
    double sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += share[i];
    means.push_back(sum / static_cast<double>(to - from));
  }
  return means;
}

/// The last letters, which tell layers apart.
std::string short_name(const std::string& name) {
  if (name.size() <= kMostLetters) return name;
  std::size_t from = name.size() - kMostLetters;
  while (from < name.size() && (static_cast<unsigned char>(name[from]) & 0xC0) == 0x80) {
    ++from;  // not into the middle of a UTF-8 letter
  }
  return "\xE2\x80\xA6" + name.substr(from);
}

std::string legend(double most, double y) {
  constexpr int kSteps = 24;
  constexpr double kCell = 9;
  const double left = kRight - kSteps * kCell;
  std::string out;
  for (int i = 0; i < kSteps; ++i) {
    out += fmt::format(
        "<rect class=\"heat\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
        "height=\"10\" fill-opacity=\"{:.3f}\"/>",
        left + kCell * i, y, kCell, (i + 1.0) / kSteps);
  }
  const double least = most / std::pow(10.0, kDecades);
  return out +
         fmt::format(
             "<text class=\"dim\" x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{} or "
             "less</text><text class=\"dim\" x=\"{:.0f}\" y=\"{:.1f}\" "
             "text-anchor=\"end\">{} of codes a step</text>",
             left - 8, y + 9, fmt::format("{:.1g} %", 100 * least), kRight, y + 24,
             fmt::format("{:.2g} %", 100 * most));
}

std::string heat_map(const Training& t) {
  const std::size_t stretches = t.visits.empty() ? 0 : t.visits.size() - 1;
  if (stretches == 0 || t.flips.empty()) return "";
  const std::size_t by = (stretches + kMostColumns - 1) / kMostColumns;
  std::vector<Row> rows(1);
  rows[0].name = "all layers";
  for (std::size_t i = 1; i < t.visits.size(); ++i) {
    rows[0].share.push_back(t.visits[i].flips);
  }
  for (const Training::Flips& layer : t.flips) rows.push_back({layer.layer, layer.share});
  double most = 0;
  for (Row& row : rows) {
    row.share.resize(stretches, 0.0);
    row.share = joined(row.share, by);
    for (const double share : row.share) most = std::max(most, share);
  }
  if (!(most > 0)) return "<p class=\"small\">No code changed while training.</p>";

  const double epochs = last_epoch(t), height = 16, gap = 6;
  const auto x = [&](double epoch) { return kLeft + (kRight - kLeft) * epoch / epochs; };
  std::string out;
  double y = 4;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Row& row = rows[r];
    out += fmt::format(
        "<text {}x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{}<title>{}</title>"
        "</text><rect class=\"track faint\" x=\"{:.0f}\" y=\"{:.1f}\" width=\"{:.0f}\" "
        "height=\"{:.0f}\"/>",
        r == 0 ? "" : "class=\"dim\" ", kLeft - 8, y + 12,
        html_escape(short_name(row.name)), html_escape(row.name), kLeft, y,
        kRight - kLeft, height - 1);
    for (std::size_t c = 0; c < row.share.size(); ++c) {
      const double from = t.visits[c * by].epoch;
      const double to = t.visits[std::min(stretches, (c + 1) * by)].epoch;
      const double share = row.share[c];
      const double opacity =
          share > 0 ? std::clamp(1 + std::log10(share / most) / kDecades, 0.0, 1.0) : 0;
      out += fmt::format(
          "<rect class=\"heat\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
          "height=\"{:.0f}\" fill-opacity=\"{:.3f}\"><title>{}, epochs {:.2f} to "
          "{:.2f}: {}</title></rect>",
          x(from), y, std::max(0.5, x(to) - x(from) - 1), height - 1, opacity,
          html_escape(row.name), from, to, share_text(share));
    }
    y += height + (r == 0 ? gap : 0);
  }
  y += 14;
  for (const double epoch : round_numbers(0, epochs, 8)) {
    out += fmt::format(
        "<text class=\"dim\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
        x(epoch), y, short_number(epoch));
  }
  out += fmt::format(
      "<text class=\"dim\" x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">epoch</text>",
      kLeft - 8, y);
  return svg(y + 42, "flips of codes", out + legend(most, y + 14));
}

// -------------------------------------------------------------------------------- states

std::string states_table(const Training& t) {
  const auto before = seen_before(t);
  std::string rows;
  for (std::size_t i = 0; i < t.visits.size(); ++i) {
    const Training::Visit& v = t.visits[i];
    std::string marks;
    if (is_best(t, v)) marks += " <span class=\"badge good\">best, exported</span>";
    if (before[i]) {
      marks += fmt::format(" <span class=\"badge plain\">as at epoch {:.2f}</span>",
                           t.visits[*before[i]].epoch);
    }
    const bool start = v.step == 0;
    rows += fmt::format(
        "<tr><td class=\"num\">{:.2f}</td><td class=\"num\">{}</td><td "
        "class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td "
        "class=\"num\"><code>{}</code>{}</td></tr>\n",
        v.epoch, v.step, start ? "-" : fmt::format("{:.4f}", v.loss),
        score_text(v.score, t.score_unit), start ? "-" : share_text(v.flips),
        html_escape(v.hash.substr(0, 8)), marks);
  }
  return fmt::format(
      "<details{}><summary>Visited states: {}</summary><div class=\"wide\"><table>"
      "<thead><tr><th>Epoch</th><th>Step</th><th>Loss</th><th>Score</th><th>Flips a "
      "step</th><th>Codes (SHA-256)</th></tr></thead><tbody>{}</tbody></table></div>"
      "</details>",
      t.visits.size() <= kFewStates ? " open" : "", t.visits.size(), rows);
}

}  // namespace

std::string training_section(const Training& t) {
  std::string out = fmt::format(
      "<p class=\"small\">{} steps on {}. States were judged in exact integers on {}; "
      "the "
      "best one, of step {}, is exported.</p>",
      t.steps, html_escape(t.data), html_escape(t.selection), t.best_step);
  const double epochs = last_epoch(t);
  out += curve_chart(score_curve(t), epochs);
  out += curve_chart(
      stretch_curve(t, "Loss", "training, mean of a stretch", &Training::Visit::loss),
      epochs);
  const bool labelled = std::ranges::any_of(
      t.visits, [](const Training::Visit& v) { return v.accuracy > 0; });
  if (labelled) {
    out += curve_chart(stretch_curve(t, "Training accuracy", "% of the augmented samples",
                                     &Training::Visit::accuracy),
                       epochs);
  }
  const std::string map = heat_map(t);
  if (!map.empty()) {
    out +=
        "<h3>Oscillation</h3><p class=\"small\">Share of a layer's weight codes that "
        "change in one step, on a logarithmic scale. Quantised weights visit good states "
        "and leave them again; they need not settle.</p>" +
        map;
  }
  return out + states_table(t);
}

}  // namespace qopt::report
