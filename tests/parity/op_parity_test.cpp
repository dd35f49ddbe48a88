// SPDX-License-Identifier: MIT
// Every operator with an integer form: the exact integers agree with the fake-quantised
// float model within the bounds of cases.h, for every level set, width, symmetry and
// granularity.
#include <iostream>
#include <set>
#include <utility>

#include "tests/parity/parity_support.h"
#include "tests/support/catch.h"

namespace qopt::parity {
namespace {

constexpr UnaryKind kUnaryKinds[] = {UnaryKind::LeakyRelu,
                                     UnaryKind::HardSwish,
                                     UnaryKind::HardSigmoid,
                                     UnaryKind::Sigmoid,
                                     UnaryKind::Tanh,
                                     UnaryKind::Silu,
                                     UnaryKind::Gelu,
                                     UnaryKind::GeluTanh,
                                     UnaryKind::Elu,
                                     UnaryKind::Softplus,
                                     UnaryKind::Mish,
                                     UnaryKind::Exp,
                                     UnaryKind::Log,
                                     UnaryKind::Sqrt,
                                     UnaryKind::Rsqrt,
                                     UnaryKind::Abs,
                                     UnaryKind::Neg,
                                     UnaryKind::Reciprocal,
                                     UnaryKind::Square,
                                     UnaryKind::InterpolatedGelu,
                                     UnaryKind::InterpolatedSilu};

/// Operators of Encoded graphs that take no part: inputs, what canonicalisation removes.
const std::set<std::string_view> kNotEncoded{"input", "batch_norm", "attention",
                                             "pixel_shuffle"};

template <class F, std::size_t... I>
void for_each_op(F f, std::index_sequence<I...>) {
  (f(Op(std::variant_alternative_t<I, Op>{})), ...);
}
template <class F>
void for_each_op(F f) {
  for_each_op(f, std::make_index_sequence<std::variant_size_v<Op>>{});
}

/// One case under one setting; adds the integer operators it used to `used`.
Difference run_case(const Case& c, const Setting& s, std::uint64_t seed,
                    std::set<std::string>& used, Allowance& allowance) {
  Rng rng(seed);
  const Graph canonical = canonical_of(c, rng);
  const std::vector<Tensor> inputs = make_inputs(canonical, c, rng);
  const Graph encoded = encode_graph(canonical, inputs, s, rng);
  const Graph integer = lower_to_integer(encoded);
  for (const Node& node : integer.nodes()) used.insert(std::string(op_name(node.op)));
  allowance = allowance_of(integer);
  return compare(encoded, integer, inputs);
}

bool has_no_form(const Case& c, const Setting& s) {
  return c.op == "softmax" && s.bits == 16;
}

/// The allowance is a mean over accumulators that take any value. One setting at 2 bits
/// sees few different ones, so it may see twice the mean; all settings together half as
/// much again.
double least_equal(double unequal, std::int64_t count, double slack) {
  const double p = std::min(1.0, unequal * slack);
  return 1.0 - p - 3.0 * std::sqrt(p * (1.0 - p) / static_cast<double>(count));
}

struct Figures {
  Difference found;
  double expected_unequal = 0.0;  // sum over results
  double allowed() const {
    return expected_unequal / static_cast<double>(std::max<std::int64_t>(1, found.count));
  }
};

struct CaseFigures {
  Figures narrow, wide;  // up to 8 bits, 16 bits
};

CaseFigures check_case(const Case& c, std::set<std::string>& used) {
  CaseFigures figures;
  std::uint64_t seed = 100;
  for (const Setting& s : all_settings()) {
    if (has_no_form(c, s)) continue;
    INFO(c.name << ", " << s.text());
    // Accumulators of one and two bits take few values, and one that lies near a tie tips
    // many results at once: several draws make up for that.
    const int draws = s.bits <= 2 ? 8 : 1;
    Figures own;
    for (int draw = 0; draw < draws; ++draw) {
      Allowance allowance;
      const Difference d = run_case(c, s, ++seed, used, allowance);
      own.found.add(d);
      own.expected_unequal += allowance.unequal * static_cast<double>(d.count);
      CHECK(static_cast<double>(d.most) <= std::ceil(allowance.deviation));
    }
    CHECK(own.found.equal_fraction() >= least_equal(own.allowed(), own.found.count, 2.0));
    Figures& sum = s.bits == 16 ? figures.wide : figures.narrow;
    sum.found.add(own.found);
    sum.expected_unequal += own.expected_unequal;
  }
  for (const Figures& f : {figures.narrow, figures.wide}) {
    if (f.found.count == 0) continue;
    INFO(c.name);
    CHECK(f.found.equal_fraction() >= least_equal(f.allowed(), f.found.count, 1.5));
  }
  return figures;
}

std::string figure_text(const Figures& f) {
  return fmt::format("{:8.4f} % equal (expected {:8.4f}), most {}",
                     100.0 * f.found.equal_fraction(),
                     100.0 * std::max(0.0, 1.0 - f.allowed()), f.found.most);
}

void print_figures(std::string_view name, const CaseFigures& f) {
  std::cout << fmt::format("{:45} 1-8 bits {}   16 bits {}\n", name,
                           figure_text(f.narrow), figure_text(f.wide));
}

double first_attribute(UnaryKind kind) {
  const bool is_mean =
      kind == UnaryKind::InterpolatedGelu || kind == UnaryKind::InterpolatedSilu;
  return kind == UnaryKind::LeakyRelu ? 0.1 : is_mean ? 0.5 : 1.0;
}
double second_attribute(UnaryKind kind) {
  if (kind == UnaryKind::InterpolatedGelu) return 2.0;
  return kind == UnaryKind::Softplus ? 20.0 : 1.0;
}

Case unary_case(UnaryKind kind, std::string& name, std::string& text) {
  const bool positive = kind == UnaryKind::Log || kind == UnaryKind::Sqrt ||
                        kind == UnaryKind::Rsqrt || kind == UnaryKind::Reciprocal;
  name = fmt::format("unary {}", unary_name(kind));
  text = fmt::format(R"(graph canonical
  x : f32[2,6,5,7] = input()
  y : f32[2,6,5,7] = unary(x; kind={}, a={}, b={}, c={})
  -> y = y
)",
                     unary_name(kind), first_attribute(kind), second_attribute(kind),
                     kind == UnaryKind::Elu ? 1.0 : 0.125);
  return {name, "unary", text, positive ? Data::Positive : Data::Signed,
          positive ? 1.0 : 4.0};
}

TEST_CASE("every operator agrees with the fake-quantised model") {
  std::set<std::string> used, covered;
  for (const Case& c : kCases) {
    covered.insert(std::string(c.op));
    print_figures(c.name, check_case(c, used));
  }
  for (UnaryKind kind : kUnaryKinds) {
    std::string name, text;
    const Case c = unary_case(kind, name, text);
    covered.insert(std::string(c.op));
    print_figures(c.name, check_case(c, used));
  }
  // A new operator must come with a case, on either side.
  for_each_op([&](const Op& op) {
    INFO(op_name(op));
    if (is_integer_op(op)) {
      CHECK(used.contains(std::string(op_name(op))));
    } else if (!kNotEncoded.contains(op_name(op))) {
      CHECK(covered.contains(std::string(op_name(op))));
    }
  });
}

TEST_CASE("kUnaryKinds lists every kind") {
  std::set<std::string_view> names;
  for (UnaryKind kind : kUnaryKinds) names.insert(unary_name(kind));
  CHECK(names.size() == std::size(kUnaryKinds));
  // Kinds are numbered from zero without gaps: the next number has no name.
  CHECK_THROWS_AS(unary_name(static_cast<UnaryKind>(std::size(kUnaryKinds))),
                  InternalError);
}

TEST_CASE("what has no integer form is refused, all of it at once") {
  const Case c{"", "", R"(graph canonical
  x : f32[4,6] = input()
  n : f32[4] = reduce(x; kind=l2_norm, axes=[1])
  m : f32[4] = unary(n; kind=sqrt)
  k : f32[4,6] = softmax(x; axis=1)
  -> n = m
  -> k = k
)"};
  Rng rng(1);
  const Graph canonical = canonical_of(c, rng);
  const std::vector<Tensor> inputs = make_inputs(canonical, c, rng);
  const Graph encoded =
      encode_graph(canonical, inputs, {LevelSet::S, 16, true, false}, rng);
  try {
    lower_to_integer(encoded);
    FAIL("lowered");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    const std::string text = e.what();
    CHECK(text.find("'n'") != std::string::npos);
    CHECK(text.find("'k'") != std::string::npos);
    CHECK(text.find("layers: [{match: {name: 'x'}, activations: {bits: 8}}]") !=
          std::string::npos);
    CHECK(text.find("'m'") == std::string::npos);  // only a victim of 'n'
  }
}

}  // namespace
}  // namespace qopt::parity
