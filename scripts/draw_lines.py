#!/usr/bin/env python3
"""Draws pages of letters, digits, numbers, codes and words with handwriting fonts, to measure what the context of a line decides.

    scripts/draw_lines.py OUT SEED kalam.woff patrick-hand.ttf ...
    cargo run --release --example read_rates -- OUT/letters/*.png

Each folder of OUT (letters, digits, numbers, codes, words) holds two pages a font: `0.png` and its text `0.txt`, and so on. Pens, sizes,
spacings and positions are random. Half of the letters and digits are ones that others resemble. Needs numpy and Pillow.
"""

import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + 4 * "OISZLB"
DIGITS = "0123456789" + 2 * "01528"
WORDS = (
    "THE OF AND TO IN IS YOU THAT IT HE WAS FOR ON ARE AS WITH HIS THEY AT BE THIS HAVE FROM OR ONE HAD BY WORD BUT NOT WHAT ALL WERE WE"
    " WHEN YOUR CAN SAID ZERO SIX BOX QUEUE JAZZ VIVID QUICK BROWN LAZY DOG OIL LIST BUY MILK"
).split()
KINDS = {
    "letters": lambda draw: [draw.choice(LETTERS) for _ in range(9)],
    "digits": lambda draw: [draw.choice(DIGITS) for _ in range(9)],
    "numbers": lambda draw: ["".join(draw.choices(DIGITS, k=draw.randint(2, 5))) for _ in range(3)],
    "codes": lambda draw: [draw.choice(LETTERS) + draw.choice(DIGITS) for _ in range(4)],
    "words": lambda draw: [draw.choice(WORDS) for _ in range(4)],
}
WIDTH, LINES = 1400, 6


def glyph(character: str, font: ImageFont.FreeTypeFont, pen: int, draw: random.Random) -> Image.Image:
    """One character, white on black."""
    left, top, right, bottom = font.getbbox(character, stroke_width=pen)
    image = Image.new("L", (right - left + 20, bottom - top + 20))
    ImageDraw.Draw(image).text((10 - left, 10 - top), character, fill=255, font=font, stroke_width=pen)
    size = draw.uniform(0.9, 1.1)
    image = image.resize((int(image.width * size), int(image.height * size)), Image.BICUBIC)
    image = image.rotate(draw.gauss(0, 3), Image.BICUBIC, expand=True)
    return image.crop(image.getbbox())


def page(kind: str, path: str, draw: random.Random) -> tuple[Image.Image, str]:
    """A page of one kind of lines, and its text."""
    height = draw.randint(44, 90)
    font = ImageFont.truetype(path, int(1.4 * height))
    lead, pen = int(height * draw.uniform(1.9, 2.4)), draw.randint(0, 3)
    gap, space = height * draw.uniform(0.08, 0.35), height * draw.uniform(0.9, 1.6)
    paper = Image.new("L", (WIDTH, lead * (LINES + 1)), 255)
    lines = []
    for number in range(1, LINES + 1):
        x, written = height * draw.uniform(0.6, 2), ""
        for character in " ".join(KINDS[kind](draw)):
            if character == " ":
                x, written = x + space, written + " "
                continue
            image = glyph(character, font, pen, draw)
            if x + image.width > WIDTH - 20:
                break
            y = lead * number - image.height + height * draw.gauss(0, 0.04)
            paper.paste(draw.randint(20, 60), (int(x), int(y)), image)
            x, written = x + image.width + gap * draw.uniform(0.6, 1.4), written + character
        lines.append(written.strip() + "\n")
    noise = np.random.default_rng(draw.getrandbits(32)).normal(0, 4, (paper.height, paper.width))
    photo = Image.fromarray((0.85 * np.asarray(paper, float) + noise).clip(0, 255).astype("uint8"))
    return photo.filter(ImageFilter.GaussianBlur(0.8)), "".join(lines)


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit("usage: draw_lines.py OUT SEED FONT...")
    out, seed, *fonts = sys.argv[1:]
    draw = random.Random(int(seed))
    for kind in KINDS:
        folder = Path(out, kind)
        folder.mkdir(parents=True, exist_ok=True)
        for number, font in enumerate(fonts * 2):
            image, text = page(kind, font, draw)
            image.save(folder / f"{number}.png")
            (folder / f"{number}.txt").write_text(text)


if __name__ == "__main__":
    main()
