#!/usr/bin/env python3
"""Times the training of a small convolutional network in a browser: gpunn beside jax-js and TensorFlow.js.

Usage: PYTHON scripts/compare_web.py PAGE MNIST [--device gpu|cpu] [--images N] [--rounds N]      (PYTHON needs playwright; npm is needed)

PAGE is the folder that scripts/web.sh builds, MNIST the folder with train-images-idx3-ubyte and train-labels-idx1-ubyte, packed or not.
Each library has a page of its own, trains the same images in batches of 64 with plain gradient descent, and is timed in turn; an epoch
before counts for nothing, since it compiles. In a headless Chromium, WebGPU is SwiftShader, which computes on the CPU.
"""

import argparse
import gzip
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

from web_browser import FLAGS, Quiet, chromium, served

HERE = pathlib.Path(__file__).resolve().parent / "compare_web"
BATCH, RATE = 64, 0.05


class Isolated(Quiet):
    def end_headers(self):
        # With these, jax-js and TensorFlow.js may use threads on the CPU.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


def idx(folder, name, head):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            bytes = path.read_bytes()
            return (gzip.decompress(bytes) if path.suffix == ".gz" else bytes)[head:]
    sys.exit(f"{folder} has no {name}")


def build(page, mnist, out):
    """The folder that is served: the pages, the libraries in one file each, the images."""
    for file in HERE.iterdir():
        shutil.copy(file, out)
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=out, check=True)
    for library in ("jax", "tfjs"):
        bundle = ["npx", "esbuild", f"{library}.js", "--bundle", "--format=esm", "--minify", f"--outfile={library}.bundle.js", "--log-level=error"]
        subprocess.run(bundle, cwd=out, check=True)
    shutil.copytree(page / "pkg", out / "pkg")
    (out / "images.bin").write_bytes(idx(mnist, "train-images-idx3-ubyte", 16))
    (out / "labels.bin").write_bytes(idx(mnist, "train-labels-idx1-ubyte", 8))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("mnist", type=pathlib.Path)
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--libraries", default="gpunn,jax,tfjs")
    arguments = parser.parse_args()
    libraries = arguments.libraries.split(",")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        build(arguments.page, arguments.mnist, folder)
        address = served(folder, Isolated)
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        pages, images, times, losses = {}, {}, {}, {}
        for library in libraries:
            page = browser.new_page()
            page.on("pageerror", lambda error: print(f"{library}: {error}", file=sys.stderr))
            page.goto(f"{address}/index.html")
            page.wait_for_function("() => Boolean(globalThis.begin)")
            images[library] = page.evaluate("given => begin(...given)", [library, arguments.device, arguments.images, BATCH, RATE])
            losses[library] = [page.evaluate("time()")["loss"]]
            pages[library], times[library] = page, []
        for _ in range(arguments.rounds):
            for library, page in pages.items():
                found = page.evaluate("time()")
                times[library].append(found["seconds"])
                losses[library].append(found["loss"])
        browser.close()
    best = {library: images[library] / min(of) for library, of in times.items()}
    print(f"{arguments.device}, {arguments.images} images an epoch, batches of {BATCH}, {arguments.rounds} epochs of each in turn")
    for library, of in times.items():
        rate = images[library] / statistics.median(of)
        ends = f"loss {losses[library][0]:.3f} in the first epoch, {losses[library][-1]:.3f} in the last"
        print(f"{library:<6} {best[library]:8.0f} images/s at best, {rate:8.0f} in the median; {ends}")
    others = [rate for library, rate in best.items() if library != "gpunn"]
    if others and "gpunn" in best:
        print(f"gpunn is {best['gpunn'] / max(others):.2f} times the faster of the others")


if __name__ == "__main__":
    main()
