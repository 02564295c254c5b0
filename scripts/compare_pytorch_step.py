#!/usr/bin/env python3
"""One training step of an MLP, gpunn's against PyTorch's: loss, every gradient by name, and every weight after the update,
from the same weights and the same batch. Exits with 1 where a tensor is further off than 1e-4 of its largest number.

    cargo run --release --example dump_step -- step.safetensors nist36-mlp cpu      (or gpu; any built-in MLP recipe)
    scripts/compare_pytorch_step.py step.safetensors...                            (with a Python that has torch and safetensors)
"""
import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)  # a torch built for CUDA then loads where stand-ins take CUDA's place
import json

import torch
from safetensors import safe_open

ALLOWED = 1e-4
ACTIVATIONS = {
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "leaky-relu": torch.nn.LeakyReLU,
    "gelu": lambda: torch.nn.GELU(approximate="tanh"),
    "silu": torch.nn.SiLU,
}


def read(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    return metadata, tensors


def network(tensors, activation):
    """The layers fc1, fc2, ... with an activation after each but the last, with the weights from before the step."""
    count = sum(name.startswith("before/") and name.endswith(".weight") for name in tensors)
    layers = torch.nn.ModuleDict()
    for number in range(1, count + 1):
        weight = tensors[f"before/fc{number}.weight"]
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(tensors[f"before/fc{number}.bias"])
        layers[f"fc{number}"] = layer

    def forward(x):
        for number, layer in enumerate(layers.values(), 1):
            x = layer(x)
            if number < count:
                x = ACTIVATIONS[activation]()(x)
        return x

    return layers, forward


def step(metadata, tensors):
    """PyTorch's values under the names of the file."""
    layers, forward = network(tensors, json.loads(metadata["activation"]))
    numbers = json.loads(metadata["optimizer"])
    if numbers["name"] != "sgd" or numbers["weight_decay"] != 0:
        sys.exit(f"{metadata['recipe']} trains with {numbers['name']} or a weight decay: only plain SGD and momentum are compared.")
    optimiser = torch.optim.SGD(
        layers.parameters(), numbers["learning_rate"], momentum=numbers["momentum"], nesterov=numbers["nesterov"]
    )
    loss = torch.nn.functional.cross_entropy(
        forward(tensors["x"]), tensors["labels"].long(), reduction=json.loads(metadata["reduction"])
    )
    loss.backward()
    values = {"loss": loss.detach().reshape(1)}
    values |= {f"gradient/{name}": parameter.grad.clone() for name, parameter in layers.named_parameters()}
    if numbers.get("clip"):
        torch.nn.utils.clip_grad_norm_(layers.parameters(), numbers["clip"])
    optimiser.step()
    values |= {f"after/{name}": parameter.detach() for name, parameter in layers.named_parameters()}
    return values


def compare(path):
    metadata, tensors = read(path)
    print(f"{metadata['recipe']}, batch {len(tensors['labels'])}, {metadata['device']}; PyTorch {torch.__version__}")
    print(f"{'tensor':<24}{'shape':>12}{'largest':>14}{'difference':>14}{'relative':>12}")
    good = True
    for name, theirs in step(metadata, tensors).items():
        ours = tensors[name]
        if ours.shape != theirs.shape:
            sys.exit(f"{name} is {list(ours.shape)} here and {list(theirs.shape)} in PyTorch.")
        largest = theirs.abs().max().item()
        difference = (ours - theirs).abs().max().item()
        relative = difference / largest if largest else difference
        good &= relative <= ALLOWED  # not a number is not below it
        shape = "x".join(map(str, ours.shape))
        print(f"{name:<24}{shape:>12}{largest:>14.6g}{difference:>14.3g}{relative:>12.2e}")
    print("within" if good else "NOT within", f"{ALLOWED} of the largest number of each tensor\n")
    return good


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    results = [compare(path) for path in sys.argv[1:]]
    sys.exit(0 if all(results) else 1)
