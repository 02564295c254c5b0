#!/usr/bin/env python3
"""Compares gpunn's convolutions, pools, batch norms and others, and their gradients, with PyTorch's on random configurations.

Usage: PYTHON scripts/compare_pytorch_ops.py [--cases N] [--seed S] [--devices cpu,gpu]

PYTHON needs torch, torchvision, numpy and safetensors. Builds and runs the program `evaluate_ops` of kernels-tests. Prints
one line per op and device, with the largest error relative to the largest number of the same tensor. Exits with 1 if an error is above
LIMIT. PyTorch computes the reference in double precision from the same single-precision numbers.
"""

import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import argparse
import json
import random
import subprocess
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as TF

LIMIT = 1e-5  # of the largest number of the tensor


def pair(rng, low, high):
    return [rng.randint(low, high), rng.randint(low, high)]


def conv2d(rng):
    kernel, stride, padding, dilation = pair(rng, 1, 5), pair(rng, 1, 3), pair(rng, 0, 3), pair(rng, 1, 3)
    groups = rng.choice([1, 1, 1, 2, 3])
    inputs, outputs = groups * rng.randint(1, 12), groups * rng.randint(1, 12)
    if rng.random() < 0.15:  # depthwise
        groups, outputs = inputs, inputs * rng.randint(1, 2)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    size = [max(r - 2 * p, 1) + rng.randint(0, 14) for r, p in zip(reach, padding)]
    case = dict(op="conv2d", stride=stride, padding=padding, dilation=dilation, groups=groups)
    shapes = dict(x=[rng.randint(1, 5), inputs, *size], w=[outputs, inputs // groups, *kernel], b=[outputs, 1, 1])

    def run(x, w, b):
        return F.conv2d(x, w, b.flatten(), stride, padding, dilation, groups)

    return case, shapes, run


def conv_transpose2d(rng):
    kernel, stride, padding, dilation = pair(rng, 1, 4), pair(rng, 1, 3), pair(rng, 0, 2), pair(rng, 1, 2)
    groups = rng.choice([1, 1, 2])
    inputs, outputs = groups * rng.randint(1, 8), groups * rng.randint(1, 8)
    rows = pair(rng, 2, 9)
    extra = [rng.randint(0, s - 1) for s in stride]  # PyTorch's output_padding
    size = [(r - 1) * s - 2 * p + d * (k - 1) + 1 for r, s, p, d, k in zip(rows, stride, padding, dilation, kernel)]
    if min(size) < 1:
        return conv_transpose2d(rng)
    extra = [min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation)]
    size = [n + e for n, e in zip(size, extra)]
    case = dict(op="conv_transpose2d", stride=stride, padding=padding, dilation=dilation, groups=groups, size=size)
    shapes = dict(x=[rng.randint(1, 4), inputs, *rows], w=[inputs, outputs // groups, *kernel])

    def run(x, w):
        return F.conv_transpose2d(x, w, None, stride, padding, extra, groups, dilation)

    return case, shapes, run


def window(rng):
    kernel, stride = pair(rng, 1, 4), pair(rng, 1, 3)
    padding = [rng.randint(0, k // 2) for k in kernel]
    size = [k + rng.randint(0, 12) for k in kernel]
    return kernel, stride, padding, rng.random() < 0.5, [rng.randint(1, 4), rng.randint(1, 9), *size]


def max_pool2d(rng):
    kernel, stride, padding, ceil, shape = window(rng)
    case = dict(op="max_pool2d", kernel=kernel, stride=stride, padding=padding, ceil=ceil)
    return case, dict(x=shape), lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)


def average_pool2d(rng):
    kernel, stride, padding, ceil, shape = window(rng)
    include = rng.random() < 0.5
    case = dict(op="average_pool2d", kernel=kernel, stride=stride, padding=padding, ceil=ceil, include_padding=include)
    return case, dict(x=shape), lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, include)


def global_average_pool(rng):
    shape = [rng.randint(1, 5), rng.randint(1, 20), rng.randint(1, 12), rng.randint(1, 12)]
    return dict(op="global_average_pool"), dict(x=shape), lambda x: x.mean((2, 3))


def channels_last(rng):
    """A batch of images or of features."""
    shape = [rng.randint(2, 40), rng.randint(1, 24)]
    return shape + ([rng.randint(1, 12), rng.randint(1, 12)] if rng.random() < 0.8 else [])


def batch_norm(rng):
    shape, epsilon = channels_last(rng), rng.choice([1e-5, 1e-3])
    shapes = dict(x=shape, gamma=[shape[1]], beta=[shape[1]])

    def run(x, gamma, beta):
        return F.batch_norm(x, None, None, gamma, beta, training=True, eps=epsilon)

    return dict(op="batch_norm", epsilon=epsilon), shapes, run


def batch_norm_inference(rng):
    shape, epsilon = channels_last(rng), rng.choice([1e-5, 1e-3])
    shapes = dict(x=shape) | {name: [shape[1]] for name in ("mean", "variance", "gamma", "beta")}

    def run(x, mean, variance, gamma, beta):
        return F.batch_norm(x, mean.detach(), variance.detach(), gamma, beta, eps=epsilon)

    return dict(op="batch_norm_inference", epsilon=epsilon), shapes, run


def resize2d(rng):
    shape, size, bilinear = [rng.randint(1, 3), rng.randint(1, 6), *pair(rng, 1, 12)], pair(rng, 1, 20), rng.random() < 0.5
    mode = dict(mode="bilinear", align_corners=False) if bilinear else dict(mode="nearest")
    return dict(op="resize2d", size=size, bilinear=bilinear), dict(x=shape), lambda x: F.interpolate(x, size, **mode)


def concat(rng):
    axis, shape = rng.randint(0, 3), [rng.randint(1, 6) for _ in range(4)]
    shapes = {name: [rng.randint(1, 6) if i == axis else n for i, n in enumerate(shape)] for name in ("x", "other", "third")}
    return dict(op="concat", axis=axis), shapes, lambda x, other, third: torch.cat([x, other, third], axis)


def resized_crop(rng):
    """The centre crop that torchvision uses if no random crop fits. The aspect ratio is chosen so that none fits."""
    height, width = pair(rng, 6, 60)
    size = [rng.randint(1, height), rng.randint(1, width)]
    ratio = width / height * rng.choice([0.4, 0.6] if width > height else [1.5, 2.5])
    shape = [rng.randint(1, 3), rng.randint(1, 3), height, width]

    def run(x):
        part = RandomResizedCrop.get_params(x, [1.0, 1.0], [ratio, ratio])
        return TF.resized_crop(x.detach(), *part, size, antialias=True)

    return dict(op="resized_crop", size=size, ratio=ratio), dict(x=shape), run


# Each op with its share of the cases.
KINDS = [
    (conv2d, 6),
    (conv_transpose2d, 2),
    (max_pool2d, 3),
    (average_pool2d, 3),
    (global_average_pool, 1),
    (batch_norm, 3),
    (batch_norm_inference, 1),
    (resize2d, 2),
    (concat, 1),
    (resized_crop, 2),
]


def make(count, seed):
    """The cases, the tensors that go to gpunn, and PyTorch's results."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    cases, given, wanted = [], {}, {}
    kinds = [kind for kind, weight in KINDS for _ in range(weight)]
    for number in range(count):
        case, shapes, run = kinds[number % len(kinds)](rng)
        inputs = {name: torch.rand(shape) * 2 - 1 for name, shape in shapes.items()}
        if "variance" in inputs:
            inputs["variance"] = inputs["variance"].abs() + 0.1
        exact = {name: value.double().requires_grad_() for name, value in inputs.items()}
        y = run(**exact)
        dy = torch.rand(y.shape) * 2 - 1
        if y.requires_grad:
            y.backward(dy.double())
        given |= {f"{number}.{name}": value for name, value in inputs.items()} | {f"{number}.dy": dy}
        wanted[f"{number}.y"] = y.detach()
        wanted |= {f"{number}.d{name}": value.grad for name, value in exact.items() if value.grad is not None}
        cases.append(case)
    return cases, given, wanted


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cases", type=int, default=480)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--devices", default="cpu,gpu")
    options = arguments.parse_args()
    cases, given, wanted = make(options.cases, options.seed)
    failed = False
    print(f"| op | cases | device | tensors | largest relative error | where |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "cases.safetensors")
        save_file({name: value.contiguous() for name, value in given.items()}, source, {"cases": json.dumps(cases)})
        for device in options.devices.split(","):
            target = os.path.join(folder, f"{device}.safetensors")
            command = ["cargo", "run", "--release", "--quiet", "-p", "kernels-tests", "--bin", "evaluate_ops", "--"]
            subprocess.run([*command, source, target, device], check=True, stdout=sys.stderr)
            found = load_file(target)
            worst = {}
            for name, reference in wanted.items():
                number, tensor = name.split(".")
                if name not in found and tensor in ("dgamma", "dbeta") and cases[int(number)]["op"] == "batch_norm_inference":
                    continue  # gpunn computes no gradient for inputs that are not trained
                value = found[name].double().reshape(reference.shape)
                error = ((value - reference).abs().max() / reference.abs().max().clamp(min=1e-3)).item()
                op = cases[int(number)]["op"]
                entry = worst.setdefault(op, [set(), 0, -1.0, ""])
                entry[0].add(number)
                entry[1] += 1
                if not error <= entry[2]:
                    entry[2:] = [error, f"{tensor} of {json.dumps(cases[int(number)])}"]
            for op, (numbers, tensors, error, where) in worst.items():
                failed |= not error <= LIMIT
                print(f"| {op} | {len(numbers)} | {device} | {tensors} | {error:.1e} | {where} |")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
