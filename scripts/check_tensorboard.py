#!/usr/bin/env python3
"""Reads the event files of a run with TensorBoard's own reader and compares them with metrics.jsonl.

Usage: scripts/check_tensorboard.py RUN        needs: pip install tensorboard
"""
import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TAGS = {
    "loss/train": "train_loss",
    "loss/val": "val_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/val": "val_accuracy",
    "exact_match/train": "train_exact_match",
    "exact_match/val": "val_exact_match",
    "map/val": "val_map",
    "psnr/val": "val_psnr",
    "lr": "lr",
    "images_per_second": "images_per_second",
}


def scalars(events, tag):
    """Steps and values of a tag. Newer versions of TensorBoard store scalars as tensors."""
    if tag in events.Tags()["scalars"]:
        return [(event.step, event.value) for event in events.Scalars(tag)]
    return [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors(tag)]


run = pathlib.Path(sys.argv[1])
lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
there = set(events.Tags()["scalars"]) | set(events.Tags()["tensors"])
wanted = {tag for tag, field in TAGS.items() if any(line.get(field) is not None for line in lines)}
if there != wanted:
    sys.exit(f"{run}: TensorBoard reads {sorted(there)}, but the run has {sorted(wanted)}")
for tag in sorted(wanted):
    read = scalars(events, tag)
    right = [(line["epoch"], line[TAGS[tag]]) for line in lines]
    if [step for step, _ in read] != [step for step, _ in right]:
        sys.exit(f"{run}: {tag} has steps {[step for step, _ in read]}, but the epochs are {[step for step, _ in right]}")
    for (step, value), (_, exact) in zip(read, right):
        if abs(value - exact) > 1e-6 * abs(exact):
            sys.exit(f"{run}: {tag} is {value} in epoch {step}, but {exact} in metrics.jsonl")
files = sorted(path.name for path in (run / "tensorboard").iterdir())
print(f"{run}: TensorBoard reads {len(lines)} epochs of {', '.join(sorted(wanted))} from {len(files)} file(s)")
