// SPDX-License-Identifier: MIT
// The cost model against every counted figure of docs/performance.md, and the choices
// that follow from it.
#include "lib/export/cost_model.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <sstream>

#include "lib/core/error.h"
#include "lib/core/files.h"
#include "lib/exec/interval.h"
#include "lib/export/export.h"
#include "lib/export/kernel_choice.h"
#include "tests/support/catch.h"

using namespace qopt;
using namespace qopt::emit;

namespace {

/// Estimates lie this close to counted figures (docs/performance.md says the same).
constexpr double kBand = 0.09;
/// Kernels counted this close to each other are as good as each other.
constexpr double kTie = 0.03;

struct LayerForm {
  std::int64_t height = 1, width = 1, inputs = 1, outputs = 1, kernel = 1, stride = 1;
  bool is_depthwise = false;
  int weight_bits = 8, x_bits = 8;
  auto operator<=>(const LayerForm&) const = default;
};

/// One convolution whose weights use all codes of their bits.
Graph one_layer(const LayerForm& form) {
  Graph graph(Level::Integer);
  const ValueId x =
      graph.add_input("x", DType::I8, {1, form.height, form.width, form.inputs});
  const Affine codes{LevelSet::U, form.x_bits, {0.1F}, {0}, std::nullopt};
  graph.value(x).encoding = codes;
  const Shape shape{form.outputs, form.kernel, form.kernel,
                    form.is_depthwise ? 1 : form.inputs};
  std::vector<std::int8_t> weights(static_cast<std::size_t>(num_elements(shape)));
  const int low = -(1 << (form.weight_bits - 1));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const int code = low + static_cast<int>(i % (std::size_t{1} << form.weight_bits));
    weights[i] = static_cast<std::int8_t>(form.weight_bits == 1 ? 2 * code + 1 : code);
  }
  const auto channels = static_cast<std::size_t>(form.outputs);
  op::QConv2d o;
  o.stride = {form.stride, form.stride};
  const std::int64_t pad = form.kernel / 2;
  o.pads = {pad, pad, pad, pad};
  o.groups = form.is_depthwise ? form.inputs : 1;
  o.weight_bits = form.weight_bits;
  o.x_zero = o.y_zero = stored_zero_point(codes);
  o.lo = stored_min(codes);
  o.hi = stored_max(codes);
  const ValueId y = graph.add(
      o,
      {x, graph.add_constant("w", Tensor::from(weights, shape)),
       graph.add_constant("b", Tensor::of(std::vector<std::int32_t>(channels, 3))),
       graph.add_constant("m", Tensor::of(std::vector<std::int32_t>(channels, 1 << 30))),
       graph.add_constant("s", Tensor::of(std::vector<std::int8_t>(channels, -9)))},
      "layer");
  graph.value(y).encoding = codes;
  graph.add_output("y", y);
  assign_accumulator_bits(graph);
  return graph;
}

LayerChoice choice_of(const LayerForm& form, const KernelTarget& target) {
  const Graph graph = one_layer(form);
  for (const auto& choice : choose_kernels(graph, target)) {
    if (choice) return *choice;
  }
  FAIL("no convolution");
  return {};
}

Family chosen(const LayerForm& form, std::string_view core) {
  return choice_of(form, {&find_core(core), {}}).chosen.family;
}

double cost_of(const LayerForm& form, std::string_view core, Family family) {
  const LayerChoice choice = choice_of(form, {&find_core(core), {}});
  if (choice.chosen.family == family) return choice.chosen.cycles;
  const auto found = std::ranges::find(choice.others, family, &Candidate::family);
  REQUIRE(found != choice.others.end());
  return found->cycles;
}

/// A counted figure of the page.
struct Figure {
  std::string core;
  Family family = Family::Int8;
  LayerForm form;
  double cycles = 0;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) {
    const std::size_t begin = cell.find_first_not_of(' ');
    const std::size_t end = cell.find_last_not_of(' ');
    cells.push_back(begin == std::string::npos ? ""
                                               : cell.substr(begin, end - begin + 1));
  }
  return cells;
}

/// The core that a heading or a cell names first; empty for none.
std::string core_in(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c == ' ' ? '-'
                    : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  std::string first;
  std::size_t least = std::string::npos;
  for (const Core& core : cores()) {
    const std::size_t at = text.find(core.name);
    if (at < least) first = core.name, least = at;
  }
  return first;
}

std::optional<std::pair<int, int>> bits_in(const std::string& text) {
  std::smatch m;
  if (!std::regex_search(text, m, std::regex("W(\\d)A(\\d)"))) return std::nullopt;
  return std::pair(std::stoi(m[1]), std::stoi(m[2]));
}

std::optional<LayerForm> form_in(const std::string& text) {
  std::smatch m;
  static const std::regex kLayer("(dw)?conv(\\d)x\\d(s2)? (\\d+)x(\\d+)x(\\d+)-(\\d+)");
  if (!std::regex_match(text, m, kLayer)) return std::nullopt;
  return LayerForm{std::stoll(m[4]), std::stoll(m[5]), std::stoll(m[6]),
                   std::stoll(m[7]), std::stoll(m[2]), m[3].matched ? 2 : 1,
                   m[1].matched};
}

/// Tables with a column `Mcycles`, one row a layer, and the tables of the bit-serial
/// section, one column a layer.
std::vector<Figure> figures() {
  std::vector<Figure> found;
  std::istringstream page(read_file(QOPT_SOURCE_DIR "/docs/performance.md"));
  std::string heading;
  std::vector<std::string> head;
  bool is_bits = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) is_bits = line == "## Bit-serial";
    if (line.starts_with("#")) heading = line;
    if (!line.starts_with("|")) {
      head.clear();
      continue;
    }
    const std::vector<std::string> cells = cells_of(line);
    if (head.empty()) {
      head = cells;
      continue;
    }
    const std::string core =
        core_in(cells[0]).empty() ? core_in(heading) : core_in(cells[0]);
    if (core.empty()) continue;
    const auto column = std::ranges::find(head, "Mcycles");
    const auto layer = std::ranges::find(head, "layer");
    if (column != head.end() && layer != head.end()) {
      auto form = form_in(cells[static_cast<std::size_t>(layer - head.begin())]);
      const auto own = bits_in(cells[0]);
      const auto bits = own ? own : bits_in(heading);
      if (!form || !bits) continue;
      std::tie(form->weight_bits, form->x_bits) = *bits;
      const Family multiplied = heading.starts_with("### Short sums")  ? Family::ShortSums
                                : heading.starts_with("### Byte sums") ? Family::ByteSums
                                                                       : Family::Int8;
      found.push_back(
          {core, form->is_depthwise ? Family::Depthwise : multiplied, *form,
           1e6 * std::stod(cells[static_cast<std::size_t>(column - head.begin())])});
    } else if (is_bits && cells[0].size() == 4 && bits_in(cells[0])) {
      for (std::size_t i = 1; i < cells.size(); ++i) {
        std::string shape = head[i];
        const std::size_t arrow = shape.find("->");
        if (arrow == std::string::npos) continue;
        auto form = form_in("conv3x3 " + shape.replace(arrow, 2, "-"));
        REQUIRE(form);
        std::tie(form->weight_bits, form->x_bits) = *bits_in(cells[0]);
        found.push_back({core, Family::BitSerial, *form, 1e6 * std::stod(cells[i])});
      }
    }
  }
  return found;
}

std::string text_of(const Figure& f) {
  return fmt::format("{} {} {}x{}x{}-{} kernel {} stride {} w{}a{}", f.core,
                     family_name(f.family), f.form.height, f.form.width, f.form.inputs,
                     f.form.outputs, f.form.kernel, f.form.stride, f.form.weight_bits,
                     f.form.x_bits);
}

constexpr LayerForm kMiddle{28, 28, 128, 128, 3, 1, false, 2, 2};

LayerForm with_bits(LayerForm form, int weight_bits, int x_bits) {
  form.weight_bits = weight_bits;
  form.x_bits = x_bits;
  return form;
}

}  // namespace

TEST_CASE("estimates lie within the band around every counted figure", "[export]") {
  std::map<std::pair<std::string, Family>, int> rows;
  for (const Figure& figure : figures()) {
    const double estimate = cost_of(figure.form, figure.core, figure.family);
    INFO(text_of(figure) << ": counted " << figure.cycles << ", estimated " << estimate);
    CHECK(std::abs(estimate / figure.cycles - 1) <= kBand);
    ++rows[{figure.core, figure.family}];
  }
  // The page was read: no table may vanish unseen.
  for (const char* core : {"cortex-a53", "cortex-a72", "neoverse-n1"}) {
    INFO(core);
    CHECK(rows[{core, Family::BitSerial}] >= 8);
    CHECK(rows[{core, Family::Int8}] >= 4);
  }
  CHECK(rows[{"cortex-a53", Family::ShortSums}] >= 8);
  CHECK(rows[{"cortex-a72", Family::ShortSums}] >= 4);
  CHECK(rows[{"cortex-a53", Family::ByteSums}] >= 8);
  CHECK(rows[{"cortex-a72", Family::ByteSums}] >= 4);
  CHECK(rows[{"cortex-a53", Family::Depthwise}] >= 2);
}

TEST_CASE("estimates agree with the counted order on every layer", "[export]") {
  const std::vector<Figure> all = figures();
  int compared = 0;
  for (const Figure& bits : all) {
    if (bits.family != Family::BitSerial) continue;
    // Weights of few bits are multiplied as those of 4 are, where that was counted.
    const LayerForm narrow = with_bits(bits.form, 4, 8);
    const bool has_narrow = std::ranges::any_of(all, [&](const Figure& f) {
      return f.core == bits.core && f.family == Family::Int8 && f.form == narrow;
    });
    const LayerForm plain = has_narrow ? narrow : with_bits(bits.form, 8, 8);
    for (const Figure& codes : all) {
      if (codes.core != bits.core || codes.family != Family::Int8 ||
          codes.form != plain) {
        continue;
      }
      ++compared;
      INFO(text_of(bits) << ": " << bits.cycles << " against " << codes.cycles);
      CHECK((cost_of(bits.form, bits.core, Family::BitSerial) <
             cost_of(bits.form, bits.core, Family::Int8)) ==
            (bits.cycles < codes.cycles));
    }
  }
  CHECK(compared >= 20);
}

TEST_CASE("short sums are estimated cheapest where they were counted so", "[export]") {
  const std::vector<Figure> all = figures();
  int compared = 0;
  for (const Figure& sums : all) {
    if (sums.family != Family::ShortSums) continue;
    for (const Figure& other : all) {
      LayerForm form = other.form;
      if (other.core != sums.core || other.family == Family::ShortSums ||
          other.family == Family::Depthwise) {
        continue;
      }
      // int8 takes weights of any bits for as much, and short sums inputs of any bits.
      if (other.family == Family::Int8) form = with_bits(form, sums.form.weight_bits, 8);
      if (with_bits(form, form.weight_bits, 8) != sums.form) continue;
      if (std::abs(sums.cycles / other.cycles - 1) < kTie) continue;
      ++compared;
      INFO(text_of(sums) << ": " << sums.cycles << " against " << text_of(other) << ": "
                         << other.cycles);
      CHECK((cost_of(form, sums.core, Family::ShortSums) <
             cost_of(form, sums.core, other.family)) == (sums.cycles < other.cycles));
    }
  }
  CHECK(compared >= 16);
}

TEST_CASE("byte sums are chosen where they were counted cheapest", "[export]") {
  const std::vector<Figure> all = figures();
  int compared = 0;
  for (const Figure& sums : all) {
    if (sums.family != Family::ByteSums) continue;
    for (const Figure& other : all) {
      LayerForm form = other.form;
      if (other.core != sums.core || other.family == Family::ByteSums ||
          other.family == Family::Depthwise) {
        continue;
      }
      // int8 takes any bits for as much, and short sums inputs of any.
      if (other.family == Family::Int8) form.weight_bits = sums.form.weight_bits;
      if (other.family != Family::BitSerial) form.x_bits = sums.form.x_bits;
      if (form != sums.form) continue;
      ++compared;
      INFO(text_of(sums) << ": " << sums.cycles << " against " << text_of(other) << ": "
                         << other.cycles);
      CHECK((chosen(form, sums.core) == Family::ByteSums) ==
            (sums.cycles < other.cycles));
    }
  }
  CHECK(compared >= 16);
}

TEST_CASE("the core decides what counts bits", "[export]") {
  CHECK(chosen(kMiddle, "cortex-a53") == Family::ByteSums);
  CHECK(chosen(with_bits(kMiddle, 1, 2), "cortex-a53") == Family::BitSerial);
  CHECK(chosen(kMiddle, "cortex-a72") == Family::BitSerial);
  CHECK(chosen(kMiddle, "cortex-a76") == Family::Int8);
  CHECK(chosen(kMiddle, "neoverse-n1") == Family::Int8);
  CHECK(chosen(with_bits(kMiddle, 1, 1), "neoverse-n1") == Family::BitSerial);
  CHECK(chosen(with_bits(kMiddle, 3, 3), "cortex-a72") == Family::BitSerial);
  CHECK(chosen(with_bits(kMiddle, 4, 4), "cortex-a72") == Family::Int8);
  CHECK(chosen(with_bits(kMiddle, 1, 2), "cortex-a55") == Family::BitSerial);
  CHECK(chosen(kMiddle, "cortex-a55") == Family::Int8);
  // One export for many cores: two planes by two still pay, four by two do not. Byte
  // sums would cost less on average, but Cortex-A72 more than twice the bit-serial
  // cycles.
  CHECK(chosen(kMiddle, "generic") == Family::BitSerial);
  const LayerChoice two = choice_of(kMiddle, {&find_core("generic"), {}});
  CHECK(two.others.front().family == Family::ByteSums);
  CHECK(two.others.front().cycles < two.chosen.cycles);
  CHECK(two.reason == "on one of its cores more than twice another's");
  CHECK(chosen(with_bits(kMiddle, 4, 2), "generic") == Family::ByteSums);
  CHECK(chosen(with_bits(kMiddle, 4, 8), "generic") == Family::ShortSums);
  CHECK(chosen(with_bits(kMiddle, 5, 8), "generic") == Family::Int8);
  // Weights of at most 4 bits, codes of any.
  CHECK(chosen(with_bits(kMiddle, 4, 8), "cortex-a53") == Family::ShortSums);
  CHECK(chosen(with_bits(kMiddle, 3, 3), "cortex-a53") == Family::ByteSums);
  CHECK(chosen(with_bits(kMiddle, 3, 4), "cortex-a53") == Family::ByteSums);
  CHECK(chosen(with_bits(kMiddle, 4, 4), "cortex-a53") == Family::ShortSums);
  CHECK(chosen(with_bits(kMiddle, 1, 8), "cortex-a53") == Family::ShortSums);
  CHECK(chosen(with_bits(kMiddle, 5, 8), "cortex-a53") == Family::Int8);
  CHECK(chosen(with_bits(kMiddle, 4, 8), "cortex-a72") == Family::Int8);
  CHECK(chosen(with_bits(kMiddle, 4, 8), "cortex-a55") == Family::Int8);
}

TEST_CASE("blocks grow where weights are unpacked often, as far as the cache",
          "[export]") {
  const auto block = [](const LayerForm& form, std::string_view core) {
    return choice_of(form, {&find_core(core), {}}).chosen.block;
  };
  constexpr LayerForm shallow{56, 56, 32, 192, 1, 1, false, 4, 8};
  constexpr LayerForm deep{56, 56, 512, 64, 1, 1, false, 4, 8};
  CHECK(block(shallow, "cortex-a53") == 1024);
  // 256 positions of 512 codes do not fit the first cache, 64 do.
  CHECK(block(with_bits(deep, 8, 8), "neoverse-n1") == 64);
  // Plain rows are multiplied as they lie; one export for many cores keeps its blocks,
  // and copied codes are not to take more memory.
  CHECK(block(with_bits(shallow, 8, 8), "cortex-a72") == 0);
  CHECK(block(shallow, "generic") == 0);
  CHECK(block(with_bits(kMiddle, 4, 8), "cortex-a53") == 0);

  const Graph graph = one_layer(shallow);
  const KernelTarget target{&find_core("cortex-a53"), {}};
  const std::string source =
      emit_c(graph, write_blob(graph, target), {"toy", target}).files.at("src/model.c");
  CHECK_THAT(source, has_text("kernel: short-sums in blocks of 1024 "));
  CHECK_THAT(source, has_text(".block = 1024"));
}

TEST_CASE("an unknown core is refused with the nearest name", "[export]") {
  CHECK(find_core("generic").name == cores().front().name);
  CHECK_THROWS_WITH(find_core("cortex-a27"), has_text("did you mean 'cortex-a72'?"));
  CHECK_THROWS_WITH(find_core("z80"), has_text("known cores: generic, "));
  try {
    find_core("x");
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::Usage);
  }
}

TEST_CASE("the export says what was chosen and why", "[export]") {
  const auto source = [&](std::string_view core, const LayerForm& form = kMiddle) {
    const Graph graph = one_layer(form);
    const KernelTarget target{&find_core(core), {}};
    return emit_c(graph, write_blob(graph, target), {"toy", target})
        .files.at("src/model.c");
  };
  const std::string counts = source("cortex-a72");
  CHECK_THAT(counts, has_text("kernel: bit-serial "));
  CHECK_THAT(counts, has_text(" Mcycles estimated for cortex-a72 (int8 "));
  CHECK_THAT(counts, has_text("qrt.bitserial_s8"));
  const std::string sums = source("cortex-a53", with_bits(kMiddle, 4, 4));
  CHECK_THAT(sums, has_text("kernel: short-sums "));
  CHECK_THAT(sums, has_text("qrt.conv2d_w4, "));
  const std::string bytes = source("cortex-a53", with_bits(kMiddle, 4, 2));
  CHECK_THAT(bytes, has_text("kernel: byte-sums "));
  CHECK_THAT(bytes, has_text("qrt.conv2d_w4a4, "));
  CHECK_THAT(bytes, has_text(".x_most = 3"));
  const std::string multiplies = source("neoverse-n1");
  CHECK_THAT(multiplies, has_text("kernel: int8 "));
  CHECK_THAT(multiplies, has_text("qrt.conv2d_s8"));
}

TEST_CASE("weights that are also read as rows stay rows", "[export]") {
  Graph graph = one_layer(kMiddle);
  graph.add_output("weights", *graph.find("w"));
  const KernelTarget target{&find_core("cortex-a72"), {}};
  const auto choices = choose_kernels(graph, target);
  const LayerChoice& choice = *choices.back();
  CHECK(choice.chosen.family == Family::Int8);
  CHECK(choice.others.front().family == Family::BitSerial);
  CHECK(choice.others.front().cycles < choice.chosen.cycles);
  CHECK(choice.reason == "its weights are also read as rows");
  CHECK_THAT(choice_text(choice, "cortex-a72"), has_text("but its weights are also"));
  CHECK_FALSE(write_blob(graph, target).sections[0].panels);
}

TEST_CASE("short and byte sums never take weights stored wider", "[export]") {
  for (const int x_bits : {8, 2}) {
    // A second reader wants all eight bits of the same rows.
    Graph graph = one_layer(with_bits(kMiddle, 4, x_bits));
    graph.add_output("weights", *graph.find("w"));
    const KernelTarget target{&find_core("cortex-a53"), {}};
    CHECK(choose_kernels(graph, target).back()->chosen.family == Family::Int8);
    const Artifact artifact = emit_c(graph, write_blob(graph, target), {"toy", target});
    CHECK_THAT(artifact.files.at("src/model.c"), has_text("qrt.conv2d_s8"));
  }
}

TEST_CASE("byte sums take only codes that two steps of products hold", "[export]") {
  const auto takes = [](const Graph& graph) {
    for (const auto& choice : choose_kernels(graph, {&find_core("cortex-a53"), {}})) {
      if (choice) return choice->chosen.family == Family::ByteSums;
    }
    return false;
  };
  Graph graph = one_layer(with_bits(kMiddle, 3, 3));
  CHECK(takes(graph));
  // Weights of 3 bits reach -4: codes to 15 fit twice, to 16 they do not.
  const ValueId x = graph.nodes().back().inputs[0];
  Affine codes{LevelSet::S, 5, {0.1F}, {0}, std::nullopt};
  graph.value(x).encoding = codes;  // -16 to 15
  CHECK_FALSE(takes(graph));
  codes = {LevelSet::U, 4, {0.1F}, {0}, std::nullopt};
  graph.value(x).encoding = codes;
  CHECK(takes(graph));
  // Zero counts too: borders of x are filled with it.
  auto& conv = std::get<op::QConv2d>(graph.mutable_nodes().back().op);
  conv.x_zero = 16;
  CHECK_FALSE(takes(graph));
  conv.x_zero = 0;
  CHECK(takes(graph));
  // Odd weights of 3 bits reach 7: 15 does not fit twice, 7 does.
  Value& w = graph.value(*graph.find("w"));
  for (std::int8_t& code : w.constant->mutable_values<std::int8_t>()) {
    code = static_cast<std::int8_t>(2 * code + 1);
  }
  w.encoding = Affine{LevelSet::O, 3, {0.1F}, {0}, std::nullopt};
  CHECK_FALSE(takes(graph));
  codes = {LevelSet::U, 3, {0.1F}, {0}, std::nullopt};
  graph.value(x).encoding = codes;
  CHECK(takes(graph));
  // Nothing is known of codes without an encoding.
  graph.value(x).encoding.reset();
  CHECK_FALSE(takes(graph));
}

TEST_CASE("measurements take the place of estimates", "[export]") {
  const auto measured = [](const std::string& unit, const std::string& rows) {
    return parse_measurement(
        R"({"version": 1, "unit": ")" + unit + R"(", "layers": [)" + rows + "]}", "m");
  };
  const auto row = [](const char* family, double value) {
    return fmt::format(R"({{"name": "layer", "family": "{}", "median": {}}})", family,
                       value);
  };
  KernelTarget target{&find_core("cortex-a72"), {}};
  target.measured = {measured("cycles", row("bit-serial", 2e7))};
  const LayerChoice slow = choice_of(kMiddle, target);
  CHECK(slow.chosen.family == Family::Int8);
  CHECK_FALSE(slow.chosen.is_measured);
  const auto counts =
      std::ranges::find(slow.others, Family::BitSerial, &Candidate::family);
  REQUIRE(counts != slow.others.end());
  CHECK(counts->is_measured);
  CHECK(counts->cycles == 2e7);
  // Both families in nanoseconds: their order decides, whatever a cycle takes.
  target.measured = {measured("ns", row("bit-serial", 300) + "," + row("int8", 200))};
  CHECK(choice_of(kMiddle, target).chosen.family == Family::Int8);
  target.measured = {measured("ns", row("bit-serial", 200) + "," + row("int8", 300))};
  CHECK(choice_of(kMiddle, target).chosen.family == Family::BitSerial);
  // One family in nanoseconds: alone it says nothing of a cycle.
  const double estimate = cost_of(kMiddle, "cortex-a72", Family::BitSerial);
  target.measured = {measured("ns", row("bit-serial", 5))};
  CHECK(std::abs(choice_of(kMiddle, target).chosen.cycles / estimate - 1) < 1e-9);
  // What was measured is not held against a family on average cheapest.
  KernelTarget average{&find_core("generic"), {}};
  CHECK(choice_of(kMiddle, average).chosen.family == Family::BitSerial);
  average.measured = {measured("cycles", row("byte-sums", 9e6))};
  CHECK(choice_of(kMiddle, average).chosen.family == Family::ByteSums);
  // Other layers and layers without a family are ignored.
  target.measured = {measured("cycles",
                              R"({"name": "other", "family": "int8", "median": 1},)"
                              R"({"name": "layer", "family": null, "median": 1})")};
  CHECK_FALSE(choice_of(kMiddle, target).chosen.is_measured);

  for (const std::string& bad :
       {std::string("x"), std::string("{}"), std::string(R"({"version": 2})"),
        std::string(R"({"version": 1, "unit": "s", "layers": []})"),
        R"({"version": 1, "unit": "ns", "layers": [)" + row("float", 1) + "]}",
        R"({"version": 1, "unit": "ns", "layers": [)" + row("int8", 0) + "]}",
        R"({"version": 1, "unit": "ns", "layers": [)" + row("int8", -1) + "]}",
        R"({"version": 1, "unit": "ns", "layers": [)" + row("int8", 1e300) + "]}"}) {
    INFO(bad);
    try {
      parse_measurement(bad, "bench.json");
      FAIL("accepted");
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::Data);
      CHECK(e.where() == "bench.json");
    }
  }
}
