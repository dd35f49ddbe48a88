#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes torchvision models as TorchScript, for tests: make_torchvision.py FOLDER NAME...

For each NAME two files, FOLDER/NAME.scripted.pt and FOLDER/NAME.traced.pt, with seeded random
weights and batch-norm statistics (so that folding them is really tested). Files that exist are
kept. Needs Debian's python3-torchvision. `--list` prints the known names with their input
shapes.
"""

import os
import sys
import warnings

MODELS = {
    "resnet18": "1x3x224x224",
    "mobilenet_v2": "1x3x224x224",
    "mobilenet_v3_small": "1x3x224x224",
    "squeezenet1_1": "1x3x224x224",
    "efficientnet_b0": "1x3x224x224",
    "googlenet": "1x3x224x224",
    "shufflenet_v2_x1_0": "1x3x224x224",
    "regnet_y_400mf": "1x3x224x224",
    "densenet121": "1x3x224x224",
    "convnext_tiny": "1x3x224x224",
    "vit_b_32": "1x3x224x224",
    "lraspp_mobilenet_v3_large": "1x3x128x128",
    "deeplabv3_mobilenet_v3_large": "1x3x128x128",
}


def build(name):
    import torchvision

    if name in ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"):
        make = getattr(torchvision.models.segmentation, name)
        return make(weights=None, weights_backbone=None)
    make = getattr(torchvision.models, name)
    if name == "googlenet":
        # Its own initialisation draws from scipy for a minute; ours follows anyway.
        return make(weights=None, aux_logits=False, init_weights=False)
    return make(weights=None)


def randomise(model, seed):
    import torch

    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, mean, deviation):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * deviation + mean)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                normal(parameter, 0.0, (2.0 / fan_in) ** 0.5)
            else:
                normal(parameter, 0.0, 0.1)
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                uniform(module.weight, 0.5, 1.5)
                normal(module.bias, 0.0, 0.2)
                normal(module.running_mean, 0.0, 0.2)
                uniform(module.running_var, 0.5, 2.0)
            elif isinstance(module, torch.nn.LayerNorm):
                uniform(module.weight, 0.5, 1.5)
            elif hasattr(module, "layer_scale"):
                uniform(module.layer_scale, 0.2, 0.8)


def traceable(model, example):
    """The model, or a wrapper that makes tuples of dicts, which tracing cannot return."""
    import torch

    class Flat(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            y = self.inner(x)
            return tuple(y.values()) if isinstance(y, dict) else y

    with torch.no_grad():
        result = model(example)
    return Flat(model).eval() if isinstance(result, dict) else model


def write(folder, name, seed):
    import torch

    paths = {kind: os.path.join(folder, f"{name}.{kind}.pt") for kind in ("scripted", "traced")}
    if all(os.path.exists(path) for path in paths.values()):
        return
    model = build(name)
    randomise(model, seed)
    model.eval()
    shape = [int(extent) for extent in MODELS[name].split("x")]
    save(torch.jit.script(model), paths["scripted"])
    with torch.no_grad():
        example = torch.zeros(shape)
        traced = torch.jit.trace(traceable(model, example), example, check_trace=False)
    save(traced, paths["traced"])


def save(module, path):
    module.save(path + ".part")
    os.replace(path + ".part", path)


def main(arguments):
    if arguments == ["--list"]:
        for name, shape in MODELS.items():
            print(name, shape)
        return 0
    if len(arguments) < 2 or any(name not in MODELS for name in arguments[1:]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        print(error, file=sys.stderr)
        return 77  # what a skipped test returns by convention
    warnings.simplefilter("ignore")
    os.makedirs(arguments[0], exist_ok=True)
    for seed, name in enumerate(MODELS):
        if name in arguments[1:]:
            write(arguments[0], name, seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
