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
    """Writes the kernels into a folder, and returns their paths in the order of the ladders."""
    command = ["cargo", "run", "--release", "-q", "-p", "kernels-tests", "--bin", "render_kernels", "--", folder]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return [pathlib.Path(line) for line in done.stdout.splitlines()]


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
    """The numbers of instructions, of multiply-adds and of reads from workgroup memory (LDS)."""
    # A line with two instructions that run together has `::` between them.
    names = [part.split()[0] for line in lines for part in line.split(" :: ")]
    adds = sum(re.match(r"v_(dual_|pk_)?(fma|fmac|fmamk|fmaak|mad|mac)_f32", name) is not None for name in names)
    return dict(all=len(lines), multiply_adds=adds, lds_reads=sum(name.startswith(("ds_load", "ds_read")) for name in names))


def loop_places(text):
    """The innermost loop with the most multiply-adds, as (first line, end, multiply-adds), and the largest loop around it that has no
    more of them, as (first line, end). Either may be None."""
    lines, blocks = instructions(text)
    found = []
    for number, line in enumerate(lines):
        target = re.search(r"\b(BB\d+)\b", line)
        if target and "branch" in line.split()[0] and blocks.get(target.group(1), number + 1) <= number:
            found.append((blocks[target.group(1)], number + 1))
    counted = [(first, end, count(lines[first:end])["multiply_adds"]) for first, end in found]
    if not counted:
        return None, None
    most = max(adds for *_, adds in counted)
    best = [loop for loop in counted if loop[2] == most]
    inner = min(best, key=lambda loop: loop[1] - loop[0])
    around = [loop[:2] for loop in best if loop[0] <= inner[0] and loop[1] >= inner[1] and loop is not inner]
    return inner, max(around, key=lambda loop: loop[1] - loop[0]) if around else None


def loops(text):
    """The counts of both loops of `loop_places`."""
    lines, _ = instructions(text)
    inner, around = loop_places(text)
    return tuple(loop and count(lines[loop[0] : loop[1]]) for loop in (inner, around))


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


def row_of(stats, family, path):
    """The cells of a kernel, and whether it compiles and keeps all registers."""
    numbers, inner, around, line = statistics(stats, family, path)
    kept = [numbers.get(name) for name in ("Spilled VGPRs", "Spilled SGPRs", "Scratch size")] == [0, 0, 0]
    if not kept:
        print(f"{path.name} on {family}: {line or 'it does not compile'}", file=sys.stderr)
    if not inner or not inner["multiply_adds"]:
        return ["", "", "", ""], kept
    share = inner["multiply_adds"] / inner["all"]
    whole = whole_share(inner, around, path.read_text())
    reads = 16 * inner["lds_reads"] / inner["multiply_adds"]
    registers = f"{numbers['VGPRs']}, {numbers['Subgroups per SIMD']}"
    return [registers, f"{100 * share:.0f} %", f"{100 * whole:.0f} %", f"{reads:.2f}"], kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stats")
    parser.add_argument("--family", action="append")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    families = arguments.family or ["navi31", "mi200"]
    cells = [f"{family}: registers, waves | loop | with the fetch | LDS reads per 16" for family in families]
    print(f"| kernel | {' | '.join(cells)} |\n|---|{'---|' * 4 * len(families)}")
    sound = True
    with tempfile.TemporaryDirectory() as folder:
        for path in render(folder):
            if arguments.only not in path.name:
                continue
            rows = [row_of(arguments.stats, family, path) for family in families]
            sound &= all(kept for _, kept in rows)
            print("| " + " | ".join([path.stem] + [cell for row, _ in rows for cell in row]) + " |")
    sys.exit(not sound)


if __name__ == "__main__":
    main()
