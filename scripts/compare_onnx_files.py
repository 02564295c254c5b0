#!/usr/bin/env python3
"""Compares gpunn's results for ONNX files of any maker with those of ONNX Runtime, operator by operator: also for networks that are not
classifiers of images.

Usage: PYTHON scripts/compare_onnx_files.py [--devices cpu,gpu] [--side N] FILE[=HEIGHTxWIDTH]...

PYTHON needs onnx, onnxruntime and numpy. Inputs are random numbers from 0 to 1. Open sizes of images are HEIGHT and WIDTH, else N; other open
sizes are 1. The difference of each output is divided by its largest number, or by 0.01 if that is
smaller: probabilities near zero follow from logits of which only the difference from the largest one is exact.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 1e-4


def sizes(shape, height, width):
    """The sizes of an input, with numbers for the open ones."""
    default = {2: height, 3: width} if len(shape) == 4 else {}
    return [size if isinstance(size, int) and size > 0 else default.get(axis, 1) for axis, size in enumerate(shape)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--devices", default="cpu")
    parser.add_argument("--side", type=int, default=224)
    arguments = parser.parse_args()
    binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "run_onnx"
    failed = False
    for named in arguments.files:
        path, _, size = named.partition("=")
        height, width = map(int, size.split("x")) if size else (arguments.side, arguments.side)
        session = onnxruntime.InferenceSession(path)
        random = np.random.default_rng(1)
        inputs = session.get_inputs()
        if any(value.type != "tensor(float)" for value in inputs):
            print(f"{path}: its inputs are not floats")
            continue
        given = {value.name: random.random(sizes(value.shape, height, width), np.float32) for value in inputs}
        wanted = session.run(None, given)
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            shutil.copy(path, work / "model.onnx")
            for number, array in enumerate(given.values()):
                (work / f"input_{number}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
            for device in arguments.devices.split(","):
                done = subprocess.run([binary, device, "operators"], input=str(work), text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
                outcome = json.loads(done.stdout)["outcome"]
                if "ran" not in outcome:
                    print(f"{path}: {list(outcome.values())[0].replace(f'{work}/', '')}")
                    continue
                worst = 0.0
                for number, array in enumerate(wanted):
                    found = np.fromfile(work / f"{device}_{number}.f32", np.float32).reshape(outcome["ran"][number])
                    difference = float(np.abs(found - array).max() / max(np.abs(array).max(), 0.01)) if found.shape == array.shape else float("nan")
                    worst = difference if not difference <= worst else worst
                failed |= not worst <= LIMIT
                print(f"{path} {[list(array.shape) for array in given.values()]} {device}: {worst:.1e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
