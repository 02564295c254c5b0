#!/usr/bin/env python3
"""Makes the image files under tests/images, and beside each a PNG with the pixels that Pillow decodes.

The PNG is 8-bit RGB; transparent pixels are put on white, as gpunn does. Of an animation it is the first image.

Usage: PYTHON scripts/make_image_tests.py [FOLDER]      (PYTHON needs Pillow and NumPy)
"""

import pathlib
import sys

import numpy
from PIL import Image, ImageDraw, ImageOps

FOLDER = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "tests" / "images"
WIDTH, HEIGHT = 26, 18


def photo():
    """Soft colours, an edge and a line, so that every channel and direction differs."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [7 * x + y, 11 * y, 255 - 9 * x + numpy.where(y > 10, 40, 0)]
    image = Image.fromarray(numpy.stack(planes, -1).clip(0, 255).astype(numpy.uint8))
    ImageDraw.Draw(image).line([(3, 15), (22, 4)], fill=(250, 20, 20), width=2)
    return image


def transparent():
    """The photo, with a disc of full and a ring of half opacity."""
    alpha = Image.new("L", (WIDTH, HEIGHT), 0)
    draw = ImageDraw.Draw(alpha)
    draw.ellipse([2, 1, 23, 16], fill=128)
    draw.ellipse([6, 4, 19, 13], fill=255)
    image = photo()
    image.putalpha(alpha)
    return image


def files():
    """Name, image, and the options with which it is saved."""
    rgb, grey = photo(), photo().convert("L")
    deep = Image.fromarray(numpy.asarray(grey).astype(numpy.uint16) * 257 // 2 + 1000)
    palette = rgb.quantize(30)
    line = grey.point(lambda value: 255 if value > 110 else 0).convert("1")
    moved = ImageOps.mirror(palette.convert("RGB")).quantize(30)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        ("still.gif", palette, {}),
        ("animated.gif", palette, {"save_all": True, "append_images": [moved], "duration": 100}),
        ("transparent.gif", transparent(), {}),
        ("lzw.tiff", rgb, {"compression": "tiff_lzw"}),
        ("deflate.tif", rgb, {"compression": "tiff_adobe_deflate"}),
        ("packbits.tiff", grey, {"compression": "packbits"}),
        ("jpeg.tiff", rgb, {"compression": "jpeg"}),
        ("fax.tiff", line, {"compression": "group4"}),
        ("deep.tiff", deep, {}),
        ("palette.tiff", palette, {}),
        ("alpha.tiff", transparent(), {}),
        ("pages.tiff", rgb, {"save_all": True, "append_images": [ImageOps.mirror(rgb)], "compression": "tiff_lzw"}),
        ("turned.tiff", rgb, {"compression": "tiff_lzw", "exif": exif}),
        ("cmyk.tiff", rgb.convert("CMYK"), {}),
        ("palette.png", transparent().quantize(40), {}),
        ("deep.png", deep, {}),
        ("line.png", line, {}),
        ("grey-alpha.png", transparent().convert("LA"), {}),
        ("animated.png", rgb, {"save_all": True, "append_images": [ImageOps.mirror(rgb)]}),
        ("palette.bmp", palette, {}),
        ("line.bmp", line, {}),
        ("lossless.webp", transparent(), {"lossless": True}),
        ("animated.webp", rgb, {"save_all": True, "append_images": [ImageOps.mirror(rgb)], "lossless": True}),
        ("lossy.webp", rgb, {"quality": 90}),
        ("progressive.jfif", rgb, {"format": "JPEG", "progressive": True, "quality": 90}),
        ("grey.jpe", grey, {"format": "JPEG", "quality": 90}),
        ("cmyk.jpg", rgb.convert("CMYK"), {"quality": 90}),
        ("turned.jpg", rgb, {"quality": 90, "exif": exif, "subsampling": "4:2:0"}),
    ]


def decoded(path):
    """8-bit RGB on white, upright."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "I;16":
        image = Image.fromarray((numpy.asarray(image) / 257).round().astype(numpy.uint8))
    if image.mode in ("P", "PA", "LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


FOLDER.mkdir(exist_ok=True)
for name, image, options in files():
    path = FOLDER / name
    image.save(path, **options)
    decoded(path).save(FOLDER / f"{name}.png", optimize=True)
