#!/usr/bin/env python3
"""Writes the values that kernels-tests/tests/pytorch_values.rs holds gpunn against: PyTorch's, in double precision, of small cases of
every op, optimiser and schedule.

Usage: PYTHON scripts/freeze_pytorch_values.py [FILE]      (FILE: kernels-tests/values/pytorch.safetensors)

PYTHON needs torch, torchvision, numpy and safetensors. Inputs are stored as single-precision numbers, so that every executor gets
them exactly; results in double precision. Numbers of an op that gpunn holds in single precision (an epsilon, a rate) are rounded
to it before PyTorch gets them, and divisors of means are powers of two. The seed is fixed.
"""

import json
import pathlib
import sys

from pytorch_ops import evaluate  # first: it says how torch is loaded
from muon import Muon

import numpy
import torch
import torch.nn.functional as F
import timm.optim
import torchvision
from safetensors.torch import save_file
from torch.optim import lr_scheduler
from torch.optim.swa_utils import get_ema_avg_fn

FILE = pathlib.Path(__file__).parent.parent / "kernels-tests/values/pytorch.safetensors"
cases, tensors = [], {}


def single(value):
    """As near as single precision comes."""
    return float(numpy.float32(value))


def between(shape, low=-1.0, high=1.0):
    return (torch.rand(shape) * (high - low) + low).float()


def labels(count, classes):
    return torch.randint(0, classes, [count]).to(torch.uint32)


def keep(case, values):
    for name, value in values.items():
        tensors[f"{len(cases)}.{name}"] = value.detach().clone().contiguous()
    cases.append(case)


def op(kind, inputs, **numbers):
    """An op of one value: `inputs` by name, or the shape of the only one."""
    inputs = inputs if isinstance(inputs, dict) else dict(x=between(inputs))
    case = dict(op=kind, **numbers)
    keep(case, inputs | evaluate(case, inputs))


def matrices():
    for left in (False, True):
        for right in (False, True):
            a, b = ([7, 4] if left else [4, 7]), ([5, 7] if right else [7, 5])
            op("matmul", dict(a=between(a), b=between(b)), transpose_a=left, transpose_b=right)


def convolutions():
    def conv(x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
        inputs = dict(x=between(x), w=between(w), b=between([w[0], 1, 1]))
        op("conv2d", inputs, stride=stride, padding=padding, dilation=dilation, groups=groups)

    conv([2, 3, 5, 6], [4, 3, 3, 3], padding=(1, 1))
    conv([1, 2, 7, 8], [3, 2, 3, 2], stride=(2, 3), padding=(1, 0))
    conv([1, 2, 8, 9], [2, 2, 3, 3], padding=(2, 1), dilation=(2, 3))
    conv([1, 2, 9, 9], [3, 2, 3, 3], stride=(2, 1), dilation=(2, 2), padding=(0, 2))
    conv([2, 4, 4, 5], [6, 2, 3, 3], padding=(1, 1), groups=2)
    conv([1, 4, 6, 5], [8, 1, 3, 3], stride=(2, 2), padding=(1, 1), groups=4)
    conv([2, 5, 3, 4], [3, 5, 1, 1])

    def transposed(x, w, size, stride, padding=(0, 0), dilation=(1, 1), groups=1):
        inputs = dict(x=between(x), w=between(w))
        op("conv_transpose2d", inputs, stride=stride, padding=padding, dilation=dilation, groups=groups, size=size)

    transposed([2, 3, 3, 4], [3, 2, 3, 3], [6, 8], (2, 2), padding=(1, 1))
    transposed([1, 4, 4, 3], [4, 1, 2, 3], [7, 7], (1, 2), padding=(0, 1), dilation=(3, 2), groups=2)


def pools():
    for shape, numbers in [
        ([2, 2, 6, 6], dict(kernel=[2, 2], stride=[2, 2], padding=[0, 0], ceil=False)),
        ([1, 2, 7, 8], dict(kernel=[3, 3], stride=[2, 2], padding=[1, 1], ceil=True)),
        ([1, 2, 6, 7], dict(kernel=[3, 2], stride=[1, 2], padding=[1, 0], ceil=True)),
    ]:
        op("max_pool2d", shape, **numbers)
        for include in (False, True):
            op("average_pool2d", shape, **numbers, include_padding=include)
    op("global_average_pool", [2, 3, 4, 8])


def normalisations():
    for shape in ([8, 5], [3, 4, 3, 5]):
        channels = shape[1]
        weights = dict(gamma=between([channels], 0.5, 1.5), beta=between([channels]))
        op("batch_norm", dict(x=between(shape)) | weights, epsilon=single(1e-5))
        running = dict(mean=between([channels]), variance=between([channels], 0.5, 2.0))
        op("batch_norm_inference", dict(x=between(shape)) | running | weights, epsilon=single(1e-3))
        x, momentum = between(shape), single(0.1)
        before = dict(running_mean=between([channels]), running_variance=between([channels], 0.5, 2.0))
        after = {name: value.double() for name, value in before.items()}
        F.batch_norm(x.double(), *after.values(), training=True, momentum=momentum)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        values = dict(x=x, y=x.double().mean(axes)) | before | {f"{name}.0": value for name, value in after.items()}
        keep(dict(op="update_running", momentum=momentum), values)


def functions():
    for name in ("exp", "sigmoid", "tanh", "relu", "silu", "softplus", "gelu", "square"):
        op("function", dict(x=between([4, 6], -4, 4)), name=name)
    op("function", dict(x=between([4, 6], -3, 9)), name="relu6")
    op("function", dict(x=torch.tensor([-90.0, -30.0, -12.0, 12.0, 30.0, 90.0])), name="softplus")
    op("function", dict(x=torch.tensor([-90.0, -30.0, -12.0, 12.0, 30.0, 90.0])), name="sigmoid")
    for name in ("log", "sqrt"):
        op("function", dict(x=between([4, 6], 0.1, 5)), name=name)
    for name in ("add", "subtract", "multiply"):
        for other in ([2, 3, 5], [5], [3, 1], [2, 1, 5]):
            op("pair", dict(x=between([2, 3, 5]), other=between(other)), name=name)
    op("scale", [3, 7], factor=single(-0.3))
    op("leaky_relu", [3, 7], slope=single(0.01))


def more_functions():
    """After all others, so that the numbers drawn for those stay. Functions with steps and kinks get these places, too."""
    for name in ("abs", "sign", "floor", "ceil", "round", "sin", "cos", "erf"):
        op("function", dict(x=between([4, 6], -4, 4)), name=name)
    for name in ("abs", "sign", "floor", "ceil", "round"):
        op("function", dict(x=torch.tensor([-2.5, -2.0, -1.5, -0.5, 0.0, 0.5, 1.0, 1.5, 2.5])), name=name)
    op("function", dict(x=torch.tensor([-1e30, -9.0, -3.0, 1e-3, 3.0, 9.0, 1e30])), name="erf")
    for name in ("sin", "cos"):
        op("function", dict(x=torch.tensor([-5e4, -900.0, -30.0, 30.0, 900.0, 5e4])), name=name)
    for name in ("divide", "maximum", "minimum", "power"):
        for other in ([2, 3, 5], [5], [3, 1], [2, 1, 5]):
            low = -1 if name.endswith("imum") else 0.5
            op("pair", dict(x=between([2, 3, 5], low, 2), other=between(other, low, 3)), name=name)
    for name in ("maximum", "minimum"):
        op("pair", dict(x=torch.tensor([-1.0, 0.0, 1.0, 2.0]), other=torch.tensor([-1.0, 0.0, 0.5, 3.0])), name=name)
    op("pair", dict(x=torch.tensor([0.0, 0.0, 0.0, 0.0, 2.0]), other=torch.tensor([0.0, 1.0, 1.5, 2.0, 0.0])), name="power")
    for alpha in (1.0, 0.5, -1.5):
        op("elu", dict(x=torch.cat([between([23], -4, 4), torch.tensor([-90.0, -1e-4, 0.0, 1e-4, 90.0])])), alpha=alpha)
    for least, most in ((-1.0, 2.0), (0.0, 0.5), (1.0, -1.0)):
        op("clip", dict(x=torch.cat([between([21], -3, 3), torch.tensor([-1.0, 0.0, 0.5, 2.0])])), least=least, most=most)


def of_newer_networks():
    """After all others, too. The hard functions get their corners, and the exact GELU arguments where 1 + erf loses its digits."""
    corners = torch.tensor([-7.0, -3.0, -2.9999998, 0.0, 2.9999998, 3.0, 7.0])
    for name in ("hard_sigmoid", "hard_swish"):
        op("function", dict(x=torch.cat([between([17], -6, 6), corners])), name=name)
    op("function", dict(x=between([4, 6], -4, 4)), name="gelu_erf")
    for far in ([-6.0, -5.0, -4.5, -4.0, -3.75, -3.5], [-1e9, -1e-3, 1e-3, 1e9]):
        op("function", dict(x=torch.tensor(far)), name="gelu_erf")
    for shape in ([2, 5, 3, 4], [3, 40, 1, 2]):
        weights = dict(gamma=between(shape[1:2], 0.5, 1.5), beta=between(shape[1:2]))
        op("layer_norm2d", dict(x=between(shape, -2, 3)) | weights, epsilon=single(1e-6))
    op("stochastic_depth", dict(x=between([256, 1], 0.5, 1.0)), rate=0.25)


def losses():
    for log in (False, True):
        op("softmax", dict(x=between([4, 7], -5, 5)), log=log)
    for reduction in ("sum", "mean"):
        for smoothing, valid in ((0.0, 8), (0.1, 8), (0.2, 5)):
            inputs = dict(x=between([8, 6], -3, 3), labels=labels(8, 6))
            op("cross_entropy", inputs, smoothing=single(smoothing), reduction=reduction, valid=valid)
        for mean in (False, True):
            inputs = dict(x=between([4, 8]), other=between([4, 8]))
            op("squared_error", inputs, mean=mean, reduction=reduction)
    op("correct", dict(x=between([30, 3]), labels=labels(30, 3)))
    x, other, totals = between([9]), between([9]), between([3])
    after = torch.stack([x.double().sum(), other.double().sum(), torch.tensor(9.0)]) + totals
    keep(dict(op="accumulate"), {"x": x, "other": other, "totals": totals, "totals.0": after})


def shapes():
    op("sum", [3, 4, 5], first=1, last=1, mean=False)
    op("sum", [3, 4, 5], first=0, last=1, mean=False)
    op("sum", [3, 4, 8], first=1, last=2, mean=True)
    op("reshape", [3, 8], shape=[2, 3, 4])
    op("transpose", [2, 3, 4, 5], order=[2, 0, 3, 1])
    op("slice", [3, 6, 4], axis=1, start=2, len=3)
    op("pad", [3, 4, 2], axis=1, before=2, after=1)
    op("pad2d", [2, 2, 3, 4], around=[1, 2, 0, 3])
    op("concat", dict(x=between([2, 3, 4]), other=between([2, 1, 4]), third=between([2, 5, 4])), axis=1)
    op("pack", dict(x=between([5, 7]), other=between([9]), third=between([2, 3, 4])))
    for bilinear in (False, True):
        for shape, size in (([1, 2, 4, 5], [7, 9]), ([1, 1, 7, 9], [4, 3]), ([1, 1, 3, 8], [9, 4])):
            op("resize2d", shape, size=size, bilinear=bilinear)
    op("dropout", dict(x=between([256], 0.5, 1.0)), rate=0.25)


def images():
    order = torch.tensor([4, 0, 3, 3], dtype=torch.uint32)
    op("gather", dict(x=between([5, 6]), order=order), batch=4)
    op("gather", dict(x=torch.randint(0, 256, [5, 3, 2], dtype=torch.uint8), order=order), batch=3)
    normalised = dict(mean=[0.5, 0.25, 0.125], std=[0.25, 0.5, 0.5])
    photos = torch.randint(0, 256, [5, 3, 5, 6], dtype=torch.uint8)
    # An even number of rows and columns is cut off: of an odd one torchvision rounds the half, gpunn cuts it.
    for mirrored in (False, True):
        op("augment", dict(x=photos, order=order), augment=normalised | dict(crop=[3, 4]), still=True, mirrored=mirrored)
    for factor in (1.25, 0.75):
        op("augment", dict(x=between([5, 1, 5, 6]), order=order), augment=dict(scale=[factor] * 2), still=False, mirrored=False)
    for shape, size, ratio in (([2, 2, 9, 12], [4, 5], 0.6), ([1, 2, 14, 7], [3, 7], 1.0)):
        op("resized_crop", dict(x=between(shape)), size=size, ratio=ratio)


def optimisers():
    sgd = dict(name="sgd", learning_rate=1.0)
    # Betas whose powers, and one less those, are single-precision numbers, as the corrections of a step are.
    adam = dict(learning_rate=1.0, beta1=0.875, beta2=0.96875, epsilon=single(1e-8))
    decay = dict(weight_decay=single(0.05))
    for numbers in [
        sgd,
        sgd | decay,
        sgd | dict(momentum=0.875),
        sgd | dict(momentum=0.875, clip=0.5),
        sgd | dict(momentum=0.875, nesterov=True),
        sgd | dict(momentum=0.875, nesterov=True, clip=0.5) | decay,
        adam | dict(name="adam"),
        adam | dict(name="adam", clip=0.5) | decay,
        adam | dict(name="adamw") | decay,
        adam | dict(name="adamw", clip=0.5) | decay,
    ]:
        steps(numbers, rates=[0.5, 0.25, 0.125, 0.5])


def steps(numbers, rates):
    """Some steps of an optimiser on a weight, which decays, and a bias, which does not."""
    given = dict(weight=between([3, 5]), bias=between([3]))
    drawn = {name: between([len(rates), *value.shape]) for name, value in given.items()}
    parameters = {name: torch.nn.Parameter(value.double()) for name, value in given.items()}
    decay = numbers.get("weight_decay", 0.0)
    groups = [
        dict(params=[parameters["weight"]], weight_decay=decay),
        dict(params=[parameters["bias"]], weight_decay=0.0),
    ]
    if numbers["name"] == "sgd":
        optimiser = torch.optim.SGD(
            groups, rates[0], momentum=numbers.get("momentum", 0.0), nesterov=numbers.get("nesterov", False)
        )
    elif numbers["name"] == "rmsprop":
        optimiser = torch.optim.RMSprop(
            groups, rates[0], numbers["alpha"], numbers["epsilon"], momentum=numbers.get("momentum", 0.0)
        )
    elif numbers["name"] == "lamb":
        # gpunn adapts the steps of weights, whether they decay or not.
        for group, adapts in zip(groups, (True, False)):
            group["always_adapt"] = adapts
        optimiser = timm.optim.Lamb(
            groups, rates[0], betas=(numbers["beta1"], numbers["beta2"]), eps=numbers["epsilon"], max_grad_norm=None
        )
    else:
        kind = torch.optim.AdamW if numbers["name"] == "adamw" else torch.optim.Adam
        optimiser = kind(groups, rates[0], (numbers["beta1"], numbers["beta2"]), numbers["epsilon"])
    values = given | {f"gradient.{name}": value for name, value in drawn.items()}
    for number, rate in enumerate(rates):
        for group in optimiser.param_groups:
            group["lr"] = rate
        for name, parameter in parameters.items():
            parameter.grad = drawn[name][number].double()
        if "clip" in numbers:
            torch.nn.utils.clip_grad_norm_(parameters.values(), numbers["clip"])
        optimiser.step()
        values |= {f"{name}.{number}": parameter.detach().clone() for name, parameter in parameters.items()}
    keep(dict(op="optimiser", optimiser=numbers, rates=rates), values)


def averages():
    """Moving averages of weights; in the first steps gpunn's decay is smaller, as TensorFlow's is."""
    for decay, first in ((0.75, 0), (0.75, 400), (0.125, 0)):
        weights, average = between([3, 64]), between([64])
        values = {"weights": weights[0], "weights.after": weights, "average": average}
        exact = average.double()
        for number, row in enumerate(weights):
            held = min(decay, (1 + first + number) / (10 + first + number))
            exact = get_ema_avg_fn(held)(exact, row.double(), None)
            values[f"average.{number}"] = exact
        keep(dict(op="average", decay=decay, first=first), values)


def schedules():
    """The rate's factor, and the momentum, at each of 6 epochs of 5 steps. Those of epochs are stepped once an epoch, the others
    every step."""
    total, steps_each = 30, 5

    def run(name, make, by_epoch=False, momentum=False):
        weight = torch.nn.Parameter(torch.zeros(1))
        optimiser = torch.optim.SGD([weight], 1.0, momentum=0.9)
        made = make(optimiser)
        made = made if isinstance(made, list) else [made]
        rates, momenta = [], []
        for step in range(total):
            rates.append(optimiser.param_groups[0]["lr"])
            momenta.append(optimiser.param_groups[0]["momentum"])
            optimiser.step()
            if not by_epoch or step % steps_each == steps_each - 1:
                for scheduler in made if step < total - 1 else []:
                    scheduler.step()
        tensors[f"schedule.{name}.factor"] = torch.tensor(rates, dtype=torch.float64)
        if momentum:
            tensors[f"schedule.{name}.momentum"] = torch.tensor(momenta, dtype=torch.float64)

    warm = lambda optimiser: lr_scheduler.LinearLR(optimiser, 0.1, total_iters=9)
    cosine = lambda optimiser, floor=0.0: lr_scheduler.CosineAnnealingLR(optimiser, total, eta_min=floor)
    run("constant warmup 0", lambda optimiser: lr_scheduler.ConstantLR(optimiser, 1.0))
    run("step:2:0.3 warmup 0", lambda optimiser: lr_scheduler.StepLR(optimiser, 2, 0.3), by_epoch=True)
    run("exponential:0.8 warmup 0", lambda optimiser: lr_scheduler.ExponentialLR(optimiser, 0.8), by_epoch=True)
    run("cosine:0.1 warmup 0", lambda optimiser: cosine(optimiser, 0.1))
    run("one-cycle warmup 0", lambda optimiser: lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=total), momentum=True)
    run("constant warmup 2", warm)
    run("cosine warmup 2", lambda optimiser: [warm(optimiser), cosine(optimiser)])


def muon():
    """Muon on a weight of four axes, wide, high and square as a matrix, with SGD on the bias, whose group has its own numbers."""
    for shape, iterations in (([2, 9], 1), ([5, 12], 3), ([12, 5], 3), ([6, 6], 5)):
        op("orthogonalised", shape, iterations=iterations)
    for shape, iterations in (([4, 2, 3, 3], 3), ([9, 1, 2, 2], 2), ([4, 1, 2, 2], 3)):
        of_muon = dict(learning_rate=0.25, momentum=0.625, iterations=iterations)
        of_bias = dict(learning_rate=0.375, momentum=0.75, weight_decay=single(0.05))
        sgd = dict(name="sgd", learning_rate=1.0, momentum=0.875, nesterov=True)
        group = [dict(parameters="filters", algorithm="muon", **of_muon), dict(parameters="biases", **of_bias)]
        given = dict(weight=between(shape), bias=between([3]))
        drawn = {name: between([4, *value.shape]) for name, value in given.items()}
        parameters = {name: torch.nn.Parameter(value.double()) for name, value in given.items()}
        optimisers = [
            Muon([parameters["weight"]], of_muon["learning_rate"], of_muon["momentum"], iterations),
            torch.optim.SGD(
                [parameters["bias"]], of_bias["learning_rate"], of_bias["momentum"], weight_decay=of_bias["weight_decay"], nesterov=True
            ),
        ]
        values = given | {f"gradient.{name}": value for name, value in drawn.items()}
        for number in range(4):
            for name, parameter in parameters.items():
                parameter.grad = drawn[name][number].double()
            for optimiser in optimisers:
                optimiser.step()
            values |= {f"{name}.{number}": parameter.detach().clone() for name, parameter in parameters.items()}
        keep(dict(op="optimiser", optimiser=sgd | dict(group=group), rates=[1.0] * 4), values)


def lookahead():
    """Slow weights that join with given weights in some steps."""
    shares = [-1.0, 0.25, 0.75, 1.0]
    weights, slow = between([4, 64]), between([64])
    values = {"weights": weights[0], "weights.after": weights, "slow": slow}
    exact = slow.double()
    for number, (row, share) in enumerate(zip(weights, shares)):
        exact = exact.lerp(row.double(), 1 - share) if share >= 0 else exact
        values[f"slow.{number}"] = exact
    keep(dict(op="lookahead", shares=shares), values)


def rmsprop():
    numbers = dict(name="rmsprop", learning_rate=1.0, alpha=0.875, epsilon=single(1e-8))
    decay = dict(weight_decay=single(0.05))
    for more in [{}, dict(clip=0.5) | decay, dict(momentum=0.875) | decay]:
        steps(numbers | more, rates=[0.5, 0.25, 0.125, 0.5])


def lamb():
    numbers = dict(name="lamb", learning_rate=1.0, beta1=0.875, beta2=0.96875, epsilon=single(1e-6))
    for more in [{}, dict(weight_decay=single(0.05)), dict(clip=0.5, weight_decay=single(0.05))]:
        steps(numbers | more, rates=[0.5, 0.25, 0.125, 0.5])


def changes():
    """Random augmentation with gpunn's draws, and losses with weights, mixed labels and focus."""
    order = torch.tensor([2, 0, 1, 1, 2, 0], dtype=torch.uint32)
    normalised = dict(mean=[0.5, 0.25, 0.125], std=[0.25, 0.5, 0.5])

    # Values from 0.3 to 0.7, because torchvision clamps what leaves 0 to 1.
    def change(numbers, shape=(3, 3, 6, 7)):
        op("augment", dict(x=between(list(shape), 0.3, 0.7), order=order), augment=numbers, still=False, mirrored=False)

    change(dict(vertical_flip=True))
    change(dict(perspective=0.6), shape=(3, 1, 9, 8))
    change(normalised | dict(saturation=0.5))
    change(normalised | dict(hue=0.5))
    change(normalised | dict(grey=0.5, hue=0.1))
    change(dict(blur=1.0))
    change(normalised | dict(blur=0.6, vertical_flip=True))
    erase = dict(scale=[0.02, 0.33], ratio=[0.3, 3.3])
    change(normalised | dict(erase=erase | dict(chance=0.5)))
    change(normalised | dict(erase=erase | dict(chance=1.0, fill="mean")))
    change(dict(mixup=0.4))
    change(dict(cutmix=1.0))
    # Rows enough for every change, of pixels with all values.
    many = (torch.arange(45) % 3).to(torch.uint32)
    photos = torch.randint(0, 256, [3, 3, 20, 19], dtype=torch.uint8)
    op("augment", dict(x=photos, order=many), augment=normalised | dict(trivial_augment=True), still=False, mirrored=False)
    grey = torch.randint(40, 200, [3, 1, 17, 23], dtype=torch.uint8)
    op("augment", dict(x=grey, order=many), augment=dict(trivial_augment=True), still=False, mirrored=False)
    change(normalised | dict(perspective=0.3, hue=0.2, blur=0.5, erase=erase | dict(chance=1.0), mixup=1.0))

    def loss(rows, classes, **numbers):
        inputs = dict(x=between([rows, classes], -3, 3), labels=labels(rows, classes))
        op("cross_entropy", inputs, **dict(smoothing=0.0, reduction="mean", valid=rows) | numbers)

    weights = [0.5, 2.0, 1.0, 0.25, 3.0]
    loss(8, 5, weights=weights)
    loss(8, 5, weights=weights, smoothing=single(0.1), valid=4)
    loss(8, 5, share=0.75, smoothing=single(0.1))
    loss(8, 5, share=0.25, weights=weights, valid=4)
    loss(8, 40, focus=2.0)
    loss(8, 5, focus=1.5, weights=weights, reduction="sum")


def tags():
    """After all others, so that their random numbers stay: losses of several labels an image."""

    def several(rows, classes):
        return dict(x=between([rows, classes], -3, 3), targets=labels(rows * classes, 2).float().reshape(rows, classes))

    def loss(rows, classes, **numbers):
        op("binary_cross_entropy", several(rows, classes), **dict(smoothing=0.0, reduction="mean", valid=rows) | numbers)

    weights = [0.5, 2.0, 1.0, 0.25, 3.0]
    loss(8, 5)
    loss(8, 40, reduction="sum")
    loss(8, 5, weights=weights, valid=5)
    loss(8, 5, smoothing=single(0.1), weights=weights)
    loss(8, 5, share=0.75)
    loss(8, 5, share=0.25, smoothing=single(0.1), weights=weights, valid=4)
    far = dict(x=torch.tensor([[-90.0, 90.0, 0.0], [90.0, -90.0, 1e-4]]), targets=torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]]))
    op("binary_cross_entropy", far, smoothing=0.0, reduction="mean", valid=2)
    op("exact_match", several(30, 2))


def main():
    torch.manual_seed(16)
    for part in (matrices, convolutions, pools, normalisations, functions, losses, shapes, images, optimisers, averages, schedules, muon, lookahead, more_functions, of_newer_networks, changes, rmsprop, lamb, tags):
        part()
    made = f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}"
    file = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, dict(cases=json.dumps(cases), made_by=made))
    print(f"{file}: {len(cases)} cases, {len(tensors)} tensors, {file.stat().st_size} bytes, by {made}")


if __name__ == "__main__":
    main()
