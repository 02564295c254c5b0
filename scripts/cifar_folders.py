#!/usr/bin/env python3
"""Writes images of CIFAR-10 as folders of PNG files, one for each class: OUT/train (500 of each class) and OUT/other (100 of each).

The training images are the first ones of the first batch, the others the first ones of the test batch.

Usage: PYTHON scripts/cifar_folders.py DIR/cifar-10-batches-bin OUT      (PYTHON needs Pillow and NumPy)
"""

import pathlib
import sys

import numpy
from PIL import Image

RECORD = 1 + 3 * 32 * 32


def write(batch, classes, count, out):
    """Writes the first `count` images of each class in a batch."""
    records = numpy.fromfile(batch, numpy.uint8).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    for label, name in enumerate(classes):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in numpy.flatnonzero(records[:, 0] == label)[:count]:
            Image.fromarray(images[number]).save(folder / f"{number}.png")


source, out = map(pathlib.Path, sys.argv[1:])
classes = (source / "batches.meta.txt").read_text().split()
write(source / "data_batch_1.bin", classes, 500, out / "train")
write(source / "test_batch.bin", classes, 100, out / "other")
