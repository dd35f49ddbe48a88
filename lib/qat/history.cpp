// SPDX-License-Identifier: MIT
#include "lib/qat/history.h"

#include <fmt/format.h>

namespace qopt::qat {

std::string text_of(const Visit& visit) {
  const std::string judged =
      fmt::format("selection {:.2f}{}", visit.score, visit.best ? " (best)" : "");
  if (visit.step == 0) return fmt::format("before training: {}", judged);
  return fmt::format(
      "epoch {:.2f}: loss {:.4f}, training {:.2f} %, {}, {:.3f} % of codes flip a step",
      visit.epoch, visit.loss, visit.accuracy, judged, 100 * visit.flips);
}

void write_history(nlohmann::json& header, const QatResult& result,
                   const Stretch& stretch, double best_score) {
  header["best_score"] = best_score, header["best_step"] = result.best_step;
  header["start_score"] = result.start_score;
  header["stretch"] = {{"loss", stretch.loss},
                       {"steps", stretch.steps},
                       {"correct", stretch.correct},
                       {"count", stretch.count},
                       {"flips", stretch.flips}};
  header["visits"] = nlohmann::json::array();
  for (const Visit& v : result.visits) {
    header["visits"].push_back({v.step, v.epoch, v.learning_rate, v.loss, v.accuracy,
                                v.score, v.hash, v.flips, v.best});
  }
  header["flips"] = nlohmann::json::array();
  for (const LayerFlips& f : result.flips) header["flips"].push_back(f.share);
}

std::optional<std::string> read_history(const nlohmann::json& header, QatResult& result,
                                        Stretch& stretch, double& best_score) {
  try {
    best_score = header.at("best_score"), result.best_step = header.at("best_step");
    result.start_score = header.at("start_score");
    const nlohmann::json& s = header.at("stretch");
    stretch = {s.at("loss"), s.at("steps"), s.at("correct"), s.at("count"),
               s.at("flips").get<std::vector<std::int64_t>>()};
    if (stretch.flips.size() != result.flips.size()) return "it has other layers";
    for (const auto& v : header.at("visits")) {
      result.visits.push_back({v.at(0), v.at(1), v.at(2), v.at(3), v.at(4), v.at(5),
                               v.at(6), v.at(7), v.at(8)});
    }
    for (std::size_t l = 0; l < result.flips.size(); ++l) {
      result.flips[l].share = header.at("flips").at(l).get<std::vector<double>>();
    }
    return std::nullopt;
  } catch (const nlohmann::json::exception& e) {
    return e.what();
  }
}

}  // namespace qopt::qat
