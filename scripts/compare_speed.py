#!/usr/bin/env python3
"""Compares the speed of gpunn's CPU executor with PyTorch's on this machine. In each round both do the same work, one after the other, and
which of them begins changes with the round. Prints gpunn's time / PyTorch's time, of the minima and of the medians of all rounds, and
whether the ratio is within the row's reach: that of the minima, unless the row says medians. Exits with 0 even if a reach is missed.

    PYTHON scripts/compare_speed.py [--rounds N] [--threads N] [--rows PATTERN] [--markdown] [--malloc default] [--gpunn PATH]
    PYTHON scripts/compare_speed.py --long [--data-dir DIR]        also whole trainings; a round takes many minutes

PYTHON has torch and torchvision; for --long also scipy, Pillow, safetensors. DIR has emnist36, cifar-10-batches-bin, flowers17 and squeezenet.
Ops and steps: short measurements, each the mean of some calls. gpunn's are of `gpunn bench`. Its steps also gather a batch's images and
turn bytes into floats. It prints only the median time of 1024x1024x1024, so that row uses the rounds' medians for both. By default, glibc
gives the memory of large tensors back to the system, and PyTorch pays for page faults in each call: here it keeps it (see --malloc).
Trainings: whole processes, with the default malloc. gpunn evaluates the validation images after each epoch, PyTorch only at the end.
"""
import os
import sys

sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)  # if stub libraries replace CUDA's, a torch built for CUDA loads only with this flag
import argparse
import ctypes
import fnmatch
import functools
import itertools
import json
import pathlib
import platform
import statistics
import subprocess
import tempfile
import time
import timeit
from collections import defaultdict, namedtuple

REPEATS, SECONDS = 25, 0.01  # measurements of a round, and the length of one
Row = namedtuple("Row", "name ours theirs reach by", defaults=(None, "minima"))  # `ours` and `theirs` are names of times that are added
Job = namedtuple("Job", "name rows ours theirs")  # `ours(options)` and `theirs(options, names)` return name to (minimum, median)


def stop(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(2)


try:
    import torch
    import torch.nn as nn
except (ImportError, OSError) as error:
    stop(f"PyTorch cannot be loaded: {error}. Run this script with a Python that has torch.")


def process(*command):
    """Runs a program. Returns the last line of its standard output, and the seconds that it took."""
    start = time.perf_counter()
    try:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    except OSError as error:
        stop(f"{command[0]} cannot be run: {error.strerror}. Build it with `cargo build --release`, or name it with --gpunn.")
    if done.returncode:
        stop(f"{done.stderr.strip()}\n`{' '.join(map(str, command))}` failed.")
    return done.stdout.strip().split("\n")[-1], time.perf_counter() - start


def keep_memory():
    """Lets glibc keep freed memory, except of tensors above 32 MiB, its limit."""
    if platform.libc_ver()[0] == "glibc":
        for option, value in ((-3, 1 << 25), (-1, (1 << 31) - 1)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(option, value)


def measure(run):
    """The minimum and the median of a round's measurements."""
    calls = max(1, int(SECONDS / min(timeit.repeat(run, number=1, repeat=5))))  # timeit uses time.perf_counter
    times = [seconds / calls for seconds in timeit.repeat(run, number=calls, repeat=REPEATS)]
    return min(times), statistics.median(times)


SMALL, PEAK = "matmul 512x512x512", "matmul 1024x1024x1024"
CONV, DEPTHWISE = "32-64 3x3 16x16 b64", "64-64 3x3 depthwise 16x16 b64"
MLP, CNN = "MLP 1024-64-36 step, batch", "CNN 3-32-64-128-10 on 32x32 step, batch"
product = lambda side: functools.partial(torch.matmul, torch.randn(side, side), torch.randn(side, side))
mlp = lambda: nn.Sequential(nn.Flatten(), nn.Linear(1024, 64), nn.Sigmoid(), nn.Linear(64, 36))


def bench(what, rows, cases, learns=False):
    """`gpunn bench WHAT`, and PyTorch's cases: name to a function that does the work once."""

    def ours(options):
        flags = ["--device", "cpu", "--threads", options.threads, "--seconds", SECONDS, "--repeats", REPEATS, "--json", "--quiet"]
        report = json.loads(process(options.gpunn, "bench", what, *flags)[0])
        peak = 2 * 1024**3 / (1e9 * report["peak"]["gflops"])
        return {PEAK: (peak, peak)} | {case["name"]: (case["min_us"] / 1e6, case["median_us"] / 1e6) for case in report["cases"]}

    def theirs(_, names):
        with torch.set_grad_enabled(learns):
            times = {name: measure(run) for name, run in cases().items() if name in names}
        return {name: (median, median) if name == PEAK else (least, median) for name, (least, median) in times.items()}

    return Job(f"bench {what}", rows, ours, theirs)


def convolution(case, inputs, outputs, groups):
    x, dy, w = torch.randn(64, inputs, 16, 16), torch.randn(64, outputs, 16, 16), torch.randn(outputs, inputs // groups, 3, 3)
    backward = lambda *wanted: torch.ops.aten.convolution_backward(dy, x, w, None, *3 * [[1, 1]], False, [0, 0], groups, [*wanted, False])
    forward = lambda: nn.functional.conv2d(x, w, padding=1, groups=groups)
    gradients = [functools.partial(backward, *wanted) for wanted in ((True, False), (False, True), (True, True))]
    return dict(zip([f"{case} {what}" for what in ("y", "dx", "dw", "both")], [forward, *gradients]))


def directions(case, forward, together):
    """The rows of a convolution. For all three directions together, PyTorch computes both gradients in one call."""
    y, dx, dw = f"{case} y", f"{case} dx", f"{case} dw"
    rows = [Row(f"conv2d {name}", [name], [name], reach) for name, reach in ((y, forward), (dx, None), (dw, None))]
    return [*rows, Row(f"conv2d {case} y, dx and dw", [y, dx, dw], [y, f"{case} both"], together)]


def cnn(channels, kernel, padding, features, hidden, classes, dropout=0.0):
    layers = []
    for inputs, outputs in zip(channels, channels[1:]):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, nn.Linear(hidden, classes))


def step(network, shape, classes, batch, reduction):
    """A step of plain SGD, each time with the next batch of the dataset of `gpunn bench train`."""
    count = 64 * max(batch, 16)
    pixels = (torch.arange(count * shape.numel()) * 2_654_435_761 >> 13 & 255) / 255
    batches = itertools.cycle(zip(pixels.view(count, *shape).split(batch), (torch.arange(count) % classes).split(batch)))
    optimizer = torch.optim.SGD(network.parameters(), 0.01)

    def run():
        x, labels = next(batches)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), labels, reduction=reduction).backward()
        optimizer.step()

    return run


def steps():
    cases = {f"{MLP} {batch}": step(mlp(), torch.Size([1, 32, 32]), 36, batch, "sum") for batch in (64, 8)}
    return cases | {f"{CNN} 64": step(cnn([3, 32, 64], 3, 1, 4096, 128, 10), torch.Size([3, 32, 32]), 10, 64, "mean")}


def characters(data, network):
    """As the next two: the network, a function that takes training images by their numbers, their labels, and the other splits."""
    import scipy.io

    files = {split: scipy.io.loadmat(f"{data}/emnist36/emnist36_{split}.mat") for split in ("train", "valid", "test")}
    images = [torch.tensor(file[f"{split}_data"], dtype=torch.float32).view(-1, 1, 32, 32) for split, file in files.items()]
    labels = [torch.tensor(file[f"{split}_labels"].argmax(1)) for split, file in files.items()]
    return network, lambda numbers: images[0][numbers], labels[0], list(zip(images, labels))[1:]


def cifar(data, network):
    folder = pathlib.Path(data, "cifar-10-batches-bin")
    files = [bytearray(file.read_bytes()) for file in [*sorted(folder.glob("data_batch_*.bin")), folder / "test_batch.bin"]]
    rows = torch.cat([torch.frombuffer(file, dtype=torch.uint8).view(-1, 3073) for file in files])
    images, labels = rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].long()
    flipped = lambda x: torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    take = lambda numbers: flipped(images[numbers].float() / 255)
    return network, take, labels[:50000], [(images[50000:].float() / 255, labels[50000:])]


def flowers(data):
    import compare_flowers as known

    network = known.network(data)
    network.features.requires_grad_(False)
    (photos, labels), *others = [known.images(data, split) for split in ("train", "val", "test")]
    take = lambda numbers: torch.stack([known.augment(photos[number]) for number in numbers])
    return network, take, labels, [(torch.stack([known.middle(photo) for photo in x]), y) for x, y in others]


PHOTOS = {"squeezenet": "squeezenet1_1", "resnet18": "resnet18", "mobilenet_v2": "mobilenet_v2"}  # torchvision's names
prediction = lambda network, batch: f"{network} on 224x224 prediction, batch {batch}"


def predictions():
    """torchvision's networks with random weights, with softmax at the end as in `gpunn bench predict`."""
    import torchvision.models as models

    found = {}
    for ours, name in PHOTOS.items():
        network = nn.Sequential(getattr(models, name)(weights=None), nn.Softmax(1)).eval()
        found |= {prediction(ours, batch): functools.partial(network, torch.rand(batch, 3, 224, 224)) for batch in (32, 1)}
    return found


Recipe = namedtuple("Recipe", "reach dataset epochs load batch reduction optimizer", defaults=(32, "mean", None))
RECIPES = {
    "cifar10-cnn": Recipe(0.95, "cifar10", 1, lambda data: cifar(data, cnn([3, 32, 64, 16], 4, 1, 144, 50, 10, 0.05))),
    "nist36-mlp": Recipe(None, "emnist36", 50, lambda data: characters(data, mlp()), 8, "sum", lambda of: torch.optim.SGD(of, 0.01)),
    "nist36-cnn": Recipe(0.65, "emnist36", 25, lambda data: characters(data, cnn([1, 20, 40, 30], 3, 0, 120, 64, 36, 0.1))),
    "flowers17-squeezenet": Recipe(0.6, "flowers17", 5, flowers, optimizer=lambda of: torch.optim.Adam(of, 1e-3)),
}


def train(recipe, data):
    """What PyTorch's process does. Returns the seconds of all epochs, and the accuracy on the last split."""
    network, take, labels, others = recipe.load(data)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = recipe.optimizer(parameters) if recipe.optimizer else torch.optim.SGD(parameters, 0.01, momentum=0.9)
    start = time.perf_counter()
    for _ in range(recipe.epochs):
        sums = []  # of losses, and of right answers
        for numbers in torch.randperm(len(labels)).split(recipe.batch):
            logits = network(take(numbers))
            loss = nn.functional.cross_entropy(logits, labels[numbers], reduction=recipe.reduction)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums += [loss.item(), (logits.argmax(1) == labels[numbers]).sum().item()]
    seconds = time.perf_counter() - start
    network.eval().requires_grad_(False)
    accuracies = [torch.cat([network(part).argmax(1) for part in x.split(100)]).eq(y).float().mean().item() for x, y in others]
    return {"seconds": seconds, "test_accuracy": accuracies[-1]}


def training(name, recipe):
    def once(options, who, *command):
        line, seconds = process(*command, "--data-dir", options.data_dir, "--threads", options.threads)
        report = json.loads(line)
        print(f"    {who}: {seconds:.1f} s, test {100 * report['test_accuracy']:.1f} %", file=sys.stderr)
        return {"process": (seconds, seconds), "epochs alone": (report["seconds"], report["seconds"])}

    def ours(options):
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--dataset", recipe.dataset, "--epochs", recipe.epochs, "--out", folder, "--force", "--no-report", "--json", "--quiet"]
            return once(options, "gpunn", options.gpunn, "train", "--recipe", name, "--device", "cpu", *flags)

    theirs = lambda options, _: once(options, "PyTorch", sys.executable, __file__, "--child", name)
    parts = (("process", recipe.reach), ("epochs alone", None))
    return Job(name, [Row(f"{name}, epochs: {recipe.epochs}, {part}", [part], [part], reach) for part, reach in parts], ours, theirs)


def jobs(options):
    """The jobs with the rows that are asked for."""
    same = lambda name, *reach: Row(name, [name], [name], *reach)
    networks = [same(f"{CNN} 64", 0.7, "medians"), same(f"{MLP} 64", 0.7, "medians"), same(f"{MLP} 8", 0.4, "medians")]
    convolutions = lambda: convolution(CONV, 32, 64, 1) | convolution(DEPTHWISE, 64, 64, 64)
    photos = [(network, batch, 1.0 if batch > 1 and network != "mobilenet_v2" else None) for network in PHOTOS for batch in (32, 1)]
    found = [
        bench("matmul", [same(SMALL, 1.1), same(PEAK, 1.1)], lambda: {SMALL: product(512), PEAK: product(1024)}),
        bench("conv2d", directions(CONV, 1.15, 1.15) + directions(DEPTHWISE, None, 1.0), convolutions),
        bench("train", networks, steps, learns=True),
        bench("predict", [same(prediction(network, batch), reach) for network, batch, reach in photos], predictions),
    ]
    found += [training(name, recipe) for name, recipe in RECIPES.items()] if options.long else []
    wanted = [job._replace(rows=[row for row in job.rows if fnmatch.fnmatch(row.name, f"*{options.rows}*")]) for job in found]
    if not any(job.rows for job in wanted):
        stop(f"No row matches `{options.rows}`. Trainings need --long. Rows: {'; '.join(row.name for job in found for row in job.rows)}.")
    return [job for job in wanted if job.rows]


def line(row, times):
    """The row's cells: both times and their ratio, of the minima and of the medians, and the reach."""
    cells = [row.name]
    for place, (by, statistic) in enumerate((("minima", min), ("medians", statistics.median))):
        of = lambda side, names: sum(statistic([pair[place] for pair in times[side, name]]) for name in names)
        both = [of("gpunn", row.ours), of("PyTorch", row.theirs)]
        cells += [*(f"{1e3 * seconds:.3f} ms" if seconds < 1 else f"{seconds:.1f} s" for seconds in both), f"{both[0] / both[1]:.2f}"]
        if by == row.by and row.reach:
            reach = f"<= {row.reach}{' of medians' if by == 'medians' else ''}: {'met' if both[0] / both[1] <= row.reach else 'missed'}"
    return [*cells, reach if row.reach else ""]


def table(lines, markdown):
    head = ["what", *(f"{name}, {by}" for by in ("minimum", "median") for name in ("gpunn", "PyTorch", "ratio")), "reach"]
    if markdown:
        return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *lines])
    widths = [max(map(len, column)) for column in zip(head, *lines)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in [head, *lines])


def arguments():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpunn", default="target/release/gpunn", metavar="PATH", help="the program [default: target/release/gpunn]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="[default: 5]")
    parser.add_argument("--threads", type=int, default=cores, metavar="N", help="threads of both [default: one per core]")
    parser.add_argument("--rows", default="", metavar="PATTERN", help="only rows with this in their names; * and ? as in a shell")
    parser.add_argument("--long", action="store_true", help="also whole trainings")
    parser.add_argument("--data-dir", default=os.environ.get("GPUNN_DATA"), metavar="DIR", help="the datasets [default: GPUNN_DATA]")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--malloc", choices=["keep", "default"], default="keep", help="for PyTorch's ops and steps [default: keep]")
    parser.add_argument("--child", choices=RECIPES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.rounds, options.threads) < 1 or options.long and not options.data_dir:
        parser.error("--rounds and --threads have to be at least 1, and --long needs --data-dir or GPUNN_DATA.")
    return options


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.child:
        return print(json.dumps(train(RECIPES[options.child], options.data_dir)))
    if options.malloc == "keep":
        keep_memory()
    work, times = jobs(options), defaultdict(lambda: defaultdict(list))
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line] if sys.platform == "linux" else []
    heads = [process(options.gpunn, "--version")[0], f"PyTorch {torch.__version__}", *(names or [platform.machine()])[:1]]
    print("; ".join([*heads, f"threads: {options.threads}; rounds: {options.rounds}; load: {os.getloadavg()[0]:.1f}"]) + "\n", flush=True)
    for number, job in itertools.product(range(options.rounds), work):
        print(f"round {number + 1} of {options.rounds}: {job.name}", file=sys.stderr)
        names = {name for row in job.rows for name in row.theirs}
        sides = [("gpunn", lambda: job.ours(options)), ("PyTorch", lambda: job.theirs(options, names))]
        for side, run in sides if number % 2 == 0 else reversed(sides):
            for name, pair in run().items():
                times[job.name][side, name].append(pair)
    print(table([line(row, times[job.name]) for job in work for row in job.rows], options.markdown))


if __name__ == "__main__":
    main()
