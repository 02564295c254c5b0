#!/usr/bin/env python3
"""Compares the time of one photo on the CPU with ONNX Runtime's: SqueezeNet 1.1, MobileNetV2 and ResNet-18 at batch 1.

Usage: PYTHON scripts/compare_onnx_speed.py [--rounds N] [--threads N]

PYTHON needs torch, torchvision, onnx and onnxruntime. In each round both classify the same kind of photo, one program after the other, and
which of them begins changes with the round. gpunn's times are of `gpunn bench predict`, on its own networks, which are torchvision's.
ONNX Runtime gets the files of PyTorch's exporter, with all of its own optimisations. Prints gpunn's time / ONNX Runtime's.
"""

import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import argparse  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import pathlib  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
GPUNN = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "gpunn"
# gpunn's name, torchvision's name.
NETWORKS = [("squeezenet", "squeezenet1_1"), ("mobilenet_v2", "mobilenet_v2"), ("resnet18", "resnet18")]
REACH = 1.5


def ours(threads):
    """The minimum of each network's time at batch 1, in milliseconds."""
    done = subprocess.run([GPUNN, "bench", "predict", "--device", "cpu", "--seconds", "0.1", "--repeats", "5", "--threads", str(threads), "--json"],
                          capture_output=True, text=True, check=True)
    cases = json.loads(done.stdout.strip().splitlines()[-1])["cases"]
    of = {case["name"].split(" on ")[0]: case["min_us"] / 1000 for case in cases if case["name"].endswith("batch 1")}
    return {name: of[name] for name, _ in NETWORKS}


def theirs(sessions, image):
    times = {}
    for name, session in sessions.items():
        session.run(None, {"image": image})
        least = float("inf")
        for _ in range(25):
            start = time.perf_counter()
            session.run(None, {"image": image})
            least = min(least, 1000 * (time.perf_counter() - start))
        times[name] = least
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    image = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    sessions = {}
    with tempfile.TemporaryDirectory() as work:
        for own, name in NETWORKS:
            path = str(pathlib.Path(work) / "model.onnx")
            net = getattr(torchvision.models, name)(weights=None).eval()
            torch.onnx.export(net, torch.from_numpy(image), path, dynamo=False, input_names=["image"], opset_version=17)
            sessions[own] = onnxruntime.InferenceSession(path, options)
    rounds = []
    for number in range(arguments.rounds):
        if number % 2:
            other = theirs(sessions, image)
            rounds.append((ours(arguments.threads), other))
        else:
            rounds.append((ours(arguments.threads), theirs(sessions, image)))
    print(f"ONNX Runtime {onnxruntime.__version__}, {arguments.threads} threads, {arguments.rounds} rounds")
    for name, _ in NETWORKS:
        a, b = [[of[side][name] for of in rounds] for side in (0, 1)]
        ratios = min(a) / min(b), statistics.median(a) / statistics.median(b)
        print(f"{name}, batch 1: {min(a):.1f} / {min(b):.1f} ms; minima {ratios[0]:.2f}, medians {ratios[1]:.2f} (reach {REACH})")


if __name__ == "__main__":
    sys.exit(main())
