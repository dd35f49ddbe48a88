// SPDX-License-Identifier: MIT
// report.html: sections top to bottom as a reader asks: is it good, is it small, is it
// the same, how did it get there, where does it hurt. One file, no network; every name
// goes through html_escape.
#include <fmt/format.h>

#include "lib/core/names.h"
#include "lib/report/format.h"
#include "lib/report/html_page.h"
#include "lib/report/html_plots.h"
#include "lib/report/html_training.h"
#include "lib/report/report.h"

namespace qopt::report {
namespace {

std::string text(std::string_view raw) { return html_escape(raw); }

std::string badge(std::string_view label, std::string_view kind) {
  return fmt::format("<span class=\"badge {}\">{}</span>", kind, text(label));
}

std::string section(std::string_view title, const std::string& body) {
  return fmt::format("<section><h2>{}</h2>{}</section>\n", title, body);
}

std::string tile(std::string_view label, const std::string& value,
                 const std::string& small) {
  return fmt::format(
      "<div class=\"tile\"><div class=\"label\">{}</div><div class=\"value\">{}"
      "</div><div class=\"small\">{}</div></div>",
      label, value, small);
}

std::string times(std::uint64_t before, std::uint64_t after) {
  if (after == 0) return "";
  return fmt::format("{:.2f}x smaller",
                     static_cast<double>(before) / static_cast<double>(after));
}

std::string verdict(const Report& r) {
  for (const VerifyRow& row : r.verify) {
    if (row.status == Verification::Failed) return badge("NOT BIT-EXACT", "bad");
  }
  if (r.gate.status == GateStatus::Failed) return badge("REJECTED by the gate", "bad");
  std::string out;
  if (r.gate.status == GateStatus::Passed) out += badge("gate passed", "good");
  std::size_t passed = 0;
  for (const VerifyRow& row : r.verify) passed += row.status == Verification::Passed;
  out += passed > 0 ? badge("bit-exact", "good") : badge("not verified", "warn");
  return out;
}

std::string tiles(const Report& r) {
  std::string out = "<div class=\"tiles\">";
  const Metrics& m = r.metrics;
  if (m.integer && m.integer->top1) {
    out +=
        tile("Top-1, exact integers", fmt::format("{:.2f} %", m.integer->top1->percent),
             fmt::format("95 % interval {:.2f} to {:.2f}", m.integer->top1->interval.lo,
                         m.integer->top1->interval.hi));
  } else if (m.integer) {
    out += tile("Output against float", decibels_text(m.integer->output_sqnr_db), "SQNR");
  }
  if (m.drop) {
    out += tile("Drop", fmt::format("{:+.2f} pp", m.drop->drop),
                fmt::format("95 % interval {:+.2f} to {:+.2f}", m.drop->interval.lo,
                            m.drop->interval.hi));
  }
  out +=
      tile("Weights (flash)", bytes_text(r.size.blob_bytes),
           times(r.size.float_weight_bytes, r.size.blob_bytes) + " than float weights");
  out += tile("Arena (RAM)", bytes_text(r.size.arena_bytes),
              "lower bound " + bytes_text(r.size.arena_lower_bound));
  out += tile("Work", count_text(r.total_macs()) + " MACs",
              fmt::format("{} nodes", r.layers.size()));
  return out + "</div>";
}

// ------------------------------------------------------------------------------ quality

/// One axis for all intervals of a column, so that their overlap is seen.
struct Axis {
  double lo = 100, hi = 0;
  void include(const std::optional<Metric>& metric,
               std::optional<eval::Proportion> Metric::*which) {
    if (!metric || !((*metric).*which)) return;
    lo = std::min(lo, ((*metric).*which)->interval.lo);
    hi = std::max(hi, ((*metric).*which)->interval.hi);
  }
  static Axis of(const Metrics& m, std::optional<eval::Proportion> Metric::*which) {
    Axis axis;
    for (const auto* metric : {&m.float_model, &m.fake_quant, &m.integer}) {
      axis.include(*metric, which);
    }
    return axis;
  }
};

std::string proportion_cells(const std::optional<eval::Proportion>& p, bool wanted,
                             const Axis& axis) {
  if (!wanted) return "";
  if (!p) return "<td>-</td><td></td>";
  return fmt::format(
      "<td class=\"num\">{:.2f} % <span class=\"small\">[{:.2f}, {:.2f}]</span>"
      "</td><td>{}</td>",
      p->percent, p->interval.lo, p->interval.hi,
      interval_plot(p->percent, p->interval.lo, p->interval.hi, axis.lo, axis.hi));
}

std::string quality(const Metrics& m) {
  if (!m.integer) return "<p class=\"small\">No evaluation data was given.</p>";
  const bool classify = m.integer->top1.has_value(), five = m.integer->top5.has_value();
  std::string out = fmt::format(
      "<p class=\"small\">{} samples, {}</p><table><thead><tr><th>"
      "Model</th>",
      m.samples, text(m.data));
  out += classify ? "<th colspan=\"2\">Top-1 [95 % interval]</th>"
                  : "<th>Output SQNR against float</th>";
  if (five) out += "<th colspan=\"2\">Top-5 [95 % interval]</th>";
  out += "</tr></thead><tbody>";
  const Axis first = Axis::of(m, &Metric::top1), best_five = Axis::of(m, &Metric::top5);
  const auto row = [&](const char* name, const std::optional<Metric>& metric) {
    if (!metric) return;
    out += fmt::format("<tr><th>{}</th>", name);
    if (classify) {
      out += proportion_cells(metric->top1, true, first) +
             proportion_cells(metric->top5, five, best_five);
    } else {
      out +=
          fmt::format("<td class=\"num\">{}</td>", decibels_text(metric->output_sqnr_db));
    }
    out += "</tr>";
  };
  row("Before: float", m.float_model);
  row("Float, activations replaced", m.rewritten);
  row("Simulated (fake-quant)", m.fake_quant);
  row("After: exact integers", m.integer);
  out += "</tbody></table>";
  if (m.drop) {
    out += fmt::format(
        "<p>Drop {:+.2f} points, paired 95 % interval {:+.2f} to {:+.2f}; {} "
        "samples lost, {} gained; McNemar p = {:.3g}.</p>",
        m.drop->drop, m.drop->interval.lo, m.drop->interval.hi, m.drop->lost,
        m.drop->gained, m.drop->p_value);
  }
  return out;
}

std::string replaced(const Report& r) {
  if (r.replaced_activations.empty()) return "";
  std::string out;
  if (const auto& drop = r.metrics.rewrite_drop) {
    out += fmt::format(
        "<p>Before any quantization: drop {:+.2f} points, paired 95 % interval {:+.2f} "
        "to {:+.2f}.</p>",
        drop->drop, drop->interval.lo, drop->interval.hi);
  }
  out +=
      "<p class=\"small\">Distance of the two functions over the calibration histogram "
      "of what they read.</p><div class=\"wide\"><table><thead><tr><th>Layer</th>"
      "<th>Was</th><th>Is</th><th>Mean |f - g|</th><th>Largest</th></tr></thead><tbody>";
  for (const ReplacedActivation& a : r.replaced_activations) {
    out += fmt::format(
        "<tr><th>{}</th><td>{}</td><td>{}</td><td class=\"num\">{:.4g}</td>"
        "<td class=\"num\">{:.4g}</td></tr>",
        text(a.layer), text(a.from), text(a.to), a.mean_distance, a.max_distance);
  }
  return section("Replaced activations", out + "</tbody></table></div>");
}

std::string analog(const std::optional<AnalogReading>& a) {
  if (!a) return "";
  std::string readings;
  for (const double percent : a->top1) readings += fmt::format(" {:.2f}", percent);
  return section(
      "Analog hardware",
      fmt::format("<p>Top-1 of the float model with {} bits and leakage {:g} at every "
                  "crossing ({} range{}): {:.2f} % with deviation {:.2f} over {} "
                  "readings of {} samples.</p><p class=\"small\">Readings:{}. {}</p>",
                  a->bits, a->leakage, text(a->range),
                  a->readout ? "" : ", no readout noise", a->mean, a->deviation,
                  a->top1.size(), a->samples, readings, text(a->data)));
}

std::string precision(const std::optional<MixedPrecision>& m) {
  if (!m) return "";
  std::string out = fmt::format(
      "<p>Most sensitive layers first, until at most {:g} points of float {:.2f} % are "
      "lost: {}.</p><p class=\"small\">{} samples, {}</p><table><thead><tr>"
      "<th>Raised</th><th>To</th><th>Top-1</th><th>Drop</th><th></th></tr></thead>"
      "<tbody>",
      m->target, m->float_top1,
      m->reached ? badge("reached", "good") : badge("not reached", "warn"), m->samples,
      text(m->data));
  for (std::size_t i = 0; i < m->path.size(); ++i) {
    const PrecisionState& s = m->path[i];
    out += fmt::format("<tr><th>{}</th><td>{}</td>",
                       s.layer.empty() ? "as configured" : text(s.layer),
                       s.layer.empty() ? "" : fmt::format("{} bits", s.bits));
    out += s.top1 ? fmt::format(
                        "<td class=\"num\">{:.2f} %</td><td class=\"num\">"
                        "{:+.2f}</td>",
                        *s.top1, *s.drop)
                  : fmt::format("<td colspan=\"2\">{}</td>", text(s.refused));
    out += fmt::format("<td>{}</td></tr>", static_cast<std::int64_t>(i) == m->chosen
                                               ? badge("chosen", "good")
                                               : std::string());
  }
  return section("Mixed precision", out + "</tbody></table>");
}

std::string gate(const Gate& g) {
  if (g.status == GateStatus::NotSet) return "";
  std::string out =
      "<table><thead><tr><th>Constraint</th><th>Found</th><th>Allowed</th><th>"
      "</th></tr></thead><tbody>";
  for (const GateCheck& c : g.checks) {
    out += fmt::format(
        "<tr><th>{}</th><td class=\"num\">{} {}</td><td class=\"num\">{} {}</td>"
        "<td>{}</td></tr>",
        text(c.name), short_number(c.value), text(c.unit), short_number(c.limit),
        text(c.unit), c.passed ? badge("passed", "good") : badge("failed", "bad"));
  }
  out += "</tbody></table>";
  if (!g.data.empty()) {
    out += fmt::format(
        "<p class=\"small\">max_drop compares the one-sided {:g} % upper bound of "
        "the drop, on {}.</p>",
        100 * g.confidence, text(g.data));
  }
  return section("Gate", out);
}

// ---------------------------------------------------------------------- sizes and verify

std::string sizes(const Sizes& s) {
  const Bar bars[] = {{"Model file", s.original_bytes, "before"},
                      {"Float weights", s.float_weight_bytes, "before"},
                      {"model.qpk (flash)", s.blob_bytes, "after"},
                      {"Arena (RAM)", s.arena_bytes, "arena"}};
  return bar_chart(bars);
}

std::string verification(const Report& r) {
  if (r.verify.empty()) return "<p class=\"small\">The export was not verified.</p>";
  std::string out =
      "<table><thead><tr><th>Target</th><th>Result</th><th>Vectors</th><th>Detail"
      "</th></tr></thead><tbody>";
  for (const VerifyRow& row : r.verify) {
    const std::string_view kind = row.status == Verification::Passed   ? "good"
                                  : row.status == Verification::Failed ? "bad"
                                                                       : "warn";
    const std::string_view label = row.status == Verification::NotTested
                                       ? "not tested"
                                       : verification_name(row.status);
    out +=
        fmt::format("<tr><th>{}</th><td>{}</td><td class=\"num\">{}</td><td>{}</td></tr>",
                    text(row.target), badge(label, kind), row.vectors, text(row.detail));
  }
  return out + "</tbody></table>";
}

std::string findings(const Report& r) {
  if (r.findings.empty()) return "<p class=\"small\">Nothing to report.</p>";
  std::string out = "<ul class=\"findings\">";
  for (const Finding& f : r.findings) {
    out += fmt::format("<li>{} <b>{}</b> {}</li>",
                       badge(f.severity, f.severity == "warning" ? "warn" : "plain"),
                       text(f.where), text(f.what));
  }
  return out + "</ul>";
}

// -------------------------------------------------------------------------------- layers

/// A cell that sorts by `key`; `inner` is what is shown.
std::string sortable(double key, const std::string& inner) {
  return fmt::format("<td class=\"num\" data-key=\"{:.9g}\">{}</td>", key, inner);
}

std::string decibel_cell(const std::optional<double>& db) {
  if (!db) return sortable(1e9, "-");
  return sortable(std::min(*db, 1e6), decibels_text(db));
}

/// The module that a user knows, and the result's name where a fused activation has
/// another.
std::string layer_title(const Layer& l) {
  return l.module.empty() || l.module == l.name ? l.name : l.module + " + " + l.name;
}

/// The family that runs a layer; what it and the next best cost on hovering.
std::string kernel_cell(const std::optional<Kernel>& k) {
  if (!k) return sortable(0, "-");
  const auto cost = [](const std::string& family, double cycles, bool measured) {
    return fmt::format("{} {} cycles {}", family, cycles_number(cycles),
                       measured ? "measured" : "estimated");
  };
  std::string title = cost(k->family, k->cycles, k->measured);
  if (!k->runner_up.empty()) {
    title += "; " + cost(k->runner_up, k->runner_up_cycles, k->runner_up_measured);
  }
  if (!k->reason.empty()) title += ", but " + k->reason;
  if (k->block != 0) title += fmt::format(", in blocks of {}", k->block);
  return sortable(k->cycles, fmt::format("<span title=\"{}\">{}</span>", text(title),
                                         text(k->family)));
}

std::string layer_row(const Layer& l, std::uint64_t most_macs, std::uint64_t most_bytes) {
  std::string out =
      fmt::format("<tr><th title=\"{}\">{}</th><td>{}</td><td>{}</td>", text(l.source),
                  text(layer_title(l)), text(l.kind), shape_text(l.shape));
  out += sortable(l.weight_bits.value_or(0),
                  l.weight_bits ? text(l.weight_encoding) : std::string("-"));
  out += sortable(l.activation_bits.value_or(0),
                  l.activation_bits ? fmt::format("{}", *l.activation_bits) : "-");
  out += sortable(static_cast<double>(l.weight_bytes),
                  l.weight_bytes > 0 ? bytes_text(l.weight_bytes) +
                                           share_bar(l.weight_bytes, most_bytes, "after")
                                     : "-");
  out += sortable(static_cast<double>(l.macs),
                  l.macs > 0
                      ? count_text(l.macs) + share_bar(static_cast<std::uint64_t>(l.macs),
                                                       most_macs, "arena")
                      : "-");
  out += l.acc_bits
             ? sortable(*l.acc_bits,
                        fmt::format(
                            "<span title=\"{} to {}\">acc {}/{} bits</span>{}", l.acc_lo,
                            l.acc_hi, *l.acc_bits, l.acc_limit,
                            share_bar(static_cast<std::uint64_t>(*l.acc_bits),
                                      static_cast<std::uint64_t>(l.acc_limit), "before")))
             : sortable(0, "-");
  out += l.clipped_fraction ? sortable(*l.clipped_fraction,
                                       fmt::format("{:.3f} %", 100 * *l.clipped_fraction))
                            : sortable(-1, "-");
  out += kernel_cell(l.kernel);
  return out + decibel_cell(l.sqnr_isolated_db) + decibel_cell(l.sqnr_cumulative_db) +
         "</tr>";
}

std::string layers(const Report& r) {
  std::uint64_t most_macs = 1, most_bytes = 1;
  for (const Layer& l : r.layers) {
    most_macs = std::max(most_macs,
                         static_cast<std::uint64_t>(std::max<std::int64_t>(0, l.macs)));
    most_bytes = std::max(most_bytes, l.weight_bytes);
  }
  std::string out =
      "<p class=\"small\">Click a heading to sort. SQNR alone: only this value's own "
      "encoding; "
      "SQNR so far: everything before it too, in exact integers.</p><div "
      "class=\"wide\"><table "
      "class=\"sortable\"><thead><tr><th>Layer</th><th>Kind</th><th>Shape</"
      "th><th>Weights</th>"
      "<th>Act. "
      "bits</th><th>Bytes</th><th>MACs</th><th>Accumulator</th><th>Clipped</"
      "th><th>Kernel</th>"
      "<th>SQNR "
      "alone</th><th>SQNR so far</th></tr></thead><tbody>";
  for (const Layer& l : r.layers) out += layer_row(l, most_macs, most_bytes) + "\n";
  return out + "</tbody></table></div>" + sqnr_chart(r.layers);
}

std::string activations(const Report& r) {
  std::string out =
      "<p class=\"small\">Counts on a logarithmic scale; the band is the range that "
      "the codes cover.</p><div class=\"plots\">";
  for (const Activation& a : r.activations) {
    out += fmt::format(
        "<figure>{}<figcaption><b>{}</b><br>{}{}, [{}, {}], clipped {:.3f} %"
        "</figcaption></figure>\n",
        histogram_plot(a), text(a.value), text(a.levels), a.bits,
        short_number(a.range.lo), short_number(a.range.hi), 100 * a.clipped_fraction);
  }
  return out + "</div>";
}

}  // namespace

std::string to_html(const Report& r) {
  std::string body = fmt::format("<header><h1>{}</h1><div>{}</div></header>{}",
                                 text(r.name), verdict(r), tiles(r));
  body += section("Quality", quality(r.metrics)) + replaced(r) + analog(r.analog) +
          precision(r.mixed_precision) + gate(r.gate);
  body += section("Size", sizes(r.size)) + section("Verification", verification(r));
  body += section("Findings", findings(r));
  if (r.training) body += section("Training", training_section(*r.training));
  body += section("Layers", layers(r));
  if (!r.activations.empty()) body += section("Activations", activations(r));
  body += fmt::format(
      "<footer class=\"small\">qopt {}. Calibrated on {}. Configuration {}, model "
      "{}, seed {}.</footer>",
      text(r.qopt_version), text(r.calibration), text(r.config_digest.substr(0, 12)),
      text(r.model_digest.substr(0, 12)), r.seed);
  return html_page(r.name, body);
}

}  // namespace qopt::report
