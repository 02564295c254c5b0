#!/usr/bin/env python3
"""Checks that SECURITY.md lists every `unsafe` of the workspace: the table there has, for each file, how often the word stands in its
code, and why. Comments, documentation and texts are ignored.

Usage: scripts/check_unsafe.py
Exits with 1 if a file has another number of them than the table says."""

import re
import subprocess
import sys

from check_layers import ROOT, without_comments

ROW = re.compile(r"^\| `([^`]+\.rs)` \| (\d+) \| (.*\S) \|$", re.MULTILINE)


def listed():
    """The number for each file, from the table. A file stands there once."""
    rows = ROW.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    table = {path: int(count) for path, count, _ in rows}
    if len(table) != len(rows):
        sys.exit("SECURITY.md: a file stands twice in the table")
    return table


def found():
    """The number for each file that has any. Files that git does not know yet count, too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]
    files = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in files if (ROOT / path).exists()}
    counts = {path: len(re.findall(r"\bunsafe\b", without_comments(text))) for path, text in texts.items()}
    return {path: count for path, count in counts.items() if count}


def main():
    wanted, there = listed(), found()
    wrong = [path for path in sorted(wanted | there) if wanted.get(path) != there.get(path)]
    for path in wrong:
        print(f"{path} has {there.get(path, 0)} `unsafe`, but SECURITY.md lists {wanted.get(path, 0)}", file=sys.stderr)
    print(f"{sum(there.values())} `unsafe` in {len(there)} files")
    sys.exit(1 if wrong or not there else 0)


if __name__ == "__main__":
    main()
