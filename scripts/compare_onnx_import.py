#!/usr/bin/env python3
"""Exports six networks of torchvision with PyTorch's two exporters, and compares gpunn's logits with those of ONNX Runtime.

Usage: PYTHON scripts/compare_onnx_import.py [--devices cpu,gpu] [--opsets 13,15,17,18,20,21] [--photos DIR] [NETWORK...]

PYTHON needs torch, torchvision, onnxscript, onnxruntime, onnx, numpy and pillow. The weights are random, with statistics of batch norm from
some batches of noise. --photos names a folder with photos, of which 32 are taken; without it the images are noise. Each file is run as the
program reads it: as a network of layers. The difference is divided by the largest logit.
"""

import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import argparse  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import pathlib  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import warnings  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from onnx import numpy_helper  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
NETWORKS = ["squeezenet1_1", "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0"]
# The newer exporter writes version 18 and later.
FIRST_DYNAMO = 18
LIMIT = 1e-4
# Images that are run together: some devices bind at most 128 MiB, and a tensor of MobileNetV2 has 4.8 MB an image.
TOGETHER = 16
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def network(name):
    torch.manual_seed(1)
    net = getattr(torchvision.models, name)(weights=None).train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 3, 96, 96))
    return net.eval()


def export(net, path, opset, dynamo):
    image = torch.randn(2, 3, 224, 224)
    names = {"input_names": ["image"], "output_names": ["logits"], "opset_version": opset}
    if dynamo:
        shapes = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(net, (image,), path, dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
    else:
        axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
        torch.onnx.export(net, image, path, dynamo=False, dynamic_axes=axes, **names)


def images(folder):
    """32 images as the networks take them."""
    if folder is None:
        return np.random.default_rng(1).normal(size=(32, 3, 224, 224)).astype(np.float32)
    from PIL import Image

    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = files[:: max(1, len(files) // 32)][:32]
    pixels = [np.asarray(Image.open(path).convert("RGB").resize((224, 224)), np.float64) / 255 for path in chosen]
    return ((np.stack(pixels) - MEAN) / DEVIATION).transpose(0, 3, 1, 2).astype(np.float32)


def run(binary, work, device, images):
    """The logits of gpunn for images, of the file model.onnx in a folder."""
    (work / "input_0.pb").write_bytes(numpy_helper.from_array(images).SerializeToString())
    done = subprocess.run([binary, device, "layers"], input=str(work), text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    outcome = json.loads(done.stdout)["outcome"]
    if "ran" not in outcome:
        sys.exit(f"{device}: {outcome}")
    return np.fromfile(work / f"{device}_0.f32", np.float32).reshape(len(images), -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--devices", default="cpu")
    parser.add_argument("--opsets", default="13,15,17,18,20,21")
    parser.add_argument("--photos")
    arguments = parser.parse_args()
    binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "run_onnx"
    batch, worst = images(arguments.photos), 0.0
    for name in arguments.networks:
        net, compared = network(name), 0
        for opset in map(int, arguments.opsets.split(",")):
            for dynamo in (False, True) if opset >= FIRST_DYNAMO else (False,):
                with tempfile.TemporaryDirectory() as work:
                    work = pathlib.Path(work)
                    try:
                        export(net, str(work / "model.onnx"), opset, dynamo)
                    except Exception as error:  # PyTorch's exporter refuses some versions.
                        print(f"{name} opset {opset} {'dynamo' if dynamo else 'torchscript'}: PyTorch does not export it: {str(error).splitlines()[0]}")
                        continue
                    wanted = onnxruntime.InferenceSession(str(work / "model.onnx")).run(None, {"image": batch})[0]
                    for device in arguments.devices.split(","):
                        parts = [batch[first : first + TOGETHER] for first in range(0, len(batch), TOGETHER)]
                        found = np.concatenate([run(binary, work, device, part) for part in parts])
                        difference = float(np.abs(found - wanted).max() / np.abs(wanted).max())
                        compared += 1
                        # NaN must not pass.
                        worst = difference if not difference <= worst else worst
                        print(f"{name} opset {opset} {'dynamo' if dynamo else 'torchscript'} {device}: {difference:.1e}", flush=True)
        if compared == 0:
            sys.exit(f"{name}: PyTorch exported no file, so nothing was compared")
    print(f"largest difference {worst:.1e}, limit {LIMIT:.0e}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
