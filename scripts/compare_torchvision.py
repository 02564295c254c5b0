"""Compares gpunn's networks of ImageNet with torchvision's and timm's on the same weights and images. Also compares decoding and
resizing of image files. Run it from the repository's root:

    PYTHON scripts/compare_torchvision.py [FOLDER] [--weights SQUEEZENET_1_1.safetensors] [--only NAME,...]

It needs timm for `convnext_atto`. FOLDER holds photos (jpg, at any depth); without it only random images are compared. `examples/torchvision.rs` computes gpunn's results.
Weights are random, from a fixed seed, with the running statistics of random batches. SqueezeNet 1.1 is also compared with the weights of the file.
With photos, the features that `gpunn embed` writes are compared, too. Also compares the gradients of a training step.
Prints the tables of docs/parity.md. Exits with 1 if logits differ by more than 1e-4 of the largest, features by more than 1e-5, gradients by
more than 2e-2 of their norm, or if an exported file does not load with strict=True.
"""

import os
import sys

# If stub libraries replace the CUDA libraries, a torch built for CUDA loads only with this flag.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import pathlib
import subprocess
import tempfile

import numpy
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch.nn import functional as F_nn
from torchvision.transforms import functional as F

IMAGES = 32
ALLOWED = 1e-4
ALLOWED_FEATURES = 1e-5
# Rounding decides the sign of a few inputs of a ReLU, each of which changes the gradients of a small batch by some thousandths.
ALLOWED_GRADIENT = 2e-2
MODELS = {  # by gpunn's names
    "squeezenet": torchvision.models.squeezenet1_1,
    "squeezenet1_0": torchvision.models.squeezenet1_0,
    "resnet18": torchvision.models.resnet18,
    "resnet34": torchvision.models.resnet34,
    "resnet50": torchvision.models.resnet50,
    "mobilenet_v2": torchvision.models.mobilenet_v2,
    "mobilenet_v3_small": torchvision.models.mobilenet_v3_small,
    "mobilenet_v3_large": torchvision.models.mobilenet_v3_large,
    "efficientnet_b0": torchvision.models.efficientnet_b0,
    "regnet_y_400mf": torchvision.models.regnet_y_400mf,
    "convnext_tiny": torchvision.models.convnext_tiny,
    "convnext_atto": lambda: timm.create_model("convnext_atto"),
}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
PROGRAM = BUILT / "examples/torchvision"
GPUNN = BUILT / "gpunn"


def ours(*arguments):
    subprocess.run([*arguments], check=True, stdout=subprocess.DEVNULL)


def random_network(build):
    """Torchvision's initial weights, with the running statistics of two batches, so that batch norms change their input. The factors of
    channels, at first 1e-6 in a ConvNeXt, become random ones, so that its blocks count."""
    torch.manual_seed(1)
    network = build()
    network.train()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("layer_scale", "gamma")):
                parameter.uniform_(0.5, 1.5)
        for _ in range(2):
            network(torch.randn(8, 3, 224, 224))
    return network.eval()


def largest(ours, theirs):
    return ((ours.double() - theirs).abs().max() / theirs.abs().max()).item()


def compare(name, network, weights, x, folder):
    """One row: the largest relative differences from torchvision in double precision, of CPU, GPU and torchvision in single precision."""
    save_file({"x": x}, folder / "x.safetensors")
    with torch.no_grad():
        single = network(x)
        theirs = network.double()(x.double())
    row = []
    for device in ("cpu", "gpu"):
        out = folder / f"{device}.safetensors"
        ours(PROGRAM, "logits", weights, name, folder / "x.safetensors", out, device)
        row.append(largest(load_file(out)["logits"], theirs))
    return [*row, largest(single, theirs)]


def without_chance(network):
    """In training: no dropout and no stochastic depth."""
    for module in network.modules():
        if isinstance(module, (torch.nn.Dropout, torchvision.ops.StochasticDepth)):
            module.p = 0.0
    return network.train()


def compare_gradients(name, network, weights, folder):
    """One row: as `compare`, of the gradients of a training step of few small images, all parameters as one vector: the norm of the
    difference, relative to the norm."""
    generator = torch.Generator().manual_seed(3)
    given = dict(x=torch.randn(8, 3, 96, 96, generator=generator), labels=torch.randint(0, 1000, [8], generator=generator))
    save_file(dict(given, labels=given["labels"].float()), folder / "batch.safetensors")

    def gradients(precision):
        network.to(precision).zero_grad()
        F_nn.cross_entropy(without_chance(network)(given["x"].to(precision)), given["labels"]).backward()
        return {key: parameter.grad.double() for key, parameter in network.named_parameters()}

    state = {key: value.clone() for key, value in network.state_dict().items()}
    single = gradients(torch.float32)
    network.load_state_dict(state)
    theirs = gradients(torch.float64)
    whole = lambda found: torch.cat([found[key].double().flatten() for key in sorted(theirs)])

    def worst(found):
        assert found.keys() == theirs.keys()
        return ((whole(found) - whole(theirs)).norm() / whole(theirs).norm()).item()

    row = []
    for device in ("cpu", "gpu"):
        out = folder / f"gradients-{device}.safetensors"
        ours(PROGRAM, "gradients", weights, name, folder / "batch.safetensors", out, device)
        row.append(worst(load_file(out)))
    return [*row, worst(single)]


def strictly(name, weights, folder):
    """The exported weights load with strict=True and hold the same numbers, in 32 bits and in 16 bits."""
    run, out = folder / f"run-{name}", folder / "out.safetensors"
    ours(GPUNN, "import", weights, "--model", name, "--out", run, "--force")
    before = load_file(weights)
    for flags, allowed in ([], 0.0), (["--f16"], 2.0**-11):
        ours(GPUNN, "export", run, "--out", out, *flags)
        network = MODELS[name]()
        network.load_state_dict(load_file(out), strict=True)
        for key, value in network.state_dict().items():
            if key.endswith("num_batches_tracked"):
                continue
            difference = (value - before[key].float()).abs()
            assert (difference <= allowed * before[key].float().abs() + (6e-8 if allowed else 0)).all(), key


def features(name, network, weights, paths, folder):
    """One row: the number of features, and the largest relative differences of `gpunn embed` from torchvision in double precision, without
    and with --normalize. The photos are PNG files of 256 x 256, so that nothing is resized."""
    from PIL import Image

    images, files = [], []
    for number, path in enumerate(paths):
        image = Image.open(path).convert("RGB").resize((256, 256))
        files.append(folder / f"square-{number}.png")
        image.save(files[-1])
        images.append(F.normalize(F.pil_to_tensor(F.center_crop(image, 224)).double() / 255, MEAN, STD))
    cut = torch.nn.Sequential(*list(network.children())[:-1]).double()
    with torch.no_grad():
        theirs = cut(torch.stack(images)).mean((2, 3))
    row, out = [theirs.shape[1]], folder / "features.npy"
    for flags, wanted in ([], theirs), (["--normalize"], torch.nn.functional.normalize(theirs)):
        ours(GPUNN, "embed", *files, "--out", out, "--pretrained", weights, "--model", name, "--device", "cpu", *flags)
        row.append(largest(torch.from_numpy(numpy.load(out)), wanted))
    return row


def reference(path):
    """An image after torchvision's evaluation transform, in bytes."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    image = F.center_crop(F.resize(image, 256, F.InterpolationMode.BILINEAR, antialias=True), 224)
    return F.pil_to_tensor(image)


def prepared(paths, folder):
    ours(PROGRAM, "prepare", folder / "prepared.safetensors", *paths)
    found = load_file(folder / "prepared.safetensors")
    return [found[str(path)] for path in paths]


def distance(pairs):
    differences = torch.cat([(a - b.float()).abs().flatten() for a, b in pairs])
    return f"{differences.max().item():.0f} | {differences.mean().item():.4f} | {(differences > 1).float().mean().item():.2%}"


def photographs(folder, temporary):
    """Photos for the decoder, and the same photos as PNG files of other sizes for the resizing."""
    from PIL import Image

    paths = sorted(pathlib.Path(folder).rglob("*.jpg"))
    paths = paths[:: max(1, len(paths) // IMAGES)][:IMAGES]
    scaled = []
    for number, path in enumerate(paths):
        image = Image.open(path).convert("RGB")
        scale = 0.5 + 2.5 * number / len(paths)
        size = (round(image.width * scale), round(image.height * (scale + 0.1)))
        scaled.append(temporary / f"{number}.png")
        image.resize(size, Image.Resampling.BICUBIC).save(scaled[-1])
    return paths, scaled


def main():
    arguments = sys.argv[1:]
    weights = arguments.pop(arguments.index("--weights") + 1) if "--weights" in arguments else None
    only = arguments.pop(arguments.index("--only") + 1).split(",") if "--only" in arguments else list(MODELS)
    photos = next((argument for argument in arguments if argument not in ("--weights", "--only")), None)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bins", "--example", "torchvision"], check=True)
    worst, learned, rows, photo_paths = 0.0, {}, [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        x = torch.randn(IMAGES, 3, 224, 224, generator=torch.Generator().manual_seed(2))
        if photos:
            paths, scaled = photographs(photos, folder)
            print("| from file to input | largest difference | mean difference | share above 1 |\n|---|---|---|---|")
            print("| JPEG with a shorter side of 256: decoding only |", distance(zip(prepared(paths, folder), map(reference, paths))), "|")
            print("| PNG of other sizes: resizing only |", distance(zip(prepared(scaled, folder), map(reference, scaled))), "|")
            photo_paths = paths
            x = torch.stack([F.normalize(reference(path).float() / 255, MEAN, STD) for path in paths])
        print("\n| network | weights | CPU | lavapipe | torchvision in f32 |\n|---|---|---|---|---|")
        for name, build in ((name, MODELS[name]) for name in only):
            network = random_network(build)
            file = folder / f"{name}.safetensors"
            save_file(network.state_dict(), file)
            strictly(name, file, folder)
            row = compare(name, network, file, x, folder)
            worst = max(worst, *row[:2])
            print(f"| {name} | random | " + " | ".join(f"{value:.1e}" for value in row) + " |", flush=True)
            if photo_paths:
                rows.append((name, "random", *features(name, network, file, photo_paths, folder)))
            learned[name] = compare_gradients(name, network.float(), file, folder)
        if weights:
            network = MODELS["squeezenet"]()
            network.load_state_dict({key: value.float() for key, value in load_file(weights).items()})
            row = compare("squeezenet", network.eval(), pathlib.Path(weights), x, folder)
            worst = max(worst, *row[:2])
            print("| squeezenet | pretrained | " + " | ".join(f"{value:.1e}" for value in row) + " |")
            if photo_paths:
                rows.append(("squeezenet", "pretrained", *features("squeezenet", network, weights, photo_paths, folder)))
    print("\n| network | weights | features | `embed` | `embed --normalize` |\n|---|---|---|---|---|")
    for name, kind, width, *row in rows:
        print(f"| {name} | {kind} | {width} | " + " | ".join(f"{value:.1e}" for value in row) + " |")
    worst_features = max((value for row in rows for value in row[3:]), default=0.0)
    print("\n| gradients of | CPU | lavapipe | torchvision in f32 |\n|---|---|---|---|")
    for name, row in learned.items():
        print(f"| {name} | " + " | ".join(f"{value:.1e}" for value in row) + " |")
    failed = worst > ALLOWED or worst_features > ALLOWED_FEATURES or any(max(row[:2]) > ALLOWED_GRADIENT for row in learned.values())
    sys.exit(failed)


main()
