// SPDX-License-Identifier: MIT
// The importer's promises beside single operators: names, nested arguments and results,
// control flow, state, complete lists of what is unsupported, and hostile files.
#include <atomic>
#include <fstream>
#include <string>
#include <vector>

#include "lib/core/files.h"
#include "lib/core/parallel.h"
#include "lib/frontend/import.h"
#include "lib/graph/text.h"
#include "tests/frontend/agreement.h"
#include "tests/frontend/script_model.h"
#include "tests/support/catch.h"

namespace {

using namespace qopt;
using frontend::InputSpec;
using frontend::Model;

const std::vector<InputSpec> kRow = {{"", {2, 6}, DType::F32}};

std::string refusal(const Model& model, const std::vector<InputSpec>& inputs) {
  try {
    model.import(inputs);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    return e.what();
  }
  FAIL("the import went through");
  return {};
}

std::string load_refusal(const std::filesystem::path& path) {
  try {
    Model::load(path);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::ModelUnsupported);
    CHECK(std::string(e.what()).find(path.string()) != std::string::npos);
    const std::string text = e.what();
    CHECK(text.find("frame #") == std::string::npos);  // no LibTorch stack
    CHECK(text.size() < 700);
    return text;
  }
  FAIL("loaded " << path.string());
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("values are named by module and operator") {
  const ScratchFolder folder;
  torch::jit::Module inner = make_module(
      "def forward(self, x):\n    return torch.linear(x, self.weight, self.bias)\n",
      {{"weight", {6, 6}}, {"bias", {6}}});
  torch::jit::Module activation("A");
  activation.define("def forward(self, x):\n    return torch.relu(x)\n");
  torch::jit::Module block("B");
  block.register_module("fc1", inner);
  block.register_module("act", activation);
  block.register_module("fc2", inner.clone());
  block.define(
      "def forward(self, x):\n"
      "    y = self.act.forward(self.fc1.forward(x))\n"
      "    return self.act.forward(self.fc2.forward(y) + x)\n");
  torch::jit::Module root("R");
  root.register_module("layer1", block);
  root.define(
      "def forward(self, image):\n    return "
      "torch.flatten(self.layer1.forward(image))\n");
  const Graph graph = reload(root, folder).import(kRow);
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(graph.value(node.output).name);
  CHECK(names == std::vector<std::string>{"image", "layer1.fc1", "layer1.act",
                                          "layer1.fc2", "layer1.add", "layer1.act_1",
                                          "flatten"});
  CHECK(graph.find("layer1.fc2.weight").has_value());
  CHECK(graph.outputs()[0].name == "out0");
  for (const Node& node : graph.nodes()) {
    if (!std::holds_alternative<op::Input>(node.op)) CHECK(contains(node.source, ":"));
  }
}

TEST_CASE("two imports give the same text") {
  const ScratchFolder folder;
  const Model model =
      reload(make_module("def forward(self, x):\n"
                         "    a, b = torch.chunk(torch.linear(x, self.w), 2, 1)\n"
                         "    return {'b': torch.sigmoid(b), 'a': a * b}\n",
                         {{"w", {8, 6}}}),
             folder);
  const Graph first = model.import(kRow), second = model.import(kRow);
  CHECK(print(first) == print(second));
  const bool same_constants = constants_of(first) == constants_of(second);
  CHECK(same_constants);
}

TEST_CASE("arguments and results may be nested") {
  const ScratchFolder folder;
  const Model model = reload(
      make_module(
          "def forward(self, x, state: Tuple[Tensor, Tensor], extra: Optional[Tensor] = "
          "None):\n"
          "    h, c = state\n"
          "    y = x + h\n"
          "    if extra is not None:\n"
          "        y = y * extra\n"
          "    return y, (c * 2.0, {'low': [torch.relu(y)], 'high': [h - c, c]})\n"),
      folder);
  CHECK(model.argument_names() == std::vector<std::string>{"x", "state.0", "state.1"});
  std::vector<InputSpec> inputs(3, InputSpec{"", {2, 6}, DType::F32});
  const Graph three = model.import(inputs);
  std::vector<std::string> names;
  for (const Output& output : three.outputs()) names.push_back(output.name);
  CHECK(names == std::vector<std::string>{"out0", "out1.0", "out1.1.low.0",
                                          "out1.1.high.0", "out1.1.high.1"});
  CHECK(compare(model, three, 1).relative_error == 0.0);

  inputs.push_back({"scale", {6}, DType::F32});
  const Graph four = model.import(inputs);
  CHECK(four.value(four.inputs()[3]).name == "scale");
  CHECK(compare(model, four, 1).relative_error == 0.0);

  inputs.resize(2);
  CHECK(
      contains(refusal(model, inputs), "takes 3 tensors (x, state.0, state.1), 2 given"));
  inputs.resize(5, InputSpec{"", {2, 6}, DType::F32});
  CHECK(contains(refusal(model, inputs), "5 given"));
}

TEST_CASE("dicts and lists of tensors are arguments") {
  const ScratchFolder folder;
  const Model dict = reload(make_module("def forward(self, batch: Dict[str, Tensor]):\n"
                                        "    return batch['image'] - batch['mean']\n"),
                            folder);
  CHECK(dict.argument_names() == std::vector<std::string>{"batch.image", "batch.mean"});
  const std::vector<InputSpec> two(2, InputSpec{"", {2, 6}, DType::F32});
  CHECK(compare(dict, dict.import(two), 2).relative_error == 0.0);
  const Model list = reload(make_module("def forward(self, parts: List[Tensor]):\n"
                                        "    return torch.cat(parts, 1)\n"),
                            folder);
  CHECK(compare(list, list.import(two), 2).relative_error == 0.0);
  const Model number = reload(
      make_module("def forward(self, x, n: int):\n    return x * float(n)\n"), folder);
  CHECK(contains(refusal(number, kRow), "'n' of type int"));
}

TEST_CASE("control flow on shapes is followed, on values refused") {
  const ScratchFolder folder;
  const Model loop = reload(make_module("def forward(self, x):\n"
                                        "    parts = []\n"
                                        "    for i in range(x.size(1)):\n"
                                        "        if i % 2 == 0:\n"
                                        "            parts.append(x[:, i] * float(i))\n"
                                        "    k = 0\n"
                                        "    while k < 3:\n"
                                        "        k += 2\n"
                                        "    return torch.stack(parts, 1) + float(k)\n"),
                            folder);
  CHECK(compare(loop, loop.import(kRow), 3).relative_error == 0.0);
  const Model branch = reload(make_module("def forward(self, x):\n"
                                          "    if bool(x.sum() > 0.0):\n"
                                          "        return x\n"
                                          "    return -x\n"),
                              folder);
  const std::string reason = refusal(branch, kRow);
  CHECK(contains(reason, "aten::Bool"));
  CHECK(contains(reason, "depends on the values of the inputs"));
  const Model endless = reload(make_module("def forward(self, x):\n"
                                           "    n = 1\n"
                                           "    while n > 0:\n"
                                           "        n = 1\n"
                                           "    return x\n"),
                               folder);
  CHECK(contains(refusal(endless, kRow), "without end"));
}

TEST_CASE("all unsupported operators are listed at once") {
  const ScratchFolder folder;
  const Model model = reload(make_module("def forward(self, x):\n"
                                         "    y = torch.cumsum(x, 1)\n"
                                         "    for i in range(3):\n"
                                         "        y = torch.erfinv(torch.relu(y))\n"
                                         "    z = torch.sort(y, 1)[0]\n"
                                         "    z = torch.pad(z, [1, 1], 'reflect')\n"
                                         "    return z + torch.rand_like(z)\n"),
                             folder);
  const std::string reason = refusal(model, kRow);
  CHECK(contains(reason, "5 unsupported operators"));
  CHECK(contains(reason, "aten::cumsum at "));
  CHECK(contains(reason, "(3 times)"));
  CHECK(contains(reason, "aten::sort"));
  CHECK(contains(reason, "aten::rand_like"));
  CHECK(contains(reason, "draws random numbers"));
  CHECK(contains(reason, "aten::pad"));
}

TEST_CASE("converters say which form they lack") {
  const ScratchFolder folder;
  const std::vector<InputSpec> image = {{"", {1, 4, 6, 6}, DType::F32}};
  const auto reason = [&](const std::string& expression, const Weights& weights = {}) {
    return refusal(
        reload(make_module("def forward(self, x):\n    return " + expression + "\n",
                           weights),
               folder),
        image);
  };
  CHECK(contains(reason("torch.pad(x, [1, 1, 1, 1], 'reflect')"), "mode 'reflect'"));
  CHECK(contains(reason("torch.norm(x, 1)"), "2-norm"));
  CHECK(contains(reason("torch.pow(x, 2.5)"), "exponent 2.5"));
  CHECK(contains(reason("torch.dropout(x, 0.5, True)"), "training mode"));
  CHECK(contains(reason("torch.conv2d(x, x)"), "weights computed from the inputs"));
  CHECK(contains(reason("torch.to(x, 7)"), "from Float to Double"));
  CHECK(contains(reason("torch.div(x, 2.0, rounding_mode='floor')"), "rounding mode"));
  CHECK(contains(
      reason("torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, True)"),
      "statistics of the batch"));
}

TEST_CASE("state that outlives a call is refused") {
  const ScratchFolder folder;
  torch::jit::Module module("S");
  module.register_attribute("steps", c10::IntType::get(), 0);
  module.register_buffer("hidden", at::zeros({6}));
  module.register_buffer("scale", at::ones({6}));
  module.define(
      "def forward(self, x):\n"
      "    self.steps = self.steps + 1\n"
      "    self.hidden.copy_(x[0])\n"
      "    self.scale.mul_(0.5)\n"
      "    return x + self.hidden\n");
  const Model model = reload(module, folder);
  for (int i = 0; i < 2; ++i) {  // the first import must not have changed the model
    const std::string reason = refusal(model, kRow);
    CHECK(contains(reason, "prim::SetAttr"));
    CHECK(contains(reason, "the model keeps state in 'steps'"));
    CHECK(contains(reason, "aten::copy_"));
    CHECK(contains(reason, "aten::mul_"));
    CHECK(contains(reason, "changes the model's own state"));
  }
}

TEST_CASE("writes through views are noticed") {
  const ScratchFolder folder;
  const Model read_later = reload(make_module("def forward(self, x):\n"
                                              "    y = x * 2.0\n"
                                              "    v = y[:, 0:1]\n"
                                              "    v.add_(1.0)\n"
                                              "    return y\n"),
                                  folder);
  CHECK(contains(refusal(read_later, kRow), "changed in place through a view"));
  const Model never_read = reload(make_module("def forward(self, x):\n"
                                              "    y = x * 2.0\n"
                                              "    v = y[:, 0:2]\n"
                                              "    v.add_(1.0)\n"
                                              "    return v * 3.0\n"),
                                  folder);
  CHECK(compare(never_read, never_read.import(kRow), 4).relative_error == 0.0);
  const Model constant_target = reload(make_module("def forward(self, x):\n"
                                                   "    y = torch.ones([2, 6])\n"
                                                   "    y.add_(x)\n"
                                                   "    return y * 3.0\n"),
                                       folder);
  CHECK(compare(constant_target, constant_target.import(kRow), 4).relative_error == 0.0);
}

TEST_CASE("a model may change its inputs, the caller's stay") {
  const ScratchFolder folder;
  const Model model = reload(make_module("def forward(self, x):\n"
                                         "    y = x * 2.0\n"
                                         "    x.mul_(3.0)\n"
                                         "    return x + y\n"),
                             folder);
  const Graph graph = model.import(kRow);
  const std::vector<Tensor> inputs = random_inputs(graph, 6);
  const Tensor before = Tensor::from(inputs[0].values<float>(), inputs[0].shape());
  CHECK(compare(model, graph, inputs).relative_error == 0.0);
  const bool same = inputs[0] == before;
  CHECK(same);
}

TEST_CASE("weights computed from weights alone become constants") {
  const ScratchFolder folder;
  const Model model =
      reload(make_module("def forward(self, x):\n"
                         "    w = self.v * (self.g / torch.norm(self.v, 2, [1], True))\n"
                         "    return torch.linear(x, w)\n",
                         {{"v", {4, 6}}, {"g", {4, 1}}}),
             folder);
  const Graph graph = model.import(kRow);
  CHECK(graph.nodes().size() == 2);
  CHECK(compare(model, graph, 5).relative_error == 0.0);
}

TEST_CASE("NaN and infinite weights are refused by name") {
  const ScratchFolder folder;
  for (float poison : {NAN, INFINITY}) {
    torch::jit::Module module =
        make_module("def forward(self, x):\n    return torch.linear(x, self.weight)\n",
                    {{"weight", {4, 6}}});
    module.attr("weight").toTensor().detach()[2][3].fill_(poison);
    const std::string reason = refusal(reload(module, folder), kRow);
    CHECK(contains(reason, "weight: the weights hold "));
    CHECK(contains(reason, std::isnan(poison) ? "NaN" : "infinity"));
  }
}

TEST_CASE("inputs that do not fit are refused with the operator and its line") {
  const ScratchFolder folder;
  const Model model = reload(
      make_module("def forward(self, x):\n    return torch.linear(x, self.weight)\n",
                  {{"weight", {4, 7}}}),
      folder);
  const std::string reason = refusal(model, kRow);
  CHECK(contains(reason, "aten::linear cannot be computed"));
  CHECK(contains(reason, "2x6 and 7x4"));
  CHECK(contains(reason, ":2"));
  const Model raises =
      reload(make_module("def forward(self, x):\n"
                         "    assert x.size(1) == 5, 'five columns please'\n"
                         "    return x\n"),
             folder);
  CHECK(contains(refusal(raises, kRow), "five columns please"));
  CHECK(contains(refusal(raises, {{"", {1 << 20, 1 << 20}, DType::F32}}), "too large"));
}

TEST_CASE("hostile names pass through unharmed") {
  const ScratchFolder folder;
  // No double quote: LibTorch writes names unescaped and cannot read such a file back.
  const std::vector<std::string> names = {"*/ system(x); /*", "<script>alert(1)</script>",
                                          "../../etc", "a'b"};
  torch::jit::Module root("R");
  for (const std::string& name : names) {
    torch::jit::Module leaf =
        make_module("def forward(self, x):\n    return torch.linear(x, self.weight)\n",
                    {{"weight", {6, 6}}});
    root.register_module(name, leaf);
  }
  // Such names cannot be written in source: call the modules one by one.
  auto graph = std::make_shared<torch::jit::Graph>();
  torch::jit::Value* self = graph->addInput("self")->setType(root._ivalue()->type());
  torch::jit::Value* x = graph->addInput("x");
  for (const std::string& name : names) {
    torch::jit::Value* leaf = graph->insertGetAttr(self, name);
    torch::jit::Value* weight = graph->insertGetAttr(leaf, "weight");
    x = graph->insert(c10::Symbol::fromQualString("aten::linear"), {x, weight});
  }
  graph->registerOutput(x);
  const auto qualified = c10::QualifiedName(*root.type()->name(), "forward");
  torch::jit::Function* forward =
      root._ivalue()->compilation_unit()->create_function(qualified, graph);
  root.type()->addMethod(forward);
  const std::filesystem::path path = folder / "hostile.pt";
  bool saved = true;
  try {
    root.save(path.string());
  } catch (const std::exception& e) {
    saved = false;
    WARN("skipped: this LibTorch does not save such names: " << e.what());
  }
  if (!saved) return;
  const Model model = Model::load(path);
  const Graph imported = model.import(kRow);
  for (const std::string& name : names) {
    INFO(name);
    CHECK(imported.find(name + ".weight").has_value());
  }
  CHECK(print(parse(print(imported), constants_of(imported))) == print(imported));
}

TEST_CASE("files that are no TorchScript are refused in one line") {
  const ScratchFolder folder;
  const std::filesystem::path good = folder / "good.pt";
  make_module("def forward(self, x):\n    return torch.linear(x, self.w)\n",
              {{"w", {64, 64}}})
      .save(good.string());
  const std::string bytes = read_file(good);
  const auto write = [&](const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  };
  CHECK(contains(load_refusal(folder / "missing.pt"), "no such file"));
  CHECK(contains(load_refusal(write("empty.pt", "")), "is empty"));
  std::filesystem::create_directory(folder / "folder.pt");
  CHECK(contains(load_refusal(folder / "folder.pt"), "is a folder"));
  // An empty zip archive is a zip, but no TorchScript.
  load_refusal(write("zip.pt", std::string("PK\5\6", 4) + std::string(18, '\0')));
  Rng rng(3);
  std::string noise(4096, '\0');
  for (char& c : noise) c = static_cast<char>(rng.below(256));
  load_refusal(write("noise.pt", noise));
  for (std::size_t length = 1; length < bytes.size(); length += bytes.size() / 23) {
    load_refusal(write("truncated.pt", bytes.substr(0, length)));
  }
  torch::jit::Module no_forward("N");
  no_forward.define("def run(self, x):\n    return x\n");
  no_forward.save((folder / "no_forward.pt").string());
  CHECK(contains(load_refusal(folder / "no_forward.pt"), "no method 'forward'"));
}

TEST_CASE("damaged bytes never crash the loader") {
  const ScratchFolder folder;
  const std::filesystem::path good = folder / "good.pt";
  make_module("def forward(self, x):\n    return torch.relu(torch.linear(x, self.w))\n",
              {{"w", {4, 6}}})
      .save(good.string());
  const std::string bytes = read_file(good);
  Rng rng(17);
  int loaded = 0;
  for (int round = 0; round < 150; ++round) {
    std::string damaged = bytes;
    for (int k = 0; k < 3; ++k) {
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    }
    const std::filesystem::path path = folder / "damaged.pt";
    std::ofstream(path, std::ios::binary) << damaged;
    try {
      Model::load(path).import(kRow);
      ++loaded;
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::ModelUnsupported);
    }
  }
  CHECK(loaded < 150);
}

TEST_CASE("forward may be called from several threads") {
  const ScratchFolder folder;
  const Model model =
      reload(make_module("def forward(self, x):\n"
                         "    return torch.softmax(torch.linear(x, self.w), -1)\n",
                         {{"w", {16, 6}}}),
             folder);
  const Graph graph = model.import(kRow);
  const aten::FloatExecutor executor(graph);
  std::vector<std::vector<Tensor>> inputs;
  std::vector<Tensor> wanted;
  for (std::uint64_t i = 0; i < 64; ++i) {
    inputs.push_back(random_inputs(graph, i));
    wanted.push_back(model.forward(inputs.back())[0]);
  }
  std::atomic<int> wrong = 0;
  parallel_for(64, 4, [&](std::int64_t i, int) {
    const auto k = static_cast<std::size_t>(i);
    if (model.forward(inputs[k])[0] != wanted[k]) ++wrong;
    if (executor.run(inputs[k])[0] != wanted[k]) ++wrong;
  });
  CHECK(wrong == 0);
}
