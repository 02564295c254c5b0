"""What several tests need: a trained run, images as files, and the program `gpunn` of the same environment."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gpunn

PROGRAM = Path(sys.executable).with_name("gpunn.exe" if sys.platform == "win32" else "gpunn")


def program(*words, code=0):
    """Runs the program, and returns what its last line of standard output is in JSON, if it is."""
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else done


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A short training on the characters inside gpunn."""
    out = tmp_path_factory.mktemp("run") / "glyphs"
    return gpunn.train(recipe="glyphs-mlp", epochs=2, device="cpu", out=out, quiet=True)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Grey images of 40 x 50 with strokes, as PNG files."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(1)
    for number in range(10):
        pixels = np.full((40, 50), 240, np.uint8)
        left, top = random.integers(5, 30, 2)
        pixels[top : top + 4, left : left + 15] = 10
        pixels[5:35, left : left + 3] = 20
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """A folder of small photos of two classes."""
    folder = tmp_path_factory.mktemp("photos") / "ours"
    random = np.random.default_rng(2)
    for name, bright in [("dark", 40), ("light", 200)]:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(bright, bright + 40, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder
