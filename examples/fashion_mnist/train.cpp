// SPDX-License-Identifier: MIT
// Trains the demo's small convolutional network on Fashion-MNIST with LibTorch and saves
// it as TorchScript: the float model that `scripts/demo` then compresses. A user of qopt
// would bring a model trained elsewhere; this is only so that the demo needs no download.
//
//   train_fashion_mnist DATA_FOLDER OUTPUT.pt [EPOCHS] [SEED]
#include <torch/script.h>
#include <torch/torch.h>

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lib/core/rng.h"
#include "lib/data/dataset.h"

namespace {

namespace nn = torch::nn;

constexpr int kClasses = 10;
constexpr int kBatch = 128;

// Stem, a depthwise-separable downsampling, a residual block, a widening convolution,
// global average pooling and a classifier: small, but with the layer kinds that
// compression must handle.
struct FashionCnnImpl : nn::Module {
  FashionCnnImpl() {
    stem = add("stem", nn::Conv2dOptions(1, 16, 3).padding(1).bias(false));
    stem_norm = add_norm("stem_norm", 16);
    depthwise =
        add("depthwise",
            nn::Conv2dOptions(16, 16, 3).stride(2).padding(1).groups(16).bias(false));
    depthwise_norm = add_norm("depthwise_norm", 16);
    pointwise = add("pointwise", nn::Conv2dOptions(16, 32, 1).bias(false));
    pointwise_norm = add_norm("pointwise_norm", 32);
    residual = add("residual", nn::Conv2dOptions(32, 32, 3).padding(1).bias(false));
    residual_norm = add_norm("residual_norm", 32);
    widen = add("widen", nn::Conv2dOptions(32, 64, 3).padding(1).bias(false));
    widen_norm = add_norm("widen_norm", 64);
    classifier = register_module("classifier", nn::Linear(64, kClasses));
  }

  torch::Tensor forward(torch::Tensor x) {
    x = torch::relu(stem_norm(stem(x)));
    x = torch::relu(depthwise_norm(depthwise(x)));
    x = torch::relu(pointwise_norm(pointwise(x)));
    x = torch::relu(residual_norm(residual(x)) + x);
    x = torch::max_pool2d(x, 2);
    x = torch::relu(widen_norm(widen(x)));
    return classifier(torch::adaptive_avg_pool2d(x, {1, 1}).flatten(1));
  }

  nn::Conv2d add(const std::string& name, const nn::Conv2dOptions& options) {
    return register_module(name, nn::Conv2d(options));
  }
  nn::BatchNorm2d add_norm(const std::string& name, std::int64_t channels) {
    return register_module(name, nn::BatchNorm2d(channels));
  }

  nn::Conv2d stem{nullptr}, depthwise{nullptr}, pointwise{nullptr}, residual{nullptr},
      widen{nullptr};
  nn::BatchNorm2d stem_norm{nullptr}, depthwise_norm{nullptr}, pointwise_norm{nullptr},
      residual_norm{nullptr}, widen_norm{nullptr};
  nn::Linear classifier{nullptr};
};
TORCH_MODULE(FashionCnn);

struct LabelledImages {
  torch::Tensor images, labels;  // f32[N,1,28,28], i64[N]
};

LabelledImages load(const std::filesystem::path& folder, const std::string& prefix) {
  qopt::data::DatasetSpec spec;
  spec.format = "idx";
  spec.files = {folder / (prefix + "-images-idx3-ubyte.gz")};
  spec.labels = {folder / (prefix + "-labels-idx1-ubyte.gz")};
  spec.preprocess.scale = 1.0 / 255;
  spec.preprocess.mean = {0.2860};
  spec.preprocess.stddev = {0.3530};
  const auto dataset = qopt::data::open_dataset(spec);
  LabelledImages set{torch::empty({dataset->size(), 1, 28, 28}),
                     torch::empty({dataset->size()}, torch::kInt64)};
  for (std::int64_t i = 0; i < dataset->size(); ++i) {
    const qopt::data::Sample sample = dataset->sample(i);
    const auto pixels = sample.inputs.at(0).values<float>();
    std::copy(pixels.begin(), pixels.end(), set.images[i].data_ptr<float>());
    set.labels[i] = sample.label.value();
  }
  return set;
}

// Random horizontal flip and a shift of up to two pixels, one choice for each image.
torch::Tensor augment(const torch::Tensor& batch, qopt::Rng& rng) {
  const torch::Tensor padded =
      torch::constant_pad_nd(batch, {2, 2, 2, 2}, -0.2860 / 0.3530);
  std::vector<torch::Tensor> images;
  for (std::int64_t i = 0; i < batch.size(0); ++i) {
    const auto dy = static_cast<std::int64_t>(rng.below(5));
    const auto dx = static_cast<std::int64_t>(rng.below(5));
    torch::Tensor image = padded[i].slice(1, dy, dy + 28).slice(2, dx, dx + 28);
    images.push_back(rng.below(2) == 0 ? image : image.flip({2}));
  }
  return torch::stack(images);
}

double accuracy(FashionCnn& net, const LabelledImages& set) {
  const torch::NoGradGuard guard;
  net->eval();
  std::int64_t right = 0;
  for (std::int64_t at = 0; at < set.images.size(0); at += 500) {
    const torch::Tensor best = net(set.images.slice(0, at, at + 500)).argmax(1);
    right += best.eq(set.labels.slice(0, at, at + 500)).sum().item<std::int64_t>();
  }
  net->train();
  return 100.0 * static_cast<double>(right) / static_cast<double>(set.images.size(0));
}

void train(FashionCnn& net, const LabelledImages& training, int epochs,
           std::uint64_t seed) {
  qopt::Rng rng(seed);
  torch::optim::SGD optimiser(
      net->parameters(),
      torch::optim::SGDOptions(0.1).momentum(0.9).nesterov(true).weight_decay(5e-4));
  std::vector<std::int64_t> order(static_cast<std::size_t>(training.images.size(0)));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  const auto steps_per_epoch = static_cast<std::int64_t>(order.size()) / kBatch;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    rng.shuffle(std::span(order));
    double total = 0;
    for (std::int64_t step = 0; step < steps_per_epoch; ++step) {
      const double done =
          (epoch + static_cast<double>(step) / static_cast<double>(steps_per_epoch)) /
          epochs;
      const double rate = 0.05 * (1 + std::cos(3.141592653589793 * done));
      for (auto& group : optimiser.param_groups()) {
        static_cast<torch::optim::SGDOptions&>(group.options()).lr(rate);
      }
      const torch::Tensor index =
          torch::from_blob(order.data() + step * kBatch, {kBatch}, torch::kInt64);
      const torch::Tensor images = augment(training.images.index_select(0, index), rng);
      optimiser.zero_grad();
      const torch::Tensor loss = nn::functional::cross_entropy(
          net(images), training.labels.index_select(0, index));
      loss.backward();
      optimiser.step();
      total += loss.item<double>();
    }
    fmt::print(stderr, "epoch {}/{}: loss {:.4f}\n", epoch + 1, epochs,
               total / static_cast<double>(steps_per_epoch));
  }
}

// One TorchScript submodule holding the tensors of a trained layer, with `source` as its
// forward.
torch::jit::Module layer(const std::string& type, const nn::Module& trained,
                         const std::string& source) {
  torch::jit::Module module("__torch__.fashion_mnist." + type);
  for (const auto& item : trained.named_parameters(false)) {
    module.register_parameter(item.key(), item.value().detach().clone(), false);
  }
  for (const auto& item : trained.named_buffers(false)) {
    if (item.key() != "num_batches_tracked")
      module.register_buffer(item.key(), item.value().detach().clone());
  }
  module.define(source);
  return module;
}

void save(FashionCnn& net, const std::filesystem::path& path) {
  net->eval();
  const std::string norm =
      "def forward(self, x):\n"
      "    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, "
      "self.running_var,"
      " False, 0.1, 1e-05, False)\n";
  const auto conv = [](int stride, int padding, int groups) {
    return fmt::format(
        "def forward(self, x):\n"
        "    return torch.conv2d(x, self.weight, None, [{0}, {0}], [{1}, {1}], [1, 1], "
        "{2})\n",
        stride, padding, groups);
  };
  torch::jit::Module script("__torch__.fashion_mnist.FashionCnn");
  const auto put = [&](const std::string& name, const nn::Module& trained,
                       const std::string& source) {
    script.register_module(name, layer(name, trained, source));
  };
  put("stem", *net->stem, conv(1, 1, 1));
  put("stem_norm", *net->stem_norm, norm);
  put("depthwise", *net->depthwise, conv(2, 1, 16));
  put("depthwise_norm", *net->depthwise_norm, norm);
  put("pointwise", *net->pointwise, conv(1, 0, 1));
  put("pointwise_norm", *net->pointwise_norm, norm);
  put("residual", *net->residual, conv(1, 1, 1));
  put("residual_norm", *net->residual_norm, norm);
  put("widen", *net->widen, conv(1, 1, 1));
  put("widen_norm", *net->widen_norm, norm);
  put("classifier", *net->classifier,
      "def forward(self, x):\n    return torch.linear(x, self.weight, self.bias)\n");
  script.define(
      "def forward(self, image):\n"
      "    x = torch.relu(self.stem_norm.forward(self.stem.forward(image)))\n"
      "    x = torch.relu(self.depthwise_norm.forward(self.depthwise.forward(x)))\n"
      "    x = torch.relu(self.pointwise_norm.forward(self.pointwise.forward(x)))\n"
      "    x = torch.relu(self.residual_norm.forward(self.residual.forward(x)) + x)\n"
      "    x = torch.max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], False)\n"
      "    x = torch.relu(self.widen_norm.forward(self.widen.forward(x)))\n"
      "    return self.classifier.forward(torch.flatten(torch.adaptive_avg_pool2d(x, [1, "
      "1]), "
      "1))\n");
  script.eval();
  script.save(path.string());
}

int run(int argc, char** argv) {
  if (argc < 3 || argc > 5) {
    fmt::print(stderr, "usage: {} DATA_FOLDER OUTPUT.pt [EPOCHS] [SEED]\n", argv[0]);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const int epochs = argc > 3 ? std::stoi(argv[3]) : 8;
  const std::uint64_t seed = argc > 4 ? std::stoull(argv[4]) : 1;
  torch::manual_seed(seed);
  FashionCnn net;
  save(net, argv[2]);  // an unwritable path should fail before the training, not after
  net->train();
  train(net, load(folder, "train"), epochs, seed);
  // The test set is looked at once, after training: nothing was chosen on it.
  const double top1 = accuracy(net, load(folder, "t10k"));
  save(net, argv[2]);
  const LabelledImages probe{torch::randn({2, 1, 28, 28}), {}};
  torch::jit::Module again = torch::jit::load(argv[2]);
  const torch::NoGradGuard guard;
  const double gap = (again.forward({probe.images}).toTensor() - net(probe.images))
                         .abs()
                         .max()
                         .item<double>();
  if (gap > 1e-4) {
    fmt::print(stderr, "the saved file computes something else (difference {})\n", gap);
    return 1;
  }
  fmt::print("{}: top-1 {:.2f} % on 10,000 test images, {} bytes\n", argv[2], top1,
             std::filesystem::file_size(argv[2]));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 1;
  }
}
