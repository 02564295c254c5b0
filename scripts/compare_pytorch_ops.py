#!/usr/bin/env python3
"""Compares gpunn's convolutions, pools, batch norms, functions and the like, with their gradients, with PyTorch's on random configurations.

Usage: PYTHON scripts/compare_pytorch_ops.py [--cases N] [--seed S] [--devices cpu,gpu]

PYTHON needs torch, torchvision, numpy and safetensors. Builds and runs kernels-tests' program `evaluate_ops` with cargo. Prints
a line an op and device with the largest error relative to the largest number of the same tensor; exit code 1 where one is above
LIMIT and also above 8 times that of PyTorch in single precision: a sum whose terms cancel has few correct digits. The reference is computed by PyTorch in double precision from the same single-precision numbers.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from pytorch_ops import evaluate  # first: it says how torch is loaded

import torch
from safetensors.torch import load_file, save_file

LIMIT = 1e-5  # of the largest number of the tensor
AS_PYTORCH = 8  # times PyTorch's own error in single precision


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
    return case, shapes


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
    return case, shapes


def window(rng):
    kernel, stride = pair(rng, 1, 4), pair(rng, 1, 3)
    padding = [rng.randint(0, k // 2) for k in kernel]
    size = [k + rng.randint(0, 12) for k in kernel]
    return kernel, stride, padding, rng.random() < 0.5, [rng.randint(1, 4), rng.randint(1, 9), *size]


def max_pool2d(rng):
    kernel, stride, padding, ceil, shape = window(rng)
    case = dict(op="max_pool2d", kernel=kernel, stride=stride, padding=padding, ceil=ceil)
    return case, dict(x=shape)


def average_pool2d(rng):
    kernel, stride, padding, ceil, shape = window(rng)
    include = rng.random() < 0.5
    case = dict(op="average_pool2d", kernel=kernel, stride=stride, padding=padding, ceil=ceil, include_padding=include)
    return case, dict(x=shape)


def global_average_pool(rng):
    shape = [rng.randint(1, 5), rng.randint(1, 20), rng.randint(1, 12), rng.randint(1, 12)]
    return dict(op="global_average_pool"), dict(x=shape)


def channels_last(rng):
    """A batch of images or of features."""
    shape = [rng.randint(2, 40), rng.randint(1, 24)]
    return shape + ([rng.randint(1, 12), rng.randint(1, 12)] if rng.random() < 0.8 else [])


def batch_norm(rng):
    shape, epsilon = channels_last(rng), rng.choice([1e-5, 1e-3])
    shapes = dict(x=shape, gamma=[shape[1]], beta=[shape[1]])
    return dict(op="batch_norm", epsilon=epsilon), shapes


def batch_norm_inference(rng):
    shape, epsilon = channels_last(rng), rng.choice([1e-5, 1e-3])
    shapes = dict(x=shape) | {name: [shape[1]] for name in ("mean", "variance", "gamma", "beta")}
    return dict(op="batch_norm_inference", epsilon=epsilon), shapes


def layer_norm2d(rng):
    shape, epsilon = [rng.randint(1, 4), rng.randint(2, 70), *pair(rng, 1, 9)], rng.choice([1e-6, 1e-5, 1e-3])
    return dict(op="layer_norm2d", epsilon=epsilon), dict(x=shape) | {name: [shape[1]] for name in ("gamma", "beta")}


def resize2d(rng):
    shape, size, bilinear = [rng.randint(1, 3), rng.randint(1, 6), *pair(rng, 1, 12)], pair(rng, 1, 20), rng.random() < 0.5
    return dict(op="resize2d", size=size, bilinear=bilinear), dict(x=shape)


def concat(rng):
    axis, shape = rng.randint(0, 3), [rng.randint(1, 6) for _ in range(4)]
    shapes = {name: [rng.randint(1, 6) if i == axis else n for i, n in enumerate(shape)] for name in ("x", "other", "third")}
    return dict(op="concat", axis=axis), shapes


def resized_crop(rng):
    """The largest part of a proportion that the image has not."""
    height, width = pair(rng, 6, 60)
    # Of images that become one pixel wide, PyTorch 2.15 makes all rows the same.
    size = [rng.randint(1, height), rng.randint(2, width)]
    ratio = width / height * rng.choice([0.4, 0.6] if width > height else [1.5, 2.5])
    shape = [rng.randint(1, 3), rng.randint(1, 3), height, width]
    return dict(op="resized_crop", size=size, ratio=ratio), dict(x=shape)


def broadcast(rng):
    """A shape, and one that is broadcast to it."""
    shape = [rng.randint(1, 6) for _ in range(rng.randint(1, 4))]
    kept = rng.randint(0, len(shape))  # the axes from this one on are whole
    return shape, [n if axis >= kept else 1 for axis, n in enumerate(shape)]


def function(rng):
    names = ["abs", "sign", "floor", "ceil", "round", "sin", "cos", "erf", "gelu_erf", "hard_sigmoid", "hard_swish", "exp", "sigmoid", "tanh", "softplus", "silu", "gelu"]
    return dict(op="function", name=rng.choice(names)), dict(x=broadcast(rng)[0])


def pair_of_tensors(rng):
    shape, other = broadcast(rng)
    name = rng.choice(["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
    return dict(op="pair", name=name), dict(x=shape, other=other)


def elu(rng):
    return dict(op="elu", alpha=rng.choice([0.5, 1.0, -1.5])), dict(x=broadcast(rng)[0])


def clip(rng):
    least, most = rng.choice([(-1.0, 2.0), (0.0, 0.5), (1.0, -1.0)])
    return dict(op="clip", least=least, most=most), dict(x=broadcast(rng)[0])


# Of as many cases in turn as these add up to, so many of each kind.
KINDS = [
    (conv2d, 6),
    (conv_transpose2d, 2),
    (max_pool2d, 3),
    (average_pool2d, 3),
    (global_average_pool, 1),
    (batch_norm, 3),
    (batch_norm_inference, 1),
    (layer_norm2d, 1),
    (resize2d, 2),
    (concat, 1),
    (resized_crop, 2),
    (function, 8),
    (pair_of_tensors, 6),
    (elu, 1),
    (clip, 1),
]


def make(count, seed):
    """The cases, the tensors that go to gpunn, and PyTorch's results."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    cases, given, wanted = [], {}, {}
    kinds = [kind for kind, weight in KINDS for _ in range(weight)]
    for number in range(count):
        case, shapes = kinds[number % len(kinds)](rng)
        inputs = {name: torch.rand(shape) * 2 - 1 for name, shape in shapes.items()}
        if "variance" in inputs:
            inputs["variance"] = inputs["variance"].abs() + 0.1
        if case["op"] in ("function", "elu", "clip"):
            inputs["x"] *= 4
        if case.get("name") in ("divide", "power"):
            inputs = {name: value.abs() * 2 + 0.5 for name, value in inputs.items()}
        results = evaluate(case, inputs)
        if "dy" in results:
            inputs["dy"] = results.pop("dy")
        given |= {f"{number}.{name}": value for name, value in inputs.items()}
        wanted |= {f"{number}.{name}": value for name, value in results.items()}
        cases.append(case)
    return cases, given, wanted


def relative_error(value, reference):
    return ((value.double().reshape(reference.shape) - reference).abs().max() / reference.abs().max().clamp(min=1e-3)).item()


def is_wrong(error, case, tensor, given, wanted, number):
    """Whether an error is above LIMIT, and PyTorch computes the tensor better in single precision."""
    if error <= LIMIT:
        return False
    inputs = {name.split(".")[1]: value for name, value in given.items() if name.split(".")[0] == number}
    dy = inputs.pop("dy", None)
    own = evaluate(case, inputs, dy, torch.float32)[tensor]
    return not error <= AS_PYTORCH * relative_error(own, wanted[f"{number}.{tensor}"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cases", type=int, default=800)
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
                error = relative_error(found[name], reference)
                failed |= is_wrong(error, cases[int(number)], tensor, given, wanted, number)
                op = cases[int(number)]["op"]
                entry = worst.setdefault(op, [set(), 0, -1.0, ""])
                entry[0].add(number)
                entry[1] += 1
                if not error <= entry[2]:
                    entry[2:] = [error, f"{tensor} of {json.dumps(cases[int(number)])}"]
            for op, (numbers, tensors, error, where) in worst.items():
                print(f"| {op} | {len(numbers)} | {device} | {tensors} | {error:.1e} | {where} |")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
