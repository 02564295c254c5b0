"""The examples of docs/python.md and of the README are run, with few epochs."""

import re
import shutil
from pathlib import Path

import numpy as np
from conftest import program
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def examples(page, section=None):
    """The blocks of Python of a page, or of one of its sections."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [re.sub(r"epochs=\d+", "epochs=1", block) for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


def test_examples_run(classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ["my-images", "other-images"]:
        shutil.copytree(classes, tmp_path / name)
    shutil.copytree(classes / "dark", tmp_path / "camera")
    program("data", "preview", "glyphs", "--out", "letters.png", "--per-class", 1)
    photo = Image.open("letters.png").convert("RGB")
    for name in ["photo.jpg", "letter.jpg", "a.jpg", "b.jpg", "camera/c.jpg"]:
        photo.save(name)
    given = {"array": np.zeros((8, 8, 3), np.uint8), "picture": photo}
    blocks = examples("docs/python.md")
    assert len(blocks) > 6
    for block in [*blocks, *examples("README.md", "In Python")]:
        exec(compile(block, "docs/python.md", "exec"), given)
    said = capsys.readouterr().out
    assert "There is no recipe `glyphs-mpl`; did you mean `glyphs-mlp`?" in said
    assert len(given["losses"]) == 1
