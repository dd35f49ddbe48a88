// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "lib/core/names.h"
#include "lib/report/format.h"
#include "lib/report/report.h"

namespace qopt::report {
namespace {

std::string cell(const std::optional<eval::Proportion>& p) {
  if (!p) return "-";
  return fmt::format("{:.2f} % [{:.2f}, {:.2f}]", p->percent, p->interval.lo,
                     p->interval.hi);
}

std::string row(std::string_view name, const std::optional<Metric>& metric,
                bool classify) {
  if (!metric) return "";
  if (!classify) {
    return fmt::format("  {:<12} {:>14}\n", name, decibels_text(metric->output_sqnr_db));
  }
  return fmt::format("  {:<12} {:<26} {}\n", name, cell(metric->top1),
                     cell(metric->top5));
}

std::string replaced_text(const std::vector<ReplacedActivation>& all) {
  if (all.empty()) return "";
  std::string out = fmt::format(
      "{} activations replaced (|f - g| where they are used: mean, largest)\n",
      all.size());
  for (const ReplacedActivation& r : all) {
    out += fmt::format("  {:<24} {} -> {}: {:.4g}, {:.4g}\n", printable(r.layer), r.from,
                       r.to, r.mean_distance, r.max_distance);
  }
  return out;
}

std::string analog_text(const std::optional<AnalogReading>& a) {
  if (!a) return "";
  return fmt::format(
      "  analog, {} bits, leakage {:g}: {:.2f} % +- {:.2f} over {} readings of {} "
      "samples\n",
      a->bits, a->leakage, a->mean, a->deviation, a->top1.size(), a->samples);
}

std::string precision_text(const std::optional<MixedPrecision>& m) {
  if (!m) return "";
  std::string out = fmt::format(
      "mixed precision on {} samples, {}\n  target {:g} pp of float {:.2f} %: {}\n",
      m->samples, printable(m->data), m->target, m->float_top1,
      m->reached ? "reached" : "NOT REACHED, best state kept");
  for (std::size_t i = 0; i < m->path.size(); ++i) {
    const PrecisionState& s = m->path[i];
    out += fmt::format(
        "  {} {}: {}\n", static_cast<std::int64_t>(i) == m->chosen ? '*' : ' ',
        s.layer.empty() ? "as configured"
                        : fmt::format("{} to {} bits", printable(s.layer), s.bits),
        s.top1 ? fmt::format("{:.2f} %, drop {:+.2f} pp", *s.top1, *s.drop)
               : "no integer form: " + printable(s.refused));
  }
  return out;
}

std::string metrics_text(const Metrics& m) {
  if (!m.integer) return "no evaluation data\n";
  const bool classify = m.integer->top1.has_value();
  std::string out = fmt::format("{} samples, {}\n", m.samples, printable(m.data));
  out += classify ? fmt::format("  {:<12} {:<26} {}\n", "model", "top-1 [95 %]",
                                "top-5 [95 %]")
                  : fmt::format("  {:<12} {:>14}\n", "model", "output SQNR");
  out += row("float", m.float_model, classify) + row("rewritten", m.rewritten, classify) +
         row("fake-quant", m.fake_quant, classify) + row("integer", m.integer, classify);
  if (m.drop) {
    out += fmt::format(
        "  drop {:+.2f} pp [{:+.2f}, {:+.2f}], {} lost, {} gained, p = {:.3g}\n",
        m.drop->drop, m.drop->interval.lo, m.drop->interval.hi, m.drop->lost,
        m.drop->gained, m.drop->p_value);
  }
  return out;
}

std::string training_text(const Training& t) {
  std::string out = fmt::format("training: {} steps on {}\n", t.steps, printable(t.data));
  for (const Training::Visit& visit : t.visits) {
    if (visit.step != t.best_step) continue;
    out += fmt::format(
        "  selection {} -> {} at step {} (epoch {:.2f}), best of {} states\n",
        score_text(t.start_score, t.score_unit), score_text(visit.score, t.score_unit),
        visit.step, visit.epoch, t.visits.size());
  }
  if (t.visits.size() > 1) {
    out += fmt::format("  codes that flip a step: {} % at first, {} % at last\n",
                       short_number(100 * t.visits[1].flips),
                       short_number(100 * t.visits.back().flips));
  }
  return out;
}

std::string cost_text(double cycles, bool measured) {
  return fmt::format("{} {}", cycles_number(cycles / 1e3),
                     measured ? "measured" : "estimated");
}

/// One line a layer whose kernels had an alternative; the others as one line.
std::string kernels_text(const Report& r) {
  std::string out;
  double cycles = 0;
  std::size_t others = 0;
  for (const Layer& layer : r.layers) {
    if (!layer.kernel) continue;
    const Kernel& k = *layer.kernel;
    if (k.runner_up.empty()) {
      ++others;
      cycles += k.cycles;
      continue;
    }
    out += fmt::format("  {:<24} {:<10} {:<18} {} {}{}{}{}\n",
                       printable(layer.module.empty() ? layer.name : layer.module),
                       k.family, cost_text(k.cycles, k.measured), k.runner_up,
                       cost_text(k.runner_up_cycles, k.runner_up_measured),
                       k.reason.empty() ? "" : ", but ", k.reason,
                       k.block == 0 ? "" : fmt::format(", in blocks of {}", k.block));
  }
  if (others > 0) {
    out += fmt::format("  {} with one family only: {} estimated\n", others,
                       cycles_number(cycles / 1e3));
  }
  if (out.empty()) return out;
  return fmt::format("kernels for {}, kilocycles (next best)\n{}", r.core, out);
}

}  // namespace

std::string to_text(const Report& r) {
  std::string out = fmt::format("{}: {} layers, {} MACs\n", printable(r.name),
                                r.layers.size(), r.total_macs());
  out += replaced_text(r.replaced_activations) + precision_text(r.mixed_precision) +
         metrics_text(r.metrics) + analog_text(r.analog);
  out += fmt::format("size: {} file, {} weights -> {} blob, {} arena\n",
                     bytes_text(r.size.original_bytes),
                     bytes_text(r.size.float_weight_bytes), bytes_text(r.size.blob_bytes),
                     bytes_text(r.size.arena_bytes));
  out += kernels_text(r);
  if (r.training) out += training_text(*r.training);
  for (const VerifyRow& v : r.verify) {
    out += fmt::format("verify {:<16} {:<10} {:>3} vectors  {}\n", v.target,
                       verification_name(v.status), v.vectors, printable(v.detail));
  }
  for (const GateCheck& c : r.gate.checks) {
    out += fmt::format("gate {}: {} {} of at most {} {}: {}\n", c.name,
                       short_number(c.value), c.unit, short_number(c.limit), c.unit,
                       c.passed ? "passed" : "FAILED");
  }
  for (const Finding& f : r.findings) {
    out += fmt::format("{}: {}{}{}\n", f.severity, printable(f.where),
                       f.where.empty() ? "" : ": ", printable(f.what));
  }
  return out;
}

}  // namespace qopt::report
