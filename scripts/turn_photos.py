#!/usr/bin/env python3
"""Turns photos by angles from -45 to 45 degrees, on white, black and grey, for `read_rates`.

The text beside a photo (photo.txt) is copied beside each turned one. Files are named FILL_ANGLE_PHOTO; angles are clockwise.

Usage: PYTHON scripts/turn_photos.py OUT PHOTO...      (PYTHON needs Pillow)
"""

import pathlib
import shutil
import sys

from PIL import Image, ImageOps

ANGLES = [-45, -30, -20, -10, -5, 5, 10, 20, 30, 45]
FILLS = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (120, 110, 100)}

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
for photo in map(pathlib.Path, sys.argv[2:]):
    image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    for fill, colour in FILLS.items():
        for angle in ANGLES:
            turned = out / f"{fill}_{angle}_{photo.stem}.png"
            image.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=colour).save(turned, compress_level=1)
            shutil.copy(photo.with_suffix(".txt"), turned.with_suffix(".txt"))
