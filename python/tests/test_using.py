"""Using a trained network: the answers are those of the program."""

import numpy as np
import pytest
from conftest import program
from PIL import Image

import gpunn


def same(found, wanted):
    assert [(one.class_name, one.index) for one in found] == [(one["class"], one["index"]) for one in wanted]
    assert [one.confidence for one in found] == [one["confidence"] for one in wanted]


def test_paths_arrays_and_images_have_the_answers_of_the_program(run, images):
    wanted = program("predict", run.path, *images, "--device", "cpu", "--json")["predictions"]
    files = run.predict(images)
    same(files, wanted)
    assert [one.image for one in files] == [str(path) for path in images]
    same(run.predict([str(path) for path in images]), wanted)
    same(run.predict([Image.open(path) for path in images]), wanted)
    same(run.predict([path.read_bytes() for path in images]), wanted)
    pixels = np.stack([np.asarray(Image.open(path)) for path in images])
    same(run.predict(list(pixels)), wanted)
    same(run.predict(pixels[..., None]), wanted)
    same(run.predict(np.repeat(pixels[..., None], 3, axis=3)), wanted)
    same(run.predict(pixels[..., None] / np.float32(255)), wanted)
    same(run.predict(pixels[..., None] / 255), wanted)
    # A folder and a pattern stand for their files.
    same(run.predict(images[0].parent), wanted)
    same(run.predict(f"{images[0].parent}/*.png"), wanted)


def test_one_image_has_one_answer(run, images):
    wanted = program("predict", run.path, images[0], "--device", "cpu", "--top", 3, "--json")["predictions"][0]
    pixels = np.asarray(Image.open(images[0]))
    for given in [images[0], Image.open(images[0]), pixels, pixels[..., None], images[0].read_bytes()]:
        found = run.predict(given)
        same([found], [wanted])
        assert [{"class": name, "confidence": share} for name, share in found.top(3)] == [
            {"class": one["class"], "confidence": one["confidence"]} for one in wanted["likeliest"]
        ]
    assert run.predict(pixels).image is None
    assert found.probabilities.dtype == np.float32 and found.probabilities.shape == (36,)
    assert abs(found.probabilities.sum() - 1) < 1e-5
    assert run.predict([]) == []


def test_strided_arrays_are_read_in_their_order(run, images):
    pixels = np.asarray(Image.open(images[0]))
    wanted = run.predict(pixels).probabilities
    turned = np.asfortranarray(pixels)
    wide = np.zeros((80, 100), np.uint8)
    wide[::2, ::2] = pixels
    back = np.ascontiguousarray(pixels[::-1, ::-1])[::-1, ::-1]
    for strided in [turned, wide[::2, ::2], back]:
        assert not strided.flags.c_contiguous
        assert (run.predict(strided).probabilities == wanted).all()


def test_transparent_palette_and_turned_images(run, tmp_path, images):
    grey = Image.open(images[0])
    for mode in ["RGBA", "LA", "P", "1", "CMYK"]:
        assert isinstance(run.predict(grey.convert(mode)), gpunn.Prediction), mode
    photo = grey.convert("RGB")
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.png", exif=exif)
    wanted = run.predict(tmp_path / "turned.png").probabilities
    assert (run.predict(Image.open(tmp_path / "turned.png")).probabilities == wanted).all()


def test_embeddings(run, images):
    one = run.embed(images[0])
    assert (one.dtype, one.shape) == (np.float32, (64,))
    several = run.embed(images)
    assert several.shape == (10, 64) and several.flags.c_contiguous
    assert np.allclose(several[0], one, atol=1e-5)
    assert np.isfinite(several).all() and several.std() > 0


def test_autoencoders_embed_but_do_not_predict(tmp_path, images):
    coder = gpunn.train(model="autoencoder", epochs=1, device="cpu", out=tmp_path / "run", quiet=True, report=False)
    codes = program("encode", coder.path, images[0], "--out", tmp_path / "codes.npy", "--device", "cpu", "--json")
    assert coder.embed(images[0]).shape == (codes["width"],)
    assert np.allclose(coder.embed(images[0]), np.load(tmp_path / "codes.npy")[0], atol=1e-6)
    with pytest.raises(gpunn.UsageError, match="which is an autoencoder, not a classifier"):
        coder.predict(images[0])


def test_evaluation_is_that_of_the_program(run):
    wanted = program("eval", run.path, "--split", "val", "--device", "cpu", "--json")
    assert run.evaluate("val") == wanted
    assert run.evaluate()["split"] == "test"


def test_export_and_load(run, tmp_path):
    assert run.export(tmp_path / "net.safetensors") == tmp_path / "net.safetensors"
    assert run.export(str(tmp_path / "net.onnx"), softmax=True).stat().st_size > 100_000
    program("export", run.path, "--out", tmp_path / "there.safetensors")
    assert (tmp_path / "net.safetensors").read_bytes() == (tmp_path / "there.safetensors").read_bytes()
    alone = gpunn.load(run.path / "best.safetensors", device="cpu")
    assert alone.classes == run.classes
    with pytest.raises(gpunn.UsageError, match="is a checkpoint file"):
        alone.metrics


def test_reports(run, tmp_path):
    assert run._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html>')
    page = run.report(out=tmp_path, split="val")
    assert page == tmp_path / "report.html" and page.is_file()


def test_photos_are_read(tmp_path):
    photo = program("data", "preview", "glyphs", "--out", tmp_path / "glyphs.png", "--per-class", 1)
    assert photo.returncode == 0
    page = gpunn.read(tmp_path / "glyphs.png", device="cpu", quiet=True)
    wanted = program("read", tmp_path / "glyphs.png", "--device", "cpu", "--json")["pages"][0]
    assert (page.text, str(page), page.lines) == (wanted["text"], wanted["text"], wanted["lines"])
    assert page.size == (wanted["width"], wanted["height"])
    pages = gpunn.read([Image.open(tmp_path / "glyphs.png")] * 2, device="cpu", quiet=True)
    assert [one.text for one in pages] == [wanted["text"]] * 2


def test_an_ensemble_answers_with_the_mean(run, tmp_path, images):
    other = gpunn.train(recipe="glyphs-mlp", epochs=1, seed=5, device="cpu", out=tmp_path / "other", quiet=True, report=False)
    for given in [other.path, [other.path], (str(other.path),)]:
        both = gpunn.load(run.path, ensemble=given, device="cpu", quiet=True)
        answers = zip(run.predict(images), other.predict(images), both.predict(images))
        for a, b, mean in answers:
            assert np.allclose(mean.probabilities, (a.probabilities + b.probabilities) / 2, atol=1e-6)
    wanted = program("eval", run.path, "--ensemble", other.path, "--device", "cpu", "--json")
    assert wanted["networks"] == 2 and both.evaluate() == wanted == run.evaluate(ensemble=[other.path])
    assert run.evaluate()["networks"] == 1
    with pytest.raises(gpunn.UsageError, match="An ensemble has no features"):
        both.embed(images)
    with pytest.raises(gpunn.UsageError, match="There is no run directory nowhere"):
        gpunn.load(run.path, ensemble="nowhere")
