#!/usr/bin/env python3
"""Measures a training with 1, 2 and 4 processes on this machine, and what a model of it predicts: the table of docs/scaling.md.

Usage: scripts/scaling.py GPUNN [REPEATS]     GPUNN is a program with the feature `mpi`; mpirun is in PATH

The model of the time of a step, with n processes:

    n = 1   compute(batch)
    n > 1   compute(batch / n) x max(1, n / cores) + exchange(n)

compute(b) = fixed + each x b is fitted to trainings of one process with one thread, with batches of all, a half and a quarter of the
images. exchange(n) is the sum of the gradients: n processes move 2 (n - 1) times the gradient through this machine's memory, at the speed
that `gpunn bench exchange` shows with two processes. On a network, each process sends 2 (n - 1) / n times the gradient over a link of
its own, and waits 2 (n - 1) times for a message.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

BATCH, IMAGES, EPOCHS = 128, 2560, 2
RECIPE = ["--recipe", "cifar10-cnn", "--device", "cpu", "--threads", "1", "--limit-train", str(IMAGES), "--epochs", str(EPOCHS), "--seed", "1"]
RANKS = [1, 2, 4]
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def launched(ranks, words):
    start = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks > 1 else []
    done = subprocess.run(start + words, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    return done.stdout


def step_seconds(gpunn, ranks, batch):
    """The seconds of a step in the last epoch, when all is warm."""
    with tempfile.TemporaryDirectory() as folder:
        run = os.path.join(folder, "run")
        words = [gpunn, "train", *RECIPE, "--batch-size", str(batch), "--out", run, "--no-report", "--quiet"]
        launched(ranks, words)
        with open(os.path.join(run, "metrics.jsonl")) as lines:
            last = json.loads(lines.read().splitlines()[-1])
    return batch / last["images_per_second"]


def exchange(gpunn, ranks, values):
    words = [gpunn, "bench", "exchange", "--values", str(values), "--repeats", "30", "--json"]
    return json.loads(launched(ranks, words).splitlines()[-1])["sum"]["median_us"] * 1e-6


def fitted(points):
    """fixed and each of the line through (batch, seconds), by least squares."""
    mean_x, mean_y = (statistics.mean(values) for values in zip(*points))
    each = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return mean_y - each * mean_x, each


def on_network(ranks, gradient, gigabits, latency=20e-6):
    """The seconds of a sum of gradients of so many bytes over links of so many Gbit/s."""
    return 2 * (ranks - 1) / ranks * gradient / (gigabits * 1e9 / 8) + 2 * (ranks - 1) * latency


def main():
    gpunn, repeats = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    summary = json.loads(launched(1, [gpunn, "summary", "--model", "cnn", "--dataset", "cifar10", "--json"]).splitlines()[-1])
    values, cores = summary["parameters"], len(os.sched_getaffinity(0))
    batches = [BATCH, BATCH // 2, BATCH // 4]
    alone, together = {batch: [] for batch in batches}, {ranks: [] for ranks in RANKS}
    for _ in range(repeats):
        for batch in batches:
            alone[batch].append(step_seconds(gpunn, 1, batch))
        for ranks in RANKS:
            together[ranks].append(step_seconds(gpunn, ranks, BATCH))
    fixed, each = fitted([(batch, min(times)) for batch, times in alone.items()])
    memory = 2 * 4 * values / exchange(gpunn, 2, values)
    print(f"{values} parameters, batch {BATCH}, {cores} cores: compute {1e3 * fixed:.2f} ms + {1e3 * each:.3f} ms an image, exchanges at {memory / 1e9:.1f} GB/s")
    print("| processes | step, measured | step, model | difference |\n|---|---|---|---|")
    for ranks in RANKS:
        model = fixed + each * BATCH
        if ranks > 1:
            model = (fixed + each * BATCH / ranks) * max(1, ranks / cores) + 2 * (ranks - 1) * 4 * values / memory
        found = min(together[ranks])
        print(f"| {ranks} | {1e3 * found:.1f} ms | {1e3 * model:.1f} ms | {100 * (model / found - 1):+.0f} % |")


def table():
    """The model for devices of their own: what to expect of n devices, whose step takes so long alone, by the size of the gradient."""
    print("| step of one device | parameters | link | " + " | ".join(f"{n}" for n in (2, 4, 8, 16, 32, 64)) + " |")
    print("|---|---|---|" + "---|" * 6)
    for step, parameters in ((0.020, 2e6), (0.100, 2e6), (0.100, 25e6), (0.500, 25e6)):
        for gigabits in (10, 100):
            speed = [step / (step / n + on_network(n, 4 * parameters, gigabits)) for n in (2, 4, 8, 16, 32, 64)]
            print(f"| {1e3 * step:.0f} ms | {parameters / 1e6:.0f} M | {gigabits} Gbit/s | " + " | ".join(f"{x:.1f}" for x in speed) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
    table()
