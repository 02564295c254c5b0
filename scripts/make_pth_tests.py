#!/usr/bin/env python3
"""Makes the files of PyTorch under tests/weights, and values.json with the values that PyTorch reads from them.

Usage: PYTHON scripts/make_pth_tests.py      (PYTHON needs torch)
"""

import collections
import json
import os
import pathlib
import pickle
import zipfile

import torch

FOLDER = pathlib.Path(__file__).parent.parent / "tests" / "weights"


def state():
    """Tensors of every dtype that gpunn reads, and views of shared storages."""
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 4 - 1
    tensors = {
        "f64": torch.tensor([[1.5, -0.1, 1e-40], [3e38, 0.0, -2.0]], dtype=torch.float64),
        "f32": base,
        "f32.transposed": base.t(),
        "f32.part": base[1:, ::2],
        "f32.row": base[2],
        "f32.repeated": torch.tensor([0.25]).expand(3),
        "parameter": torch.nn.Parameter(torch.tensor([[0.5]])),
        "f16": torch.tensor([0.1, -65504.0, 6e-8], dtype=torch.float16),
        "bf16": torch.tensor([[0.1], [-3e38]], dtype=torch.bfloat16),
        "i64": torch.tensor(-(2**40)),
        "i32": torch.tensor([-7], dtype=torch.int32),
        "i16": torch.tensor([300], dtype=torch.int16),
        "i8": torch.tensor([-8], dtype=torch.int8),
        "u8": torch.tensor([200], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }
    return collections.OrderedDict(tensors)


def network():
    """A small network, whose names and values the other files have."""
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))


class Hostile:
    """A pickle that runs a command when it is loaded by Python."""

    def __reduce__(self):
        return (os.system, ("echo harmed",))


def described(tensors):
    """What values.json has for the tensors of a file."""
    kinds = {"float": "F", "bfloat": "BF", "int": "I", "uint": "U"}

    def kind(dtype):
        name = str(dtype).removeprefix("torch.")
        letters = name.rstrip("0123456789")
        return "BOOL" if name == "bool" else kinds[letters] + name.removeprefix(letters)

    def tensor(value):
        numbers = value.float().flatten().tolist() if value.is_floating_point() else None
        return {"type": kind(value.dtype), "shape": list(value.shape), "values": numbers}

    return {name: tensor(value.detach()) for name, value in tensors.items()}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors, model = state(), network()
    saved = model.state_dict()
    torch.save(tensors, FOLDER / "zip.pth")
    torch.save(tensors, FOLDER / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(tensors, FOLDER / "protocol4.pth", _use_new_zipfile_serialization=False, pickle_protocol=4)
    wrapped = {"module._orig_mod." + name: value for name, value in saved.items()}
    checkpoint = {"epoch": 3, "best": 0.5, "args": ["--lr", None], "optimizer": {0: torch.ones(2)}, "state_dict": wrapped}
    torch.save(checkpoint, FOLDER / "checkpoint.pth", _use_new_zipfile_serialization=False)
    torch.save({"model": saved, "step": torch.tensor(5)}, FOLDER / "model-key.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(1, 1), FOLDER / "module.pth")
    torch.save({"weight": torch.ones(1), "other": Hostile()}, FOLDER / "hostile.pth")
    (FOLDER / "plain.pth").write_bytes(pickle.dumps({"weight": [1.0]}, protocol=2))
    with zipfile.ZipFile(FOLDER / "hostile.pth") as whole, zipfile.ZipFile(
        FOLDER / "compressed.pth", "w", zipfile.ZIP_DEFLATED
    ) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    values = {}
    for name in ["zip.pth", "old.pth", "protocol4.pth"]:
        # PyTorch reads protocol 4 only with its unrestricted reader.
        values[name] = described(torch.load(FOLDER / name, weights_only=name != "protocol4.pth"))
    values["checkpoint.pth"] = described(torch.load(FOLDER / "checkpoint.pth", weights_only=True)["state_dict"])
    values["model-key.pth"] = described(torch.load(FOLDER / "model-key.pth", weights_only=True)["model"])
    assert values["zip.pth"] == values["old.pth"] == values["protocol4.pth"]
    values["old.pth"] = values["protocol4.pth"] = "zip.pth"
    (FOLDER / "values.json").write_text(json.dumps(values, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
