#!/usr/bin/env python3
"""Compares gpunn's convolutions, pools and batch norms, with their gradients, with PyTorch's on random configurations.

Usage: PYTHON scripts/compare_pytorch_ops.py [--cases N] [--seed S] [--devices cpu,gpu] [--worst N]

PYTHON needs torch, numpy and safetensors. Builds and runs kernels-tests' program `evaluate_ops` with cargo. Prints a line an
op and device with the largest error relative to the largest number of the same tensor; exit code 1 where one is above
LIMIT. The reference is computed by PyTorch in double precision from the same single-precision numbers.
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


KINDS = [(conv2d, 1)]


def make(count, seed):
    """The cases, the tensors that go to gpunn, and PyTorch's results."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    cases, given, wanted = [], {}, {}
    kinds = [kind for kind, weight in KINDS for _ in range(weight)]
    for number in range(count):
        case, shapes, run = kinds[number % len(kinds)](rng)
        inputs = {name: torch.rand(shape) * 2 - 1 for name, shape in shapes.items()}
        exact = {name: value.double().requires_grad_() for name, value in inputs.items()}
        y = run(**exact)
        dy = torch.rand(y.shape) * 2 - 1
        y.backward(dy.double())
        given |= {f"{number}.{name}": value for name, value in inputs.items()} | {f"{number}.dy": dy}
        wanted |= {f"{number}.y": y.detach()} | {f"{number}.d{name}": value.grad for name, value in exact.items()}
        cases.append(case)
    return cases, given, wanted


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cases", type=int, default=300)
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
