"""A program that mypy checks with the stubs; it is not run."""

from pathlib import Path

import numpy as np

import gpunn


def show(epoch: gpunn.Epoch) -> bool | None:
    print(epoch["epoch"], epoch["train_loss"])
    accuracy = epoch.get("val_accuracy")
    return False if accuracy is not None and accuracy > 0.99 else None


run = gpunn.train("my-images", epochs=3, lr=0.1, flip="random", hidden=[64, 32], callbacks=[show])
best: list[str] = [one.class_name for one in run.predict([Path("a.png"), "b.png", np.zeros((8, 8), np.uint8)])]
codes: float = float(run.embed(np.zeros((2, 8, 8, 3), np.float32)).mean())
loss: float = run.evaluate("val")["loss"]
written: Path = run.export("net.onnx", softmax=True)
try:
    text: str = gpunn.read("photo.jpg").text
except gpunn.DataError as error:
    print(error)
