#!/usr/bin/env python3
"""Writes images of CIFAR-10 as folders of PNG files, one for each class.

Usage: PYTHON scripts/cifar_folders.py DIR/cifar-10-batches-bin OUT [--long-tail FACTOR]      (PYTHON needs Pillow and NumPy)

Without --long-tail: OUT/train has the first 500 of each class in the first batch, OUT/other the first 100 in the test batch.
With --long-tail 100: OUT/train has all training images of the first class and fewer of each following class, down to a hundredth of the
last one (Y. Cui et al., "Class-balanced loss based on effective number of samples", CVPR 2019); OUT/test has all test images.
"""

import argparse
import pathlib

import numpy
from PIL import Image

RECORD = 1 + 3 * 32 * 32


def write(batches, classes, counts, out):
    """Writes the first images of each class in some batches, as many as `counts` says."""
    records = numpy.concatenate([numpy.fromfile(batch, numpy.uint8).reshape(-1, RECORD) for batch in batches])
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    for label, (name, count) in enumerate(zip(classes, counts)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in numpy.flatnonzero(records[:, 0] == label)[:count]:
            Image.fromarray(images[number]).save(folder / f"{number}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--long-tail", type=float, metavar="FACTOR")
    arguments = parser.parse_args()
    source, out = arguments.source, arguments.out
    classes = (source / "batches.meta.txt").read_text().split()
    test = [source / "test_batch.bin"]
    if arguments.long_tail is None:
        write([source / "data_batch_1.bin"], classes, [500] * 10, out / "train")
        write(test, classes, [100] * 10, out / "other")
        return
    counts = [round(5000 / arguments.long_tail ** (label / 9)) for label in range(10)]
    write(sorted(source.glob("data_batch_*.bin")), classes, counts, out / "train")
    write(test, classes, [1000] * 10, out / "test")
    print(f"training images of each class: {counts}")


if __name__ == "__main__":
    main()
