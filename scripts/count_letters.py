#!/usr/bin/env python3
"""Counts how often each letter follows each other letter in English text. `gpunn read` uses the counts to choose between similar letters.

    scripts/count_letters.py alice29.txt asyoulik.txt > data/letters.txt

data/letters.txt is from "Alice's Adventures in Wonderland" and "As You Like It", both in the public domain, in the files of the
Canterbury corpus. There is one row for each preceding letter; the first row is for the beginning of a word. There is one column for each
following letter, A to Z; the last column is for the end of a word.
"""

import re
import sys

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: count_letters.py TEXT...")
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
