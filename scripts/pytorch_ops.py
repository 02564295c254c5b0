"""gpunn's ops in PyTorch's words: what `kernels-tests/src/described.rs` says in ours. `compare_pytorch_ops.py` runs them on random
configurations, `freeze_pytorch_values.py` on few, whose values the tests keep.

OPS has a function for each op: of the case's numbers and the op's inputs, the value.
"""

import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)  # a torch built for CUDA then loads where stand-ins take CUDA's place

import torch
import torch.nn.functional as F
from torchvision.ops import stochastic_depth
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as TF

from muon import orthogonalised
from pytorch_augment import CHANGES, changed

# PyTorch's names of functions of one tensor, where they are not ours.
FUNCTIONS = dict(silu=F.silu, softplus=F.softplus, relu6=F.relu6, gelu=lambda x: F.gelu(x, approximate="tanh"), gelu_erf=F.gelu, hard_sigmoid=F.hardsigmoid, hard_swish=F.hardswish)
PAIRS = dict(power=torch.pow)


def matmul(case, a, b):
    return (a.T if case["transpose_a"] else a) @ (b.T if case["transpose_b"] else b)


def conv2d(case, x, w, b):
    return F.conv2d(x, w, b.flatten(), case["stride"], case["padding"], case["dilation"], case["groups"])


def conv_transpose2d(case, x, w):
    numbers = zip(case["size"], x.shape[2:], w.shape[2:], case["stride"], case["padding"], case["dilation"])
    extra = [size - ((n - 1) * s - 2 * p + d * (k - 1) + 1) for size, n, k, s, p, d in numbers]
    return F.conv_transpose2d(x, w, None, case["stride"], case["padding"], extra, case["groups"], case["dilation"])


def max_pool2d(case, x):
    return F.max_pool2d(x, case["kernel"], case["stride"], case["padding"], ceil_mode=case["ceil"])


def average_pool2d(case, x):
    return F.avg_pool2d(x, case["kernel"], case["stride"], case["padding"], case["ceil"], case["include_padding"])


def batch_norm(case, x, gamma, beta):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=case["epsilon"])


def batch_norm_inference(case, x, mean, variance, gamma, beta):
    return F.batch_norm(x, mean.detach(), variance.detach(), gamma, beta, eps=case["epsilon"])


def cross_entropy(case, x, labels):
    """With weights and mixed labels, the mean divides by the number of rows, not by the sum of weights."""
    rows = case["valid"]
    x, labels = x[:rows], labels.long()[:rows]
    weights = torch.tensor(case.get("weights") or [1.0] * x.shape[1], dtype=x.dtype)

    def against(labels):
        losses = F.cross_entropy(x, labels, label_smoothing=case["smoothing"], reduction="none")
        if case.get("focus"):
            losses = losses * (1 - x.softmax(1).gather(1, labels[:, None])[:, 0]) ** case["focus"]
        return weights[labels] * losses

    losses = against(labels)
    if "share" in case:
        losses = case["share"] * losses + (1 - case["share"]) * against(labels.roll(-1))
    return (losses.mean() if case["reduction"] == "mean" else losses.sum()).reshape(1)


def binary_cross_entropy(case, x, targets):
    """The weights are of the positive part (pos_weight). Smoothing moves each target towards one half, as in Keras."""
    rows = case["valid"]
    x, targets = x[:rows], targets[:rows].detach()
    if "share" in case:
        targets = case["share"] * targets + (1 - case["share"]) * targets.roll(-1, 0)
    targets = (1 - case["smoothing"]) * targets + case["smoothing"] / 2
    weights = torch.tensor(case["weights"], dtype=x.dtype) if "weights" in case else None
    if case["reduction"] == "mean":
        return F.binary_cross_entropy_with_logits(x, targets, pos_weight=weights).reshape(1)
    return F.binary_cross_entropy_with_logits(x, targets, pos_weight=weights, reduction="none").mean(1).sum().reshape(1)


def squared_error(case, x, other):
    errors = F.mse_loss(x, other, reduction="none")
    rows = errors.mean(1) if case["mean"] else errors.sum(1)
    return (rows.mean() if case["reduction"] == "mean" else rows.sum()).reshape(1)


def total(case, x):
    axes = list(range(case["first"], case["last"] + 1))
    return x.mean(axes, keepdim=True) if case["mean"] else x.sum(axes, keepdim=True)


def pad(case, x):
    return F.pad(x, [0, 0] * (x.dim() - 1 - case["axis"]) + [case["before"], case["after"]])


def pad2d(case, x):
    top, bottom, left, right = case["around"]
    return F.pad(x, [left, right, top, bottom])


def resize2d(case, x):
    mode = dict(mode="bilinear", align_corners=False) if case["bilinear"] else dict(mode="nearest")
    return F.interpolate(x, case["size"], **mode)


def layer_norm2d(case, x, gamma, beta):
    return F.layer_norm(x.permute(0, 2, 3, 1), gamma.shape, gamma, beta, case["epsilon"]).permute(0, 3, 1, 2)


def where_kept(x, draw):
    """What each element becomes where it is kept: drawn again until each was kept once."""
    y = torch.zeros_like(x)
    while (y == 0).any():
        drawn = draw(x)
        y = torch.where(y == 0, drawn, y)
    return y


def dropout(case, x):
    return where_kept(x, lambda x: F.dropout(x, case["rate"]))


def dropped_rows(case, x):
    return where_kept(x, lambda x: stochastic_depth(x, case["rate"], "row"))


def gather(case, x, order):
    rows = torch.index_select(x, 0, order[: case["batch"]].long())
    return rows.double() / 255 if rows.dtype == torch.uint8 else rows


def augment(case, x, order):
    """Crop from the middle, mirror image and normalisation by torchvision; growth about the middle by a grid."""
    numbers, images = case["augment"], gather(dict(batch=len(order)), x, order)
    if numbers.keys() & CHANGES:
        return changed(images, numbers)
    if "scale" in numbers:
        factor = 1 / numbers["scale"][0]
        turn = torch.tensor([[factor, 0, 0], [0, factor, 0]], dtype=images.dtype).expand(len(order), 2, 3)
        grid = F.affine_grid(turn, list(images.shape), align_corners=False)
        mode = "reflection" if numbers.get("padding") == "reflect" else "zeros"
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode=mode, align_corners=False)
    if "crop" in numbers:
        images = TF.center_crop(images, numbers["crop"])
    if case["mirrored"]:
        images = TF.hflip(images)
    return TF.normalize(images, numbers["mean"], numbers["std"]) if "mean" in numbers else images


def resized_crop(case, x):
    """By torchvision, which takes this part where no draw fits."""
    part = RandomResizedCrop.get_params(x, [1.0, 1.0], [case["ratio"], case["ratio"]])
    return TF.resized_crop(x, *part, case["size"], antialias=True)


OPS = dict(
    matmul=matmul,
    conv2d=conv2d,
    conv_transpose2d=conv_transpose2d,
    max_pool2d=max_pool2d,
    average_pool2d=average_pool2d,
    global_average_pool=lambda case, x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    batch_norm=batch_norm,
    batch_norm_inference=batch_norm_inference,
    layer_norm2d=layer_norm2d,
    function=lambda case, x: FUNCTIONS.get(case["name"], getattr(torch, case["name"], None))(x),
    orthogonalised=lambda case, x: orthogonalised(x, case["iterations"]),
    pair=lambda case, x, other: PAIRS.get(case["name"], getattr(torch, case["name"], None))(x, other),
    scale=lambda case, x: x * case["factor"],
    leaky_relu=lambda case, x: F.leaky_relu(x, case["slope"]),
    elu=lambda case, x: F.elu(x, case["alpha"]),
    clip=lambda case, x: torch.clamp(x, case["least"], case["most"]),
    softmax=lambda case, x: F.log_softmax(x, -1) if case["log"] else F.softmax(x, -1),
    cross_entropy=cross_entropy,
    binary_cross_entropy=binary_cross_entropy,
    exact_match=lambda case, x, targets: ((x.sigmoid() >= 0.5) == (targets > 0.5)).all(1).double(),
    squared_error=squared_error,
    correct=lambda case, x, labels: (x.argmax(1) == labels.long()).double(),
    sum=total,
    reshape=lambda case, x: x.reshape(case["shape"]),
    transpose=lambda case, x: x.permute(case["order"]),
    slice=lambda case, x: x.narrow(case["axis"], case["start"], case["len"]),
    pad=pad,
    pad2d=pad2d,
    concat=lambda case, x, other, third: torch.cat([x, other, third], case["axis"]),
    pack=lambda case, x, other, third: torch.nn.utils.parameters_to_vector([x, other, third]),
    resize2d=resize2d,
    dropout=dropout,
    stochastic_depth=dropped_rows,
    gather=gather,
    augment=augment,
    resized_crop=resized_crop,
)

# Ops on data, which have no gradient.
DATA = ("gather", "augment", "resized_crop")


def evaluate(case, inputs, dy=None, precision=torch.float64):
    """The value and, where it has any, the gradients by floating inputs for the incoming gradient `dy` (drawn where it is not given),
    all by name, in double precision or another one."""
    learned = case["op"] not in DATA
    exact = {name: value.to(precision) if value.is_floating_point() else value for name, value in inputs.items()}
    exact = {name: value.requires_grad_(learned and value.is_floating_point()) for name, value in exact.items()}
    y = OPS[case["op"]](case, **exact)
    results = dict(y=y.detach())
    if y.requires_grad:
        results["dy"] = torch.rand(y.shape) * 2 - 1 if dy is None else dy
        y.backward(results["dy"].to(precision))
        results |= {f"d{name}": value.grad for name, value in exact.items() if getattr(value, "grad", None) is not None}
    return results
