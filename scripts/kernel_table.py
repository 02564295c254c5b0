#!/usr/bin/env python3
"""What AMD's compiler makes of the kernels for hardware, as a table: for docs/kernel-ladder.md. No GPU is needed.

STATS is a program that compiles WGSL files for a GPU that is not there and prints statistics and assembly, as `kernel-stats --asm
FAMILY FILE...` of the project's laboratory does. `loop` is the share of multiply-adds in the instructions of the innermost loop;
`with the fetch` counts also what a lane does once for each tile, both sides of a condition.

The script fails if a kernel spills registers or does not compile.

Usage: scripts/kernel_table.py STATS [--family navi31]... [--only PART]
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def render(folder):
    command = ["cargo", "run", "--release", "-q", "-p", "kernels-tests", "--bin", "render_kernels", "--", folder]
    subprocess.run(command, cwd=ROOT, check=True)


def instructions(text):
    """The instructions of the assembly, and the number of the instruction where each block begins."""
    lines, blocks = [], {}
    for line in text.split("\n"):
        if block := re.match(r"(BB\d+):", line):
            blocks[block.group(1)] = len(lines)
        elif instruction := re.match(r"\t(\S.*)", line):
            lines.append(instruction.group(1))
    return lines, blocks


def count(lines):
    """The number of instructions of each kind."""
    kinds = dict(all=len(lines), multiply_adds=0, lds_reads=0, lds=0, memory=0)
    for line in lines:
        for name in re.findall(r"\b[a-z]+_[a-z0-9_]+", line.split("::")[0].split()[0]) + re.findall(r"::\s*(\w+)", line):
            if re.match(r"v_(dual_)?(fma|fmac|fmamk|fmaak|mad|mac)_f32|v_fma_f32|v_(dual_)?fmac", name):
                kinds["multiply_adds"] += 1
        if re.match(r"v_pk_fma", line):
            kinds["multiply_adds"] += 1
        if line.startswith("ds_"):
            kinds["lds"] += 1
            kinds["lds_reads"] += "load" in line.split()[0] or "read" in line.split()[0]
        if re.match(r"(buffer|global|flat)_", line):
            kinds["memory"] += 1
    return kinds


def loops(text):
    """The counts of the innermost loop with the most multiply-adds, and of the loop around it with the fewest others, or None."""
    lines, blocks = instructions(text)
    found = []
    for number, line in enumerate(lines):
        target = re.search(r"\b(BB\d+)\b", line)
        if target and "branch" in line.split()[0] and blocks.get(target.group(1), number + 1) <= number:
            found.append((blocks[target.group(1)], number + 1))
    counted = [(count(lines[first:end]), first, end) for first, end in found]
    if not counted:
        return None, None
    most = max(counts["multiply_adds"] for counts, *_ in counted)
    best = [loop for loop in counted if loop[0]["multiply_adds"] == most]
    inner = min(best, key=lambda loop: loop[0]["all"])
    around = [loop for loop in best if loop[1] <= inner[1] and loop[2] >= inner[2] and loop is not inner]
    return inner[0], max(around, key=lambda loop: loop[0]["all"])[0] if around else None


def whole_share(inner, around, source):
    """The share of multiply-adds with what happens once for a tile: the inner loop counts as often as it runs."""
    depth = re.search(r"const TILE_DEPTH: u32 = (\d+)u", source)
    if around is None or depth is None:
        return inner["multiply_adds"] / inner["all"]
    turns = 64 * int(depth.group(1)) // inner["multiply_adds"]
    return turns * inner["multiply_adds"] / (turns * inner["all"] + around["all"] - inner["all"])


def statistics(stats, family, path):
    text = subprocess.run([stats, "--asm", family, path], capture_output=True, text=True, check=True).stdout
    line = next((line for line in text.split("\n") if line.startswith(path.name)), "")
    numbers = {name: int(value) for name, value in re.findall(r"([A-Z][A-Za-z ]+?) (\d+)(?=  |$)", line)}
    assembly = text.split("--- Assembly")[-1] if "--- Assembly" in text else ""
    return numbers, *loops(assembly), line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stats")
    parser.add_argument("--family", action="append")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        render(folder)
        paths = sorted(path for path in pathlib.Path(folder).iterdir() if arguments.only in path.name)
        for family in arguments.family or ["navi31", "mi200"]:
            print(f"\n| {family} | VGPRs | spills | waves | multiply-adds: loop | with the fetch | LDS reads per 16 |")
            print("|---|---|---|---|---|---|---|")
            for path in paths:
                numbers, counts, around, line = statistics(arguments.stats, family, path)
                spills = numbers.get("Spilled VGPRs", -1) + numbers.get("Spilled SGPRs", -1)
                if not numbers or spills != 0 or numbers.get("Scratch size", 0) != 0:
                    print(f"{path.name}: {line or 'does not compile'}", file=sys.stderr)
                    failed = True
                row = [path.stem, numbers.get("VGPRs", "?"), spills, numbers.get("Subgroups per SIMD", "?")]
                if counts and counts["multiply_adds"]:
                    adds = counts["multiply_adds"]
                    per = lambda kind: f"{16 * counts[kind] / adds:.2f}"
                    whole = whole_share(counts, around, path.read_text())
                    row += [f"{100 * adds / counts['all']:.0f} %", f"{100 * whole:.0f} %", per("lds_reads")]
                print("| " + " | ".join(map(str, row)) + " |")
    sys.exit(failed)


if __name__ == "__main__":
    main()
