import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, overload

import numpy as np
from numpy.typing import NDArray

from .errors import (
    DataError as DataError,
    DeviceError as DeviceError,
    DeviceMemoryError as DeviceMemoryError,
    DivergedError as DivergedError,
    Error as Error,
    FileError as FileError,
    NetworkError as NetworkError,
    ShapeError as ShapeError,
    UsageError as UsageError,
)

__version__: str

AnyPath: TypeAlias = str | os.PathLike[str]
ImageArray: TypeAlias = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]

class PillowImage(Protocol):
    """An image of Pillow."""

    def getbands(self) -> tuple[str, ...]: ...
    def tobytes(self) -> bytes: ...

Image: TypeAlias = AnyPath | bytes | ImageArray | PillowImage
"""An image: a path; the bytes of an image file; an array of height x width, or height x width x channels, with 1, 3 or 4 channels, as
uint8 from 0 to 255, or as float32 or float64 from 0 to 1; or an image of Pillow."""

class Epoch(TypedDict, total=False):
    """The metrics of an epoch: a line of metrics.jsonl in the run directory. Accuracies are from 0 to 1. With several labels an image there
    are `val_map`, the mean average precision, and the fractions of images whose labels are all right."""

    epoch: int
    train_loss: float
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None
    train_exact_match: float
    val_exact_match: float
    val_map: float
    val_psnr: float
    lr: float
    seconds: float
    images_per_second: float
    loader_wait: float

Callback: TypeAlias = Callable[[Epoch], object]
"""A function that is called after each epoch. If it returns False, the training stops; if it raises, too, and `train` raises the same."""

def train(
    data: AnyPath | None = None,
    *,
    callbacks: Callback | Iterable[Callback] | None = None,
    # What to train.
    recipe: AnyPath | None = None,
    model: AnyPath | None = None,
    dataset: AnyPath | None = None,
    data_dir: AnyPath | None = None,
    labels: AnyPath | None = None,
    multi_label: bool | None = None,
    hidden: Sequence[int] | int | None = None,
    activation: str | None = None,
    init: str | None = None,
    pretrained: AnyPath | None = None,
    unfreeze: str | None = None,
    scratch: bool = False,
    # The images.
    size: int | str | None = None,
    fit: Literal["centre-crop", "resize", "resize-crop", "resize-middle"] | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
    limit_train: int | None = None,
    val_fraction: float | None = None,
    stream: bool = False,
    cache_features: bool | None = None,
    # How to learn.
    epochs: float | None = None,
    time: str | None = None,
    batch_size: int | Literal["auto"] | None = None,
    lr: float | Literal["auto"] | None = None,
    seed: int | None = None,
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "lamb"] | None = None,
    momentum: float | None = None,
    nesterov: bool = False,
    weight_decay: float | None = None,
    clip: float | None = None,
    muon: float | Literal[True] | None = None,
    lookahead: int | Literal[True] | None = None,
    layer_decay: float | None = None,
    accumulate: int | None = None,
    sync_batch_norm: bool = False,
    label_smoothing: float | None = None,
    focal: float | None = None,
    class_weights: AnyPath | None = None,
    sampler: Literal["shuffled", "balanced"] | None = None,
    schedule: str | None = None,
    warmup: float | None = None,
    ema: float | None = None,
    precision: Literal["f32", "f16"] | None = None,
    patience: int | None = None,
    on_nonfinite: Literal["stop", "skip", "halve-lr"] | None = None,
    tta: Literal["flip", "shift", "shift-only", True] | None = None,
    # The machine and the run.
    device: str | int | None = None,
    devices: str | None = None,
    threads: int | None = None,
    despite_check: bool = False,
    out: AnyPath | None = None,
    force: bool = False,
    resume: AnyPath | None = None,
    save_every: float | None = None,
    tensorboard: bool = False,
    report: bool = True,
    quiet: bool = False,
    reuse: bool = True,
    profile: bool = False,
    verify: bool = False,
    # How images are changed at random: docs/augmentation.md.
    flip: Literal["random", "alternate", "never", True] | None = None,
    vertical_flip: bool = False,
    trivial_augment: bool = False,
    translate: int | None = None,
    padding: Literal["zero", "reflect"] | None = None,
    crop: int | str | None = None,
    cutout: int | None = None,
    cutout_fill: Literal["zero", "mean"] | None = None,
    rotate: float | None = None,
    scale: tuple[float, float] | None = None,
    shear: float | None = None,
    perspective: float | None = None,
    affine_chance: float | None = None,
    brightness: float | None = None,
    contrast: float | None = None,
    saturation: float | None = None,
    hue: float | None = None,
    grey: float | None = None,
    blur: float | None = None,
    stroke: float | None = None,
    noise: float | None = None,
    erase: float | Literal[True] | None = None,
    erase_scale: tuple[float, float] | None = None,
    erase_fill: Literal["zero", "mean"] | None = None,
    mixup: float | Literal[True] | None = None,
    cutmix: float | Literal[True] | None = None,
    mix_chance: float | None = None,
    resized_crop: tuple[float, float] | Literal[True] | None = None,
) -> Run:
    """Trains a network, as `gpunn train` does, and returns the run.

    `data` is a folder of images with a folder for each class, or with `labels`, a CSV file, one or several labels for each image; or the
    name of a dataset; without it, characters that gpunn draws itself. Each keyword is the flag of `gpunn train` with that name, with `_` for `-`; `gpunn train --help` describes them all. `report=False`
    is `--no-report`.

    Ctrl-C stops the training after the steps that are under way. The run can be resumed: `train(resume=path)`."""

def load(
    path: AnyPath,
    *,
    ensemble: AnyPath | list[AnyPath] | tuple[AnyPath, ...] | None = None,
    last: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> Run:
    """Opens a run directory or a checkpoint file. `ensemble` are further runs with the same classes and images: `predict` and `evaluate`
    then average the probabilities of all. `last` uses the last epoch's weights instead of the best epoch's."""

@overload
def read(
    images: AnyPath | bytes | PillowImage,
    *,
    run: AnyPath | None = None,
    raw: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> Page: ...
@overload
def read(
    images: Image | Sequence[Image],
    *,
    run: AnyPath | None = None,
    raw: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> Page | list[Page]:
    """Reads handwritten capitals and digits in photos, as `gpunn read` does. Of a list, and of an array with an axis for images, it
    returns a list. `run` is a run or checkpoint of another network for reading; `raw` does not use the other characters of a line to
    decide between similar ones."""

def set_threads(count: int) -> None:
    """Sets the number of CPU threads. It has to be called before anything computes. Results do not depend on it."""

class Prediction:
    """The answer for an image."""

    @property
    def class_name(self) -> str:
        """The name of the most probable class."""

    @property
    def index(self) -> int:
        """The index of that class."""

    @property
    def confidence(self) -> float:
        """Its probability."""

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probability of each class, in the order of `Run.classes`."""

    @property
    def image(self) -> str | None:
        """The image's file, if it was given as a path."""

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most probable classes, with their probabilities."""

    def labels(self, threshold: float = 0.5) -> list[tuple[str, float]]:
        """The classes with at least this probability, the most probable first: the labels, if the network gives an image any number of
        them."""

class Page:
    """The text of a photo. `str(page)` is `page.text`."""

    @property
    def text(self) -> str:
        """The text, with a line for each line of the photo."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines, with their words and characters, each with its box: the objects of `gpunn read --json`."""

    @property
    def size(self) -> tuple[int, int]:
        """The width and the height of the photo in pixels."""

    @property
    def turned(self) -> float:
        """The clockwise rotation in degrees that makes the photo upright."""

    @property
    def light_ink(self) -> bool:
        """Whether the writing is lighter than its background."""

    @property
    def image(self) -> str | None:
        """The photo's file, if it was given as a path."""

class Run:
    """A run directory, or a checkpoint file. In a notebook it shows its report."""

    @property
    def path(self) -> pathlib.Path:
        """The run directory, or the checkpoint file."""

    @property
    def metrics(self) -> list[Epoch]:
        """The metrics of each epoch."""

    @property
    def summary(self) -> dict[str, Any] | None:
        """The summary of a run that has ended, with the metrics on the test split: the object of `gpunn train --json`. Of a run that
        was stopped it is None."""

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe: model, dataset and all settings of training."""

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in index order."""

    @property
    def input(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's input."""

    @overload
    def predict(self, images: PillowImage | bytes) -> Prediction: ...
    @overload
    def predict(self, images: list[Image] | tuple[Image, ...]) -> list[Prediction]: ...
    @overload
    def predict(self, images: AnyPath | ImageArray) -> Prediction | list[Prediction]:
        """Classifies images, as `gpunn predict` does: each is prepared like the training images.

        One image gives one answer. A list, an array with an axis for images (images x height x width x channels), a folder and a
        pattern such as `photos/*.jpg` give a list."""

    @overload
    def embed(self, images: list[Image] | tuple[Image, ...]) -> NDArray[np.float32]: ...
    @overload
    def embed(self, images: Image) -> NDArray[np.float32]:
        """What the network knows of images, as numbers: of a classifier what reaches its last layer, as the mean over the places of
        the image; of an autoencoder the code. Similar images have similar numbers. One image gives an array of one axis, several
        give an array with a row for each. An ensemble has none."""

    def evaluate(
        self,
        split: Literal["train", "val", "test"] | None = None,
        *,
        dataset: AnyPath | None = None,
        labels: AnyPath | None = None,
        data_dir: AnyPath | None = None,
        ensemble: AnyPath | list[AnyPath] | tuple[AnyPath, ...] | None = None,
        tta: Literal["flip", "shift", "shift-only", True] | None = None,
    ) -> dict[str, Any]:
        """Evaluates the network, as `gpunn eval` does, on a split of its dataset, or on another dataset with the same classes.
        Without a name the split is test, else val, else train. `ensemble` are further runs, whose probabilities are averaged with this
        one's. The result is the object of `gpunn eval --json`: loss, accuracy,
        accuracy per class, confusion matrix, mistakes; with several labels an image average precisions, F1 and mistakes."""

    def export(
        self,
        out: AnyPath,
        *,
        format: Literal["safetensors", "onnx"] | None = None,
        f16: bool = False,
        fold_batch_norm: bool = False,
        softmax: bool = False,
        quantize: Literal["int8"] | None = None,
        data_dir: AnyPath | None = None,
        opset: int | None = None,
    ) -> pathlib.Path:
        """Writes the network as a file, as `gpunn export` does: safetensors for PyTorch, or ONNX. The file's ending decides the
        format."""

    def report(
        self,
        *,
        out: AnyPath | None = None,
        split: Literal["train", "val", "test"] | None = None,
        data_dir: AnyPath | None = None,
        all: bool = False,
    ) -> pathlib.Path:
        """Writes the report of the run again, as `gpunn report` does, and returns its page."""

    def _repr_html_(self) -> str: ...
