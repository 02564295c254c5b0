#!/usr/bin/env python3
"""Counts which letter follows which in English text, as `gpunn read` weighs what a word may be.

    scripts/count_letters.py alice29.txt asyoulik.txt > data/letters.txt

The two texts that data/letters.txt was counted in, "Alice's Adventures in Wonderland" and "As You Like It", are in the public
domain and belong to the Canterbury corpus. A row a letter that precedes, the first being a word's begin; a column a letter that
follows, A to Z, the last being a word's end.
"""

import re
import sys

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("Name text files to count in.")
    counts = {before: dict.fromkeys(LETTERS + " ", 0) for before in " " + LETTERS}
    for path in sys.argv[1:]:
        with open(path, encoding="latin-1") as file:
            text = file.read().upper().replace("'", "")
        for word in re.findall("[A-Z]+", text):
            for before, after in zip(" " + word, word + " "):
                counts[before][after] += 1
    for row in counts.values():
        print(" ".join(str(count) for count in row.values()))


if __name__ == "__main__":
    main()
