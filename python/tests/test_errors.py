"""Errors are exceptions with the sentences of the program."""

import sys

import numpy as np
import pytest
from conftest import program
from PIL import Image

import gpunn


def says(call, kind, *parts):
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, gpunn.Error)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    return str(caught.value)


def test_the_sentences_are_those_of_the_program(run, tmp_path):
    there = program("train", "--recipe", "glyphs-mpl", code=2).stderr.strip().removeprefix("error: ")
    assert says(lambda: gpunn.train(recipe="glyphs-mpl"), gpunn.UsageError, "did you mean `glyphs-mlp`?") == there
    there = program("predict", run.path, tmp_path / "no.png", code=1).stderr.strip().removeprefix("error: ")
    assert says(lambda: run.predict(tmp_path / "no.png"), gpunn.FileError, "there is no such file") == there
    (tmp_path / "words.png").write_text("words")
    there = program("predict", run.path, tmp_path / "words.png", "--quiet", code=1).stderr.strip().removeprefix("error: ")
    assert says(lambda: run.predict(tmp_path / "words.png"), gpunn.DataError, "is not an image") == there
    there = program("eval", tmp_path, code=2).stderr.strip().removeprefix("error: ")
    assert says(lambda: gpunn.load(tmp_path), gpunn.UsageError, "is not a run directory") == there


def test_kinds_are_those_of_python_too(run, tmp_path):
    for kind, python in [
        (gpunn.UsageError, ValueError),
        (gpunn.FileError, OSError),
        (gpunn.DeviceMemoryError, MemoryError),
        (gpunn.DivergedError, ArithmeticError),
    ]:
        assert issubclass(kind, gpunn.Error) and issubclass(kind, python)
    says(lambda: gpunn.train(optimizer="sgd", lr=3e38, epochs=2, device="cpu", out=tmp_path / "run", quiet=True), gpunn.DivergedError, "finite")
    says(lambda: run.predict(np.zeros((4, 4), np.uint8)) and gpunn.load(run.path, device="quantum").predict(
        np.zeros((4, 4), np.uint8)), gpunn.UsageError, "There is no device `quantum`")


def test_wrong_settings_are_named(tmp_path):
    says(lambda: gpunn.train(epoch=3), gpunn.UsageError, "There is no setting `epoch`; did you mean `epochs`?")
    says(lambda: gpunn.train(epochs="three"), gpunn.UsageError, "'three'", "--epochs")
    says(lambda: gpunn.train(quiet="yes"), gpunn.UsageError, "quiet has to be True or False")
    says(lambda: gpunn.train(epochs={}), gpunn.UsageError, "epochs has to be a number, a text, a path", "dict")
    says(lambda: gpunn.train(json=True), gpunn.UsageError, "no setting `json`")
    says(lambda: gpunn.train(resume=tmp_path, lr=0.1), gpunn.UsageError, "cannot be used with")
    says(lambda: gpunn.train(tmp_path / "none"), gpunn.UsageError, "none")


def test_wrong_arrays_are_described(run):
    def of(array, *parts):
        says(lambda: run.predict(array), gpunn.UsageError, *parts)

    of(np.zeros((8, 8), np.int64), "dtype int64", "uint8, from 0 to 255")
    of(np.zeros((3, 8, 8), np.uint8), "[3, 8, 8]", "transpose(1, 2, 0)")
    of(np.zeros((2, 3, 8, 8), np.uint8), "[2, 3, 8, 8]", "transpose(0, 2, 3, 1)")
    of(np.zeros((5, 8, 8), np.uint8), "[5, 8, 8]", "array[..., None]")
    of(np.zeros(8, np.uint8), "[8]", "height x width")
    of(np.zeros((0, 8), np.uint8), "no pixels")
    of(np.full((8, 8), 255.0, np.float32), "holds 255", "Divide")
    of(np.full((8, 8), np.nan), "NaN")
    of(Image.new("I;16", (8, 8)), "mode I;16", "no fixed range")
    of(3, "type int")
    of([3], "type int")
    of(None, "NoneType")
    assert run.predict(np.zeros((0, 8, 8, 3), np.uint8)) == []


def test_unreadable_writing_is_an_error(tmp_path):
    # Rows of ladders with the size of letters.
    y, x = np.mgrid[:290, :760]
    column, row, x, y = x // 80, y // 95, x % 80 // 4, y % 95 // 4
    ink = (column < 9) & (row < 3) & (x < 11) & (y < 13) & ((x == 0) | (x == 10) | (y % 2 == 0))
    pixels = np.pad(np.where(ink, 40, 230).astype(np.uint8), ((40, 0), (40, 0)), constant_values=230)
    ladders = tmp_path / "ladders.png"
    Image.fromarray(pixels).save(ladders)
    there = program("read", ladders, "--device", "cpu", "--quiet", code=1)
    sentence = says(lambda: gpunn.read(ladders, device="cpu", quiet=True), gpunn.DataError, "Cannot read")
    assert sentence in there.stderr


def test_a_damaged_run_is_data(run, tmp_path):
    (tmp_path / "recipe.toml").write_bytes((run.path / "recipe.toml").read_bytes())
    (tmp_path / "best.safetensors").write_bytes(b"not weights")
    says(lambda: gpunn.load(tmp_path).classes, gpunn.Error)


def test_nothing_is_lost_where_standard_error_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    ours = gpunn.train(epochs=1, device="cpu", out=tmp_path / "run", report=False)
    assert len(ours.metrics) == 1
