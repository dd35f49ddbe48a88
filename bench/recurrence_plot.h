// SPDX-License-Identifier: MIT
// The picture of bench_recurrence: visits against their bound, the orbit that misses the
// optimum, the same target from other starts, and flips that never stop. Draws what it is
// given; computes nothing of the theory.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/svg.h"
#include "lib/theory/directions.h"

namespace qopt::bench {

struct VisitPoint {
  theory::WeightLevels levels;
  std::size_t n = 0;
  double bound = 0, frequency = 0;
};
struct Start {
  std::string name;
  std::vector<bool> at_optimum;  // one a step
  double frequency = 0;
};
struct FlipCurve {
  std::string name;
  const char* colour;
  std::vector<std::int64_t> flips;  // in all, at equally spaced steps
};
struct RecurrencePicture {
  std::vector<VisitPoint> points;
  std::vector<std::vector<double>>
      traces;  // small weights of the orbit, one value a step
  std::int64_t period = 0;
  std::vector<Start> starts;
  std::int64_t curve_steps = 0;
  std::vector<FlipCurve> curves;  // most flips first
};

constexpr const char* kRed = "#c8402f";
constexpr const char* kBlue = "#2a6fb0";
constexpr const char* kInk = "#333333";

inline const char* colour_of(std::size_t n) {
  return n <= 4 ? "#8fc1e3" : n <= 8 ? "#4a98cf" : n <= 16 ? "#1f6cae" : "#0b3c6f";
}

inline void draw_point(Svg& svg, double x, double y, theory::WeightLevels levels,
                       std::size_t n) {
  if (levels == theory::WeightLevels::Binary) {
    svg.circle(x, y, 4, colour_of(n), "fill-opacity=\"0.85\"");
    return;
  }
  constexpr double r = 5;
  svg.polygon({{x - r, y}, {x, y - r}, {x + r, y}, {x, y + r}}, "#ffffff", "#d9822b",
              1.6);
}

inline void draw_visits(Svg& svg, const RecurrencePicture& picture) {
  const Panel p{80, 100, 500, 520, -0.4, 1, 0, 1};
  p.title(svg, "Visits of the optimum obey the bound",
          "each mark: one random target, share of 20,000 steps spent at the optimum");
  for (int i = -2; i <= 5; ++i) p.x_tick(svg, 0.2 * i, fmt::format("{} %", 20 * i));
  for (int i = 0; i <= 5; ++i) p.y_tick(svg, 0.2 * i, fmt::format("{} %", 20 * i));
  svg.polygon({{p.x(0), p.y(0)}, {p.x(1), p.y(0)}, {p.x(1), p.y(1)}}, "#f6e3e0");
  svg.rect(p.left, p.top, p.x(0) - p.left, p.height, "#f3f3f3", "fill-opacity=\"0.8\"");
  svg.line(p.x(0), p.y(0), p.x(1), p.y(1), kRed, 2);
  svg.text(p.x(0.64), p.y(0.2), "excluded by the bound", 12.5, kRed, "middle");
  svg.text(p.x(-0.2), p.y(0) - 12, "bound says nothing", 12, "#777777", "middle");
  svg.line(p.left, p.y(0), p.left + p.width, p.y(0), kInk, 1.2);
  for (const VisitPoint& point : picture.points)
    if (point.bound >= p.x0)
      draw_point(svg, p.x(point.bound), p.y(point.frequency), point.levels, point.n);
  p.x_label(svg, "lower bound from the target alone");
  svg.text(p.left, p.top + p.height + 66,
           "bound: 1 - (1 - <P, q*>) / gap, P the point nearest to w* in the hull of the "
           "quantised directions;",
           11.5, "#666666");
  svg.text(p.left, p.top + p.height + 82,
           "for binary weights 1 - sum (1 - min(1, \xE2\x88\x9An |w*|)) / 2", 11.5,
           "#666666");
  p.y_label(svg, "steps at the optimum");
  double at = p.top + 24;
  for (const std::size_t n : {4U, 8U, 16U, 32U}) {
    draw_point(svg, p.left + 18, at - 4, theory::WeightLevels::Binary, n);
    svg.text(p.left + 30, at, fmt::format("binary, n = {}", n));
    at += 20;
  }
  draw_point(svg, p.left + 18, at - 4, theory::WeightLevels::Ternary, 0);
  svg.text(p.left + 30, at, "ternary, n = 8, 16");
}

inline void draw_orbit(Svg& svg, const RecurrencePicture& picture) {
  const double steps = static_cast<double>(picture.traces[0].size()) - 1;
  const Panel p{690, 100, 470, 190, 0, steps, -1.2 / 16, 7.2 / 16};
  p.title(
      svg, "An orbit that misses the optimum for ever",
      "y of the nine small weights; a red dot is a wrong sign, and every step has one");
  for (std::int64_t t = 0; t < static_cast<std::int64_t>(steps); t += 2 * picture.period)
    svg.rect(p.x(static_cast<double>(t)), p.top,
             p.x(static_cast<double>(picture.period)) - p.left, p.height, "#f5f5f5");
  svg.line(p.left, p.y(0), p.left + p.width, p.y(0), kInk, 1.2);
  p.y_tick(svg, 0, "0", false);
  p.y_tick(svg, 0.25, "0.25", false);
  for (int t = 0; t <= static_cast<int>(steps); t += 8)
    p.x_tick(svg, t, fmt::format("{}", t), false);
  for (std::size_t i = picture.traces.size(); i-- > 0;) {
    std::vector<std::pair<double, double>> points;
    for (std::size_t t = 0; t < picture.traces[i].size(); ++t)
      points.emplace_back(p.x(static_cast<double>(t)), p.y(picture.traces[i][t]));
    // One of them drawn so that the eye can follow it.
    if (i == 1)
      svg.polyline(points, "#0b3c6f", 2.2);
    else
      svg.polyline(points, kBlue, 1, "stroke-opacity=\"0.45\"");
  }
  for (const std::vector<double>& trace : picture.traces)
    for (std::size_t t = 0; t < trace.size(); ++t)
      if (trace[t] < 0) svg.circle(p.x(static_cast<double>(t)), p.y(trace[t]), 3.6, kRed);
}

inline void draw_starts(Svg& svg, const RecurrencePicture& picture) {
  const auto steps = static_cast<double>(picture.starts[0].at_optimum.size());
  const Panel p{690, 370, 470, 84, 0, steps, 0, 1};
  p.title(svg, "The same target from three starts",
          "a blue cell is a step at the optimum");
  const double cell = p.width / steps;
  double top = p.top;
  for (const Start& start : picture.starts) {
    for (std::size_t t = 0; t < start.at_optimum.size(); ++t)
      svg.rect(p.left + cell * static_cast<double>(t) + 0.75, top, cell - 1.5, 18,
               start.at_optimum[t] ? kBlue : "#ebebeb");
    svg.text(p.left - 8, top + 13, start.name, 12, kInk, "end");
    svg.text(p.left + p.width + 8, top + 13,
             fmt::format("{:.1f} %", 100 * start.frequency), 12);
    top += 28;
  }
}

/// A step of 1, 2 or 5 times a power of ten that divides `most` into two to five.
inline double tick_step(double most) {
  const double power = std::pow(10.0, std::floor(std::log10(most)));
  return most >= 5 * power ? 2 * power : most >= 2 * power ? power : 0.5 * power;
}

/// Curves are labelled at their ends, from the lowest upwards, so that none overlaps.
inline void draw_flips(Svg& svg, const RecurrencePicture& picture) {
  double most = 1;
  for (const FlipCurve& curve : picture.curves)
    most = std::max(most, static_cast<double>(curve.flips.back()));
  const Panel p{690, 530, 330, 130, 0, 1, 0, 1.05 * most};
  p.title(svg, "Sign flips never stop, unless the target is quantised",
          "flips so far, n = 16; eps is the target's distance from a quantised one");
  for (int i = 0; i <= 4; ++i)
    p.x_tick(svg, 0.25 * i, fmt::format("{}", picture.curve_steps * i / 4));
  for (double v = 0; v <= most; v += tick_step(most))
    p.y_tick(svg, v, fmt::format("{:g}", v));
  svg.line(p.left, p.y(0), p.left + p.width, p.y(0), kInk, 1.2);
  double highest = p.top + p.height + 15;
  for (std::size_t k = picture.curves.size(); k-- > 0;) {
    const FlipCurve& curve = picture.curves[k];
    std::vector<std::pair<double, double>> points;
    for (std::size_t i = 0; i < curve.flips.size(); ++i)
      points.emplace_back(
          p.x(static_cast<double>(i) / static_cast<double>(curve.flips.size() - 1)),
          p.y(static_cast<double>(curve.flips[i])));
    svg.polyline(points, curve.colour, 2.2);
    highest = std::min(points.back().second, highest - 15);
    svg.text(p.left + p.width + 8, highest + 4, curve.name, 12, curve.colour);
  }
  p.x_label(svg, "steps");
}

inline std::string draw(const RecurrencePicture& picture) {
  Svg svg(1240, 730);
  svg.text(36, 38,
           "Recurrence of the optimum: projected coarse gradients, exact dynamics", 20,
           "#111111", "start", "font-weight=\"bold\"");
  draw_visits(svg, picture);
  draw_orbit(svg, picture);
  draw_starts(svg, picture);
  draw_flips(svg, picture);
  return svg.finish();
}

}  // namespace qopt::bench
