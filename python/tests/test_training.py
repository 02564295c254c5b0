"""Training through both doors, callbacks, Ctrl-C, and other threads of Python."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import program

import gpunn

# More epochs than anybody waits for.
LONG = 10_000


def test_both_doors_train_the_same_network(run, tmp_path):
    there = program(
        "train", "--recipe", "glyphs-mlp", "--epochs", 2, "--device", "cpu", "--out", tmp_path / "run", "--quiet", "--json"
    )
    assert run.summary["weights_hash"] == there["weights_hash"]
    assert run.summary["test_accuracy"] == there["test_accuracy"]
    assert [line["epoch"] for line in run.metrics] == [1, 2]
    assert set(run.metrics[0]) >= {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"}
    assert run.recipe["training"]["epochs"] == 2
    assert (len(run.classes), run.input) == (36, (1, 32, 32))
    assert (run.path / "report.html").is_file()
    again = gpunn.load(run.path)
    assert (again.metrics, again.summary) == (run.metrics, run.summary)
    assert repr(again) == f'Run("{run.path}")'.replace("\\", "\\\\")


def test_a_folder_of_images_gets_a_recipe(classes, tmp_path, capsys):
    ours = gpunn.train(classes, epochs=2, device="cpu", out=tmp_path / "run", report=False)
    said = capsys.readouterr().err
    for part in ["24 training images of 2 classes", "recipe small-images", "device: CPU", "epoch   2/2"]:
        assert part in said, said
    assert ours.classes == ["dark", "light"]
    assert not (tmp_path / "run" / "report.html").exists()
    found = ours.evaluate(dataset=classes)
    assert found["images"] == 24 and len(found["confusion"]) == 2


def test_callbacks_see_each_epoch(tmp_path):
    seen, here = [], []

    def note(epoch):
        seen.append(epoch)
        here.append(threading.current_thread() is threading.main_thread())

    ours = gpunn.train(epochs=3, device="cpu", out=tmp_path / "run", quiet=True, callbacks=[note, lambda epoch: None])
    # Numbers in the run directory are rounded to 15 digits when they are read.
    assert [pytest.approx(epoch) for epoch in seen] == ours.metrics
    assert here == [True] * 3


def test_a_callback_stops_the_run_and_it_can_be_resumed(tmp_path, capsys):
    out = tmp_path / "run"
    ours = gpunn.train(epochs=3, device="cpu", out=out, callbacks=lambda epoch: epoch["epoch"] < 2)
    assert len(ours.metrics) == 2 and ours.summary is None
    assert "stopped after epoch 2 and 0 steps" in capsys.readouterr().err
    whole = gpunn.train(resume=out, device="cpu", quiet=True)
    alone = gpunn.train(epochs=3, device="cpu", out=tmp_path / "alone", quiet=True, report=False)
    assert whole.summary["weights_hash"] == alone.summary["weights_hash"]


def test_what_a_callback_raises_comes_out(tmp_path):
    def fail(epoch):
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        gpunn.train(epochs=LONG, device="cpu", out=tmp_path / "run", quiet=True, callbacks=fail)
    assert len(gpunn.load(tmp_path / "run").metrics) == 1


def test_other_threads_go_on(tmp_path):
    turns, done = 0, threading.Event()

    def count():
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    began = time.perf_counter()
    gpunn.train(epochs=10, device="cpu", out=tmp_path / "run", quiet=True, report=False)
    took = time.perf_counter() - began
    done.set()
    other.join()
    assert turns > 20 * took, (turns, took)


INTERRUPTED = """
import signal, sys, gpunn
# A shell that starts tests in the background has them ignore Ctrl-C, and Python then leaves it so.
signal.signal(signal.SIGINT, signal.default_int_handler)
def began(epoch):
    print("began", flush=True)
try:
    gpunn.train(epochs=%d, device="cpu", out=sys.argv[1], quiet=True, callbacks=began)
except KeyboardInterrupt:
    print("interrupted", len(gpunn.load(sys.argv[1]).metrics) > 0, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals between processes")
def test_ctrl_c_stops_a_training(tmp_path):
    words = [sys.executable, "-c", INTERRUPTED % LONG, str(tmp_path / "run")]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "began\n", child.stderr.read()
    os.kill(child.pid, signal.SIGINT)
    began = time.perf_counter()
    said, complaint = child.communicate(timeout=60)
    assert said.splitlines()[-1] == "interrupted True", complaint
    assert child.returncode == 0 and time.perf_counter() - began < 20
    ours = gpunn.train(resume=tmp_path / "run", epochs=len(gpunn.load(tmp_path / "run").metrics) + 1, quiet=True)
    assert ours.summary is not None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals between processes")
def test_ctrl_c_stops_the_program(tmp_path):
    from conftest import PROGRAM

    words = [PROGRAM, "train", "--epochs", str(LONG), "--device", "cpu", "--out", str(tmp_path / "run")]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while "epoch   1/" not in child.stderr.readline():
        assert child.poll() is None
    os.kill(child.pid, signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 130 and "resume with: gpunn train --resume" in said, said


def test_settings_are_those_of_the_stub():
    """The stub names each flag of `gpunn train`, and nothing else."""
    import ast
    from pathlib import Path

    stub = ast.parse(Path(gpunn.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    functions = {node.name: node for node in ast.walk(stub) if isinstance(node, ast.FunctionDef)}

    def named(function):
        return {argument.arg for argument in functions[function].args.kwonlyargs}

    known = gpunn._gpunn.settings_of
    assert named("train") - {"callbacks"} == set(known("train"))
    assert named("export") | {"out", "last"} == set(known("export"))
    # These are the run's.
    own = {"device", "threads", "despite_check", "quiet", "last", "split"}
    assert named("evaluate") == set(known("eval")) - own
    assert named("report") | {"compare", "dataset", "labels"} == set(known("report")) - (own - {"split"})
