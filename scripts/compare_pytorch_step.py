#!/usr/bin/env python3
"""Compares one training step of an MLP or a CNN with PyTorch: the loss, every gradient by name, and every weight after the update, from
the same weights and the same batch. PyTorch computes the step in double precision, and also in single precision.
Exits with 1 if the difference of a tensor is larger than 1e-4 of its largest number and also larger than that of PyTorch in single precision. If
two pixels in a max-pool window are nearly equal, rounding decides which of them gets the gradient, in PyTorch too.

Groups of the recipe's optimiser are compared too, also those that Muon trains.

    cargo run --release --example dump_step -- step.safetensors nist36-mlp cpu      (or gpu; or nist36-cnn, cifar10-cnn, sun8-cnn, ...)
    scripts/compare_pytorch_step.py step.safetensors...                            (with a Python that has torch and safetensors)
"""
import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)  # if stub libraries replace CUDA's, a torch built for CUDA loads only with this flag
import json

from muon import Muon
import torch
from safetensors import safe_open

ALLOWED = 1e-4
ACTIVATIONS = {
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "relu6": torch.nn.ReLU6,
    "leaky-relu": torch.nn.LeakyReLU,
    "gelu": lambda: torch.nn.GELU(approximate="tanh"),
    "gelu-erf": torch.nn.GELU,
    "silu": torch.nn.SiLU,
    "elu": torch.nn.ELU,
    "hardsigmoid": torch.nn.Hardsigmoid,
    "hardswish": torch.nn.Hardswish,
}


def read(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    return metadata, tensors


def network(tensors, model):
    """Convolutions conv1, conv2, ..., each with an activation and a max-pool, then layers fc1, fc2, ... with an activation
    after each but the last, with the weights from before the step."""
    count = sum(name.startswith("before/fc") and name.endswith(".weight") for name in tensors)
    activation = ACTIVATIONS[model["activation"]]()
    layers = torch.nn.ModuleDict()
    for number, outputs in enumerate(model.get("channels") or [], 1):
        inputs = tensors[f"before/conv{number}.weight"].shape[1]
        layers[f"conv{number}"] = torch.nn.Conv2d(inputs, outputs, model["kernel"], padding=model["padding"])
    for number in range(1, count + 1):
        outputs, inputs = tensors[f"before/fc{number}.weight"].shape
        layers[f"fc{number}"] = torch.nn.Linear(inputs, outputs)
    layers.load_state_dict({name: tensors[f"before/{name}"] for name in layers.state_dict()})

    def forward(x):
        for name, layer in layers.items():
            if name.startswith("conv"):
                x = torch.nn.functional.max_pool2d(activation(layer(x)), 2)
            else:
                x = layer(x.flatten(1))
                x = activation(x) if name != f"fc{count}" else x
        return x

    return layers, forward


def kind(name, last):
    """The kind of a parameter of such a network, as groups of an optimiser name it."""
    if name.startswith(f"{last}."):
        return "head"
    return "biases" if name.endswith(".bias") else "filters" if name.startswith("conv") else "weights"


def optimisers(numbers, layers):
    """SGD of all parameters without a group and of each group, with its own numbers, or Muon of a group."""
    groups = {group["parameters"]: group for group in numbers.get("group", [])}
    made = []
    last = list(layers)[-1]
    for name, parameter in layers.named_parameters():
        own = groups.get(kind(name, last), {})
        rate, momentum = (own.get(field, numbers[field]) for field in ("learning_rate", "momentum"))
        if own.get("algorithm") == "muon":
            made.append(Muon([parameter], rate, momentum, own.get("iterations", 3)))
        else:
            decay = own.get("weight_decay", 0)
            made.append(torch.optim.SGD([parameter], rate, momentum, weight_decay=decay, nesterov=numbers["nesterov"]))
    return made


def step(metadata, tensors, precision):
    """PyTorch's values under the names of the file."""
    layers, forward = network(tensors, json.loads(metadata["model"]))
    layers.to(precision)
    numbers = json.loads(metadata["optimizer"])
    if numbers["name"] != "sgd" or numbers["weight_decay"] != 0:
        sys.exit(f"{metadata['recipe']} trains with {numbers['name']} or a weight decay: only SGD, momentum, and groups of them or of Muon are compared.")
    loss = torch.nn.functional.cross_entropy(
        forward(tensors["x"].to(precision)), tensors["labels"].long(), reduction=json.loads(metadata["reduction"])
    )
    loss.backward()
    values = {"loss": loss.detach().reshape(1)}
    values |= {f"gradient/{name}": parameter.grad.clone() for name, parameter in layers.named_parameters()}
    if numbers.get("clip"):
        torch.nn.utils.clip_grad_norm_(layers.parameters(), numbers["clip"])
    for optimiser in optimisers(numbers, layers):
        optimiser.step()
    values |= {f"after/{name}": parameter.detach() for name, parameter in layers.named_parameters()}
    return values


def compare(path):
    metadata, tensors = read(path)
    print(f"{metadata['recipe']}, batch {len(tensors['labels'])}, {metadata['device']}; PyTorch {torch.__version__}")
    print(f"{'tensor':<24}{'shape':>12}{'largest':>14}{'difference':>14}{'relative':>12}{'PyTorch f32':>13}")
    single = step(metadata, tensors, torch.float32)
    good = True
    for name, exact in step(metadata, tensors, torch.float64).items():
        ours = tensors[name]
        if ours.shape != exact.shape:
            sys.exit(f"{name} is {list(ours.shape)} here and {list(exact.shape)} in PyTorch.")
        largest = exact.abs().max().item()
        difference, theirs = ((value.double() - exact).abs().max().item() for value in (ours, single[name]))
        relative, theirs = (error / largest if largest else error for error in (difference, theirs))
        good &= relative <= max(ALLOWED, theirs)  # NaN fails this comparison
        shape = "x".join(map(str, ours.shape))
        print(f"{name:<24}{shape:>12}{largest:>14.6g}{difference:>14.3g}{relative:>12.2e}{theirs:>13.2e}")
    print("within" if good else "NOT within", f"{ALLOWED} of the largest number of each tensor, or as near as PyTorch in f32\n")
    return good


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    results = [compare(path) for path in sys.argv[1:]]
    sys.exit(0 if all(results) else 1)
