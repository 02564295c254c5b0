"""Compares the heat maps of `gpunn explain` with Grad-CAM in PyTorch (hooks and autograd), on the same SqueezeNet weights and images. Run
it from the repository's root:

    PYTHON scripts/compare_gradcam.py FOLDER SQUEEZENET_1_1.safetensors

FOLDER holds photos (jpg, at any depth). They are compared as PNG files of 256 x 256 pixels, so that neither decoding nor resizing makes a
difference. The layer is the last convolution before the global pooling, after its ReLU. Each image is explained for its answer and for a
class that is not its answer. Prints the largest difference of each device, relative to the largest value of the map. Exits with 1 if it is
more than 1e-3.
"""

import json
import os
import sys

# If stub libraries replace the CUDA libraries, a torch built for CUDA loads only with this flag.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import pathlib
import subprocess
import tempfile

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision.transforms import functional as F

IMAGES = 12
ALLOWED = 1e-3
OTHER_CLASS = ("daisy", 985)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
GPUNN = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release/gpunn")


def gpunn(*arguments):
    return subprocess.run([GPUNN, *arguments], check=True, capture_output=True, text=True).stdout


def grad_cam(network, image, chosen=None):
    """The map of a class, else of the answer, in double precision."""
    x = F.normalize(F.pil_to_tensor(F.center_crop(image, 224)).double() / 255, MEAN, STD)
    kept = {}

    def keep(_, __, output):
        kept["features"] = output
        output.retain_grad()

    hook = network.classifier[2].register_forward_hook(keep)
    logits = network(x[None])[0]
    hook.remove()
    network.zero_grad()
    logits[logits.argmax() if chosen is None else chosen].backward()
    features = kept["features"]
    weights = features.grad.mean(dim=(2, 3), keepdim=True)
    return (weights * features).sum(1)[0].clamp(min=0).detach()


def main():
    photos, weights = sys.argv[1:]
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "gpunn"], check=True)
    network = torchvision.models.squeezenet1_1()
    network.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
    network = network.double().eval()
    # A ReLU in place would change what the hook keeps.
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    paths = sorted(pathlib.Path(photos).rglob("*.jpg"))
    paths = paths[:: max(1, len(paths) // IMAGES)][:IMAGES]
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images = [Image.open(path).convert("RGB").resize((256, 256)) for path in paths]
        files = [folder / f"{number:02}.png" for number in range(len(images))]
        for image, file in zip(images, files):
            image.save(file)
        run = folder / "run"
        gpunn("import", weights, "--model", "squeezenet", "--out", run)
        for device in ("cpu", "gpu"):
            for name, chosen in ((None, None), OTHER_CLASS):
                flags = ["--class", name] if name else []
                found = json.loads(gpunn("explain", run, *files, *flags, "--device", device, "--json", "--quiet"))["images"]
                largest = 0.0
                for image, ours in zip(images, found):
                    theirs = grad_cam(network, image, chosen)
                    difference = (torch.tensor(ours["map"], dtype=torch.double) - theirs).abs().max() / theirs.max()
                    largest = max(largest, difference.item())
                print(f"{device}, {name or 'the answer'}: {len(found)} images, largest difference {largest:.1e}")
                worst = max(worst, largest)
    sys.exit(worst > ALLOWED)


main()
