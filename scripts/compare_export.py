"""Takes weights of gpunn's own networks to PyTorch and back, with the modules of docs/pytorch.md. Run it from the repository's root:

    PYTHON scripts/compare_export.py

To PyTorch: trains briefly, exports, loads with strict=True, and compares the logits of random images. Back: makes weights in PyTorch,
imports and exports them, and compares tensors (equal bits) and logits. Prints the table of docs/parity.md. Exits with 1 if logits differ by
more than 1e-5 of the largest, or if two exports of one run differ.
"""

import os
import sys

# If stub libraries replace the CUDA libraries, a torch built for CUDA loads only with this flag.
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)

import pathlib
import re
import subprocess
import tempfile

import torch
from safetensors.torch import load_file, save_file

ALLOWED = 1e-5
BUILT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
PROGRAM = BUILT / "examples/torchvision"
GPUNN = BUILT / "gpunn"


def modules():
    """The modules in docs/pytorch.md, so that this script tests the documented code."""
    text = pathlib.Path("docs/pytorch.md").read_text()
    names = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:1]), names)
    return names


def run(*arguments):
    subprocess.run([*arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def export(source, out):
    run(GPUNN, "export", source, "--format", "safetensors", "--out", out)
    first = out.read_bytes()
    run(GPUNN, "export", source, "--format", "safetensors", "--out", out)
    assert out.read_bytes() == first, f"{out} differs between two exports"
    return load_file(out)


def logits(name, network, weights, folder):
    """The largest relative difference between gpunn's logits and PyTorch's in double precision."""
    x = torch.rand(32, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    save_file({"x": x}, folder / "x.safetensors")
    with torch.no_grad():
        theirs = network.double()(x.double())
    worst = 0.0
    for device in ("cpu", "gpu"):
        run(PROGRAM, "logits", weights, name, folder / "x.safetensors", folder / "y.safetensors", device)
        ours = load_file(folder / "y.safetensors")["logits"].double()
        worst = max(worst, ((ours - theirs).abs().max() / theirs.abs().max()).item())
    network.float()
    return worst


def main():
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bins", "--example", "torchvision"], check=True)
    networks = modules()
    print("| network | trained by gpunn, used in PyTorch | made in PyTorch, used by gpunn |\n|---|---|---|")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, build in (("mlp", networks["Mlp"]), ("cnn", networks["Cnn"])):
            trained, out = folder / f"{name}-run", folder / f"{name}.safetensors"
            run(GPUNN, "train", "--model", name, "--dataset", "glyphs", "--limit-train", "720", "--epochs", "2",
                "--device", "cpu", "--out", trained)
            network = build()
            network.load_state_dict(export(trained, out), strict=True)
            there = logits(name, network.eval(), out, folder)
            torch.manual_seed(1)
            network, made = build().eval(), folder / f"{name}-made.safetensors"
            save_file(network.state_dict(), made)
            run(GPUNN, "import", made, "--model", name, "--dataset", "glyphs", "--out", folder / f"{name}-made")
            back = export(folder / f"{name}-made", out)
            assert back.keys() == network.state_dict().keys()
            assert all(torch.equal(back[key], value) for key, value in network.state_dict().items())
            here = logits(name, network, out, folder)
            worst = max(worst, there, here)
            print(f"| {name} | {there:.1e} | {here:.1e} |", flush=True)
    sys.exit(worst > ALLOWED)


main()
