"""Train and run small image networks on any GPU, or on the CPU. docs/python.md in the repository shows how."""

import os
import sys

# Without a display, Mesa's device-selection layer prints warnings.
if sys.platform == "linux" and "XDG_RUNTIME_DIR" not in os.environ:
    os.environ.setdefault("NODEVICE_SELECT", "1")

from . import _gpunn
from ._gpunn import Page, Prediction, Run, __version__, load, read, set_threads, train
from .errors import (
    DataError,
    DeviceError,
    DeviceMemoryError,
    DivergedError,
    Error,
    FileError,
    NetworkError,
    ShapeError,
    UsageError,
)

__all__ = [
    "DataError",
    "DeviceError",
    "DeviceMemoryError",
    "DivergedError",
    "Error",
    "FileError",
    "NetworkError",
    "Page",
    "Prediction",
    "Run",
    "ShapeError",
    "UsageError",
    "__version__",
    "load",
    "read",
    "set_threads",
    "train",
]

# GPU drivers are tried in a process of their own, which is this package as a program. An embedded Python names no executable.
if sys.executable:
    _gpunn.set_program([sys.executable, os.path.join(os.path.dirname(__file__), "__main__.py")], _gpunn.__file__)
