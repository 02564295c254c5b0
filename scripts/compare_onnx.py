#!/usr/bin/env python3
"""Compares exported ONNX files with ONNX Runtime: for each recipe, and for the network of scripts/onnx_layers.toml, whose name is `layers`, a
network is trained for some steps on images of noise and exported. Its output for random images is compared with gpunn's. Run it from the
repository's root:

    PYTHON scripts/compare_onnx.py [RECIPE...] [--opsets 13,17,21] [--data-dir DIR]

PYTHON has onnx, onnxruntime, numpy, Pillow and safetensors. DIR (or GPUNN_DATA) has the pretrained weights of SqueezeNet, which some recipes
begin with. Each file must pass onnx.checker with full_check, in each opset, also with batch norm folded. The difference is that of logits (or
of reconstructed images), divided by the largest of them. Prints the table of docs/onnx.md. Exits with 1 if a difference is above 1e-5 or a
file is not valid.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import numpy
import onnx
import onnxruntime
from PIL import Image
from safetensors.numpy import load_file, save_file

ALLOWED = 1e-5
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
GPUNN, PROGRAM = BUILT / "gpunn", BUILT / "examples/torchvision"
IMAGES = 8


def run(*arguments):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{done.stderr.strip()}\n`{' '.join(map(str, arguments))}` failed.")
    return done.stdout


def session(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def normalised(x, recipe):
    """Images as the recipe of the file says, in double precision."""
    augment = tomllib.loads(recipe).get("augment", {})
    channels = x.shape[1]
    mean, std = (numpy.reshape(augment.get(key, [default] * channels), (channels, 1, 1)) for key, default in (("mean", 0), ("std", 1)))
    return ((x.astype(float) - mean) / std).astype(numpy.float32)


def noise(folder):
    """Two classes of images of noise."""
    random = numpy.random.default_rng(2)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(12):
            Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=numpy.uint8)).save(folder / name / f"{number}.png")
    return folder


def train(recipe, options, folder):
    if recipe == "layers":
        flags = ["--model", "scripts/onnx_layers.toml", "--size", "40x44", "--epochs", "3", "--batch-size", "4", "--device", "cpu"]
        return run(GPUNN, "train", *flags, "--no-report", "--quiet", "--dataset", noise(folder / "noise"), "--out", folder / recipe)
    parts = tomllib.loads(pathlib.Path("recipes", f"{recipe}.toml").read_text())
    data = parts["data"]
    grey = any(word in data["name"] for word in ("nist36", "glyphs"))
    flags = ["--channels", "1"] if grey else []
    flags += [] if "size" in data else ["--size", "32"]
    flags += ["--lr", "0.0001"] if "pretrained" in parts["model"] else []  # on noise, larger steps end all activity
    flags += ["--data-dir", options.data_dir] if options.data_dir else []
    flags += ["--epochs", "2", "--batch-size", "4", "--device", "cpu", "--no-report", "--quiet", "--out", folder / recipe]
    run(GPUNN, "train", "--recipe", recipe, "--dataset", noise(folder / "noise"), *flags)


def checked(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


def compare(name, trained, opsets, folder):
    """The largest relative difference of a run's outputs, plain and with batch norm folded, and the numbers of operators."""
    weights, plain = folder / f"{name}.safetensors", folder / f"{name}.onnx"
    run(GPUNN, "export", trained, "--out", weights)
    run(GPUNN, "export", trained, "--out", plain)
    model = checked(plain)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    rules, card = json.loads(metadata["image"]), json.loads(metadata["gpunn.model"])
    assert json.loads(metadata["classes"]) == card["classes"]
    x = numpy.random.default_rng(1).random((IMAGES, rules["channels"], rules["height"], rules["width"]), dtype=numpy.float32)
    save_file({"x": normalised(x, card["recipe"])}, folder / "x.safetensors")
    run(PROGRAM, "logits", weights, "own", folder / "x.safetensors", folder / "y.safetensors", "cpu")
    ours = load_file(folder / "y.safetensors")["logits"]
    assert abs(ours).max() > 1e-3, f"{name}: the outputs are nearly 0"
    worst = {}
    for what, flags in (("plain", []), ("folded", ["--fold-batch-norm"])):
        for opset in opsets:
            file = folder / f"{name}-{what}-{opset}.onnx"
            run(GPUNN, "export", trained, "--out", file, "--opset", opset, *flags)
            checked(file)
            network = session(file)
            output = network.get_outputs()[0].name
            theirs = network.run([output], {"image": x})[0]
            alone = network.run([output], {"image": x[:1]})[0]  # another size of the batch
            assert theirs.shape == ours.shape and alone.shape == ours[:1].shape, f"{file.name} gives {theirs.shape} and {alone.shape}"
            assert numpy.isfinite(theirs).all() and numpy.isfinite(alone).all(), f"{file.name} gives numbers that are not finite"
            different = max(abs(ours - theirs).max(), abs(ours[:1] - alone).max()) / abs(ours).max()
            worst[what] = max(worst.get(what, 0), float(different))
    if output == "logits":
        file = folder / f"{name}-softmax.onnx"
        run(GPUNN, "export", trained, "--out", file, "--softmax")
        checked(file)
        sums = session(file).run(["probabilities"], {"image": x})[0].sum(1)
        assert abs(sums - 1).max() < 1e-5
    return worst, len(model.graph.node), plain.stat().st_size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="[default: all built-in recipes]")
    parser.add_argument("--opsets", default="13,15,17,18,20,21", help="[default: %(default)s]")
    parser.add_argument("--data-dir", default=os.environ.get("GPUNN_DATA"), metavar="DIR", help="[default: GPUNN_DATA]")
    options = parser.parse_args()
    opsets = [int(opset) for opset in options.opsets.split(",")]
    # The recipe `reader` made a network that is part of the program. It cannot be trained by its name.
    known = {path.stem for path in pathlib.Path("recipes").glob("*.toml")} - {"reader"}
    recipes = options.recipes or ["layers", *sorted(known)]
    print(f"ONNX {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}, opsets {options.opsets}\n")
    print("| recipe | operators | MiB | difference | batch norm folded |\n|---|---|---|---|---|", flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for recipe in recipes:
            try:
                train(recipe, options, folder)
                worst, operators, size = compare(recipe, folder / recipe, opsets, folder)
            except Exception as error:  # of gpunn, of ONNX's checker or of ONNX Runtime: the other recipes are still compared
                print(f"{recipe}: {type(error).__name__}: {error}", file=sys.stderr)
                failed = True
                continue
            failed |= max(worst.values()) > ALLOWED
            print(f"| {recipe} | {operators} | {size / 2**20:.1f} | {worst['plain']:.1e} | {worst['folded']:.1e} |", flush=True)
    sys.exit(failed)


main()
