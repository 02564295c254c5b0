#!/usr/bin/env python3
"""What a training step costs on an AMD GPU, by its compiler, without a GPU: the instructions of all waves of all dispatches, added up
with each loop as often as it runs, for 64 lanes. As a share of the same step with other variants.

The step is that of `gpunn bench train`: CNN 3-32-64-128-10 on 32x32. STATS is as in kernel_table.py. An instruction is a line of
assembly, so two that run together count as one. Both sides of a condition count, though a wave may run one. Waiting and memory
do not count: this is the time of a GPU on which everything arrives in time.

Usage: scripts/step_cost.py STATS [--family navi31] [--batch 256] [--against OP=VARIANT ...]
"""

import argparse
import json
import pathlib
import re
import subprocess
import tempfile

from kernel_table import ROOT, instructions, loop_places

TILED = [f"{op}=tiled" for op in ("conv2d", "conv2d_backward_input", "conv2d_backward_weight")]


def dispatches(folder, batch, forced):
    command = ["cargo", "run", "--release", "-q", "-p", "kernels-tests", "--bin", "render_step", "--", folder, str(batch), *forced]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def constant(source, name, missing=None):
    """The value of a number or a truth value."""
    found = re.search(rf"const {name}(?:: \w+)? = (true|false|\d+)u?;", source)
    if not found:
        return missing
    return found[1] == "true" if found[1] in ("true", "false") else int(found[1])


def sizes(source, words):
    """The kernel's `Dims` by name."""
    body = re.search(r"struct Dims \{(.*?)\}", source, re.S)[1]
    names = re.findall(r"^\s*(\w+):", body, re.M)
    return dict(zip(names, words))


def steps_of(name, source, dims):
    """How many numbers a lane adds up for each of its outputs."""
    if "conv2d" in name:
        if "depthwise" in name:
            return -(-dims["share"] // 64)
        if "weight" in name:
            return dims["share"]
        channels = dims["out_channels" if constant(source, "BACKWARD") else "in_channels"] // dims["groups"]
        padded = channels if "tiled" in name else -(-channels // 4) * 4
        return dims["kernel_height"] * dims["kernel_width"] * padded
    if "matmul" in name:
        return dims["share"] if "split" in name else dims["depth"]
    known = {"sum_splits": "splits", "sum_rows": "run", "sum": "run", "softmax": "columns", "cross_entropy": "columns"}
    steps = next((dims[size] for kernel, size in known.items() if kernel in name and size in dims), 1)
    return -(-steps // 64) if "_rows" in name else steps


def executed(assembly, steps, depth):
    """The instructions of a wave that adds `steps` numbers for each output, `depth` of them in a turn of the outer loop."""
    lines, _ = instructions(assembly)
    inner, around = loop_places(assembly)
    if inner is None:
        return len(lines)
    first, end, adds = inner
    turns = -(-steps // depth)
    if around is None:
        return len(lines) + (turns - 1) * (end - first)
    inner_turns = max(1, 64 * depth // max(adds, 1))
    once = around[1] - around[0] - (end - first)
    return len(lines) - (around[1] - around[0]) + turns * (once + inner_turns * (end - first))


def cost(stats, family, folder, batch, forced):
    """The instructions of each dispatch, as pairs of file and number."""
    listed = dispatches(folder, batch, forced)
    assembly, wave = {}, {}
    for file in {dispatch["file"] for dispatch in listed}:
        text = subprocess.run([stats, "--asm", family, pathlib.Path(folder) / file], capture_output=True, text=True, check=True).stdout
        if "--- Assembly" not in text:
            raise SystemExit(f"{file} does not compile:\n{text}")
        assembly[file] = text.split("--- Assembly")[-1]
        wave[file] = int(re.search(r"\bwave (\d+)\b", text)[1])
    costs = []
    for dispatch in listed:
        source = (pathlib.Path(folder) / dispatch["file"]).read_text()
        name = dispatch["file"].split("-", 1)[1].removesuffix(".wgsl")
        depth = constant(source, "TILE_DEPTH") or constant(source, "DEPTH") or 1
        lanes = constant(source, "TILE_ROWS", 0) * constant(source, "TILE_COLUMNS", 0) // 64 or (256 if "tiled" in name else 64)
        lanes_of_wave = wave[dispatch["file"]]
        # A wave of 32 lanes takes half the time of one of 64.
        waves = dispatch["groups"] * -(-lanes // lanes_of_wave) * lanes_of_wave / 64
        steps = steps_of(name, source, sizes(source, dispatch["dims"]))
        costs.append((dispatch["file"], waves * executed(assembly[dispatch["file"]], steps, depth)))
    return costs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stats")
    parser.add_argument("--family", default="navi31")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--against", nargs="*", default=TILED)
    arguments = parser.parse_args()
    totals = []
    for title, forced in (("as chosen", []), (" ".join(arguments.against), arguments.against)):
        with tempfile.TemporaryDirectory() as folder:
            costs = cost(arguments.stats, arguments.family, folder, arguments.batch, forced)
        totals.append(sum(number for _, number in costs))
        print(f"{title}: {totals[-1] / 1e6:.1f} million wave instructions")
        for file, number in sorted(costs, key=lambda pair: -pair[1])[:8]:
            print(f"    {file:44} {number / 1e6:8.2f}  {100 * number / totals[-1]:5.1f} %")
    print(f"ratio: {totals[0] / totals[1]:.2f}")


if __name__ == "__main__":
    main()
