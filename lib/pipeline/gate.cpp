// SPDX-License-Identifier: MIT
#include "lib/pipeline/gate.h"

#include <fmt/format.h>

namespace qopt::pipeline {
namespace {

constexpr std::string_view kMaxDrop = "max_drop";

report::GateCheck size_check(std::string name, std::int64_t limit, std::uint64_t bytes) {
  return {std::move(name), static_cast<double>(limit), static_cast<double>(bytes),
          "bytes", bytes <= static_cast<std::uint64_t>(limit)};
}

}  // namespace

report::Gate judge(const Constraints& constraints, const report::Sizes& sizes,
                   const report::Metrics& judged) {
  report::Gate gate;
  if (constraints.max_drop) {
    QOPT_CHECK(judged.drop.has_value(), "max_drop without a measured drop");
    gate.data = judged.data;
    gate.confidence = constraints.max_drop->confidence;
    const double bound = judged.drop->upper_bound;
    gate.checks.push_back({std::string(kMaxDrop), constraints.max_drop->value, bound,
                           "pp", bound <= constraints.max_drop->value});
  }
  if (constraints.flash) {
    gate.checks.push_back(size_check("flash", *constraints.flash, sizes.blob_bytes));
  }
  if (constraints.ram) {
    gate.checks.push_back(size_check("ram", *constraints.ram, sizes.arena_bytes));
  }
  if (gate.checks.empty()) return gate;
  gate.status = report::GateStatus::Passed;
  for (const report::GateCheck& check : gate.checks) {
    if (!check.passed) gate.status = report::GateStatus::Failed;
  }
  return gate;
}

std::vector<std::string> rejections(const report::Report& report) {
  std::vector<std::string> reasons;
  for (const report::VerifyRow& row : report.verify) {
    if (row.status == report::Verification::Failed) {
      reasons.push_back(fmt::format("verify {}: {}", row.target, row.detail));
    }
  }
  for (const report::GateCheck& check : report.gate.checks) {
    if (check.passed) continue;
    const std::string bound = check.name == kMaxDrop
                                  ? fmt::format("the {:g} % upper bound of the drop is",
                                                100 * report.gate.confidence)
                                  : "takes";
    reasons.push_back(fmt::format("{}: {} {:.6g} {}, allowed are {:.6g}", check.name,
                                  bound, check.value, check.unit, check.limit));
  }
  return reasons;
}

ExitCode exit_code(const report::Report& report) {
  for (const report::VerifyRow& row : report.verify) {
    if (row.status == report::Verification::Failed) return ExitCode::NotBitExact;
  }
  ExitCode code = ExitCode::Ok;
  for (const report::GateCheck& check : report.gate.checks) {
    if (check.passed) continue;
    if (check.name == kMaxDrop) return ExitCode::GateFailed;
    code = ExitCode::Infeasible;
  }
  return code;
}

}  // namespace qopt::pipeline
