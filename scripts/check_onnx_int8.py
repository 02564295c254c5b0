#!/usr/bin/env python3
"""Trains a network on CIFAR-10, exports it with floats and with 8-bit integers, and compares both in ONNX Runtime on test images.

Usage: PYTHON scripts/check_onnx_int8.py [--recipe NAME] [--epochs N] [--limit-train N] [--images N]

PYTHON needs onnx, onnxruntime and numpy. GPUNN_DATA names a folder with cifar-10-batches-bin. The accuracy with integers must be within
one point of that with floats, and the file must have less than 0.3 of the size (scales and names are not smaller).
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
GPUNN = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "gpunn"


def gpunn(*arguments):
    done = subprocess.run([GPUNN, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"gpunn {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="cifar10-cnn")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--limit-train", default="10000")
    parser.add_argument("--images", type=int, default=2000)
    arguments = parser.parse_args()
    batch = np.fromfile(pathlib.Path(os.environ["GPUNN_DATA"]) / "cifar-10-batches-bin" / "test_batch.bin", np.uint8)
    batch = batch.reshape(-1, 3073)[: arguments.images]
    labels, images = batch[:, 0], batch[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        gpunn("train", "--recipe", arguments.recipe, "--epochs", arguments.epochs, "--limit-train", arguments.limit_train, "--device", "cpu",
              "--out", work / "run", "--no-report", "--quiet")
        results = {}
        for name, flags in (("floats", []), ("integers", ["--quantize", "int8"])):
            path = work / f"{name}.onnx"
            gpunn("export", work / "run", "--out", path, *flags)
            onnx.checker.check_model(str(path), full_check=True)
            logits = onnxruntime.InferenceSession(str(path)).run(None, {"image": images})[0]
            results[name] = (float((logits.argmax(1) == labels).mean()), path.stat().st_size, logits)
            print(f"{arguments.recipe} in {name}: {100 * results[name][0]:.2f} % of {len(labels)} images, {results[name][1]} bytes")
        (before, large, _), (after, small, theirs) = results["floats"], results["integers"]
        # gpunn reads the file, too, and says the same of nearly all images: a sum that is rounded otherwise may move an activation by a step.
        (work / "model.onnx").write_bytes((work / "integers.onnx").read_bytes())
        (work / "input_0.pb").write_bytes(numpy_helper.from_array(images).SerializeToString())
        subprocess.run([GPUNN.with_name("run_onnx"), "cpu", "layers"], input=str(work), text=True, capture_output=True, check=True)
        ours = np.fromfile(work / "cpu_0.f32", np.float32).reshape(theirs.shape)
        same = float((ours.argmax(1) == theirs.argmax(1)).mean())
        print(f"accuracy {100 * (after - before):+.2f} points, size {small / large:.3f}; gpunn agrees with ONNX Runtime on {100 * same:.2f} %")
        good = after >= before - 0.01 and small < 0.3 * large and np.isfinite(theirs).all() and same >= 0.98
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
