// SPDX-License-Identifier: MIT
// Plots of the report as inline SVG. Pure functions of numbers; names are escaped here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/report/report.h"

namespace qopt::report {

struct Bar {
  std::string_view name;
  std::uint64_t bytes = 0;
  std::string_view css_class;
};

/// Horizontal bars on one linear scale, each with its size in words.
std::string bar_chart(std::span<const Bar> bars);
/// A thin bar of value / most below a number.
std::string share_bar(std::uint64_t value, std::uint64_t most,
                      std::string_view css_class);
/// A percentage with its interval on the axis [from, to], whose ends a tooltip names.
std::string interval_plot(double percent, double lo, double hi, double from, double to);
/// Logarithmic counts with the chosen range as a band.
std::string histogram_plot(const Activation& activation);
/// Isolated and cumulative SQNR over the layers that have them; empty for fewer than two.
std::string sqnr_chart(std::span<const Layer> layers);

}  // namespace qopt::report
