#!/usr/bin/env python3
"""Tests the page in a headless Chromium: trains on the CPU and on WebGPU (SwiftShader) and compares with the program, draws, saves and opens
networks, trains on a folder and on the camera's images, and checks kernels.

Usage: PYTHON scripts/web_test.py PAGE GPUNN [--short] [--screens DIR] [--all]      (PYTHON needs playwright; no browser of its own is used)

PAGE is the folder that scripts/web.sh builds, GPUNN the program. --short is for every run of CI: an epoch on the CPU, a drawing, saving and
opening. --screens keeps screenshots at desk and phone width. --all checks every kernel, which takes minutes on SwiftShader. Exit code 3: there
is no Chromium.
"""

import argparse
import json
import pathlib
import tempfile
import time

from playwright.sync_api import sync_playwright

from web_browser import FLAGS, Program, chromium, downloaded, epochs, finished, keep_screens, opened, page_of, pictures, served, swiftshader, video

LOSSES = 1e-5  # the largest difference
SECONDS = 4  # that the camera shows a colour
RECIPE = pathlib.Path(__file__).parent.parent / "web/recipes/squeezenet.toml"


def compare(rows, lines, what):
    for row, line in zip(rows, lines, strict=True):
        wanted = [line["train_loss"], 100 * line["train_accuracy"], line["val_loss"], 100 * line["val_accuracy"]]
        shown = [float(text.rstrip(" %").lstrip(">")) for text in row[1:5]]
        # The page shows four digits of a loss and two of a percentage.
        errors = [abs(a - b) for a, b in zip(shown, wanted)]
        assert max(errors[0], errors[2]) <= LOSSES + 5e-5, f"{what}: the page shows {row}, the program has {line}"
        assert max(errors[1], errors[3]) <= 0.011, f"{what}: the page shows {row}, the program has {line}"
    print(f"{what}: {len(rows)} epochs as the program's")


def glyphs(page, address, program, device, count, environment=None):
    """Trains the glyphs, and compares with the program."""
    opened(page, address, f"recipe=glyphs-mlp&seed=1&epochs={count}&device={device}&start")
    status, facts = finished(page, device), page.text_content("#facts")
    print(f"{device}: {status} {facts[:80]}")
    assert ("CPU" in facts) == (device == "cpu"), facts
    memory = [int(bytes) for bytes in page.evaluate("document.documentElement.dataset.memory").split()]
    # The sentinel keeps a state within an epoch only if a second has passed, so the last memory may be taken late, once.
    assert count < 2 or memory[-1] - memory[1] <= 2**20, f"memory grew: {memory}"
    with tempfile.TemporaryDirectory() as folder:
        lines = program.train(pathlib.Path(folder) / "run", "--epochs", count, "--device", device, environment=environment)
    compare(epochs(page), lines, device)


def draw_l(page):
    """Draws an L, which has to be read as L."""
    page.click("#clear")
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.move(*at(0.35, 0.15))
    page.mouse.down()
    page.mouse.move(*at(0.35, 0.85), steps=8)
    page.mouse.move(*at(0.7, 0.85), steps=8)
    page.mouse.up()
    page.wait_for_function("document.getElementById('answer').textContent.startsWith('This is')")
    page.wait_for_timeout(500)
    answer = page.text_content("#answer")
    assert "This is L" in answer, answer
    return answer


def tensors(path):
    """What follows the header of a safetensors file."""
    bytes = path.read_bytes()
    return bytes[8 + int.from_bytes(bytes[:8], "little") :]


def saving(page, address, program):
    """Saves the network that the page has, for the program; and opens it, and one of the program."""
    drawn = draw_l(page)
    print("drawn L:", drawn)
    right = page.text_content("#status").split("Done: ")[1].split(" %")[0]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        saved, onnx, again = folder / "saved.safetensors", folder / "saved.onnx", folder / "again.onnx"
        assert downloaded(page, "#save", saved) == "glyphs-mlp.safetensors"
        assert downloaded(page, "#save-onnx", onnx) == "glyphs-mlp.onnx"
        found = json.loads(program.run("eval", saved, "--device", "cpu", "--json"))
        assert f"{100 * found['accuracy']:.2f}" == right, f"the page has {right} % right, the program {found}"
        program.run("export", saved, "--format", "onnx", "--out", again)
        assert onnx.read_bytes() == again.read_bytes(), "the page's ONNX file is not the program's"
        print(f"saved: the program has {right} % right too, and the same {onnx.stat().st_size} bytes of ONNX")
        # Opened again, the network reads the same, and is saved with the same tensors.
        opened(page, address, "device=cpu")
        page.set_input_files("#open", saved)
        page.wait_for_function("document.getElementById('status').textContent.includes('is open')")
        assert draw_l(page) == drawn
        resaved = folder / "resaved.safetensors"
        downloaded(page, "#save", resaved)
        assert tensors(resaved) == tensors(saved)
        program.train(folder / "run", "--epochs", 2, "--device", "cpu")
        opened(page, address, "device=cpu")
        page.set_input_files("#open", folder / "run/last.safetensors")
        page.wait_for_function("document.getElementById('status').textContent.includes('is open')")
        print("a network of the program:", draw_l(page))
        broken = folder / "broken.safetensors"
        broken.write_bytes(saved.read_bytes()[:-1])
        page.set_input_files("#open", broken)
        page.wait_for_function("document.getElementById('status').textContent.includes('not a valid checkpoint')")


def own_images(page, address):
    """A folder of images of two classes, one file of which is no image."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pictures(pathlib.Path(folder) / "pictures", 40, (40, 36))
        (folder / "noon" / "broken.png").write_bytes(b"no image")
        opened(page, address, "recipe=glyphs-mlp&epochs=6&device=cpu")
        page.select_option("#images", "folder")
        assert page.input_value("#recipe") == "small-images"
        page.click("#start")
        page.wait_for_function("document.getElementById('status').textContent.includes('Choose a folder')")
        page.set_input_files("#folder", folder)
        page.wait_for_function("document.getElementById('found').textContent.includes('classes')")
        page.evaluate("document.documentElement.dataset.state = ''")
        page.click("#start")
        status = finished(page, "own images")
        found = page.text_content("#found")
        assert "80 images of 2 classes: evening, noon, 1 could not be read: pictures/noon/broken.png" in found, found
        print("own images:", status)
        assert float(status.split("Done: ")[1].split(" %")[0]) > 90, status
        page.set_input_files("#try", folder / "evening" / "0.png")
        page.wait_for_function("document.getElementById('answer').textContent.startsWith('This is evening')")


def fine_tuning(page, address, program):
    """SqueezeNet with weights from a file, beside the program with the same images."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images, weights = pictures(folder / "pictures", 20, (128, 128)), folder / "weights.safetensors"
        # Weights that a short training from random ones leaves: real ones may not be shipped.
        program.train(folder / "scratch", images, "--recipe", RECIPE, "--scratch", "--cache-features=false", "--epochs", 1, "--device", "cpu")
        program.run("export", folder / "scratch", "--last", "--out", weights)
        words = ["--recipe", RECIPE, "--pretrained", weights, "--epochs", 3, "--device", "cpu"]
        lines = program.train(folder / "run", images, *words)
        opened(page, address, "images=folder&recipe=squeezenet&seed=1&epochs=3&device=cpu")
        page.set_input_files("#folder", images)
        page.set_input_files("#weights-file", weights)
        page.click("#start")
        print("fine-tuning:", finished(page, "fine-tuning"))
        compare(epochs(page), lines, "fine-tuning")
        saved = folder / "saved.safetensors"
        downloaded(page, "#save", saved)
        for name in ("evening", "noon"):
            image = images / name / "3.png"
            told = json.loads(program.run("predict", saved, image, "--device", "cpu", "--json"))["predictions"][0]
            page.set_input_files("#try", image)
            wanted = f"This is {told['class']} ({100 * told['confidence']:.2f} %)."
            page.wait_for_function("wanted => document.getElementById('answer').textContent === wanted", arg=wanted)


def seen(page, video, colour):
    """Waits until the camera begins to show a colour."""
    script = """([id, colour]) => {
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.drawImage(document.getElementById(id), 0, 0, 1, 1);
      const [red, , blue] = canvas.getImageData(0, 0, 1, 1).data;
      return (red > blue + 40 ? "red" : blue > red + 40 ? "blue" : "") === colour;
    }"""
    other = {"red": "blue", "blue": "red"}[colour]
    for shown in (other, colour):
        page.wait_for_function(script, arg=[video, shown], timeout=20_000)


def camera(page, address, screens):
    """Records two classes, one with the mouse and one with the keyboard, trains, and reads what the camera shows."""
    opened(page, address, "images=camera&epochs=12&device=cpu")
    page.click("#camera-start")
    page.wait_for_function("document.getElementById('camera-status').textContent === 'The camera is on.'")
    names, buttons = page.locator("#kinds input"), page.locator("#kinds .record")
    page.click("#add-kind")
    page.locator("#kinds .kind").nth(2).get_by_role("button", name="Remove").click()
    assert names.count() == 2
    names.nth(0).fill("red")
    names.nth(1).fill("blue")
    seen(page, "video", "red")
    buttons.nth(0).hover()
    page.mouse.down()
    time.sleep(SECONDS - 1)
    page.mouse.up()
    seen(page, "video", "blue")
    buttons.nth(1).focus()
    page.keyboard.press("Space")
    time.sleep(SECONDS - 1)
    assert buttons.nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Enter")
    assert buttons.nth(1).get_attribute("aria-pressed") == "false"
    counts = [int(text.split()[0]) for text in page.locator("#kinds output").all_text_contents()]
    assert all(10 * (SECONDS - 1) * 0.6 <= count <= 10 * SECONDS for count in counts), counts
    page.click("#start")
    print(f"camera: {counts} images.", finished(page, "camera"))
    page.click("#live")
    for colour in ("red", "blue"):
        seen(page, "live-video", colour)
        page.wait_for_timeout(1000)
        answer = page.text_content("#answer")
        assert f"This is {colour}" in answer, f"{colour}: {answer}"
    if screens:
        keep_screens(page, screens, "camera-")
    page.click("#live")
    page.click("#camera-start")
    page.wait_for_function("document.getElementById('camera-status').textContent === 'The camera is off.'")


def tests(page, address, program, arguments, environment):
    if arguments.short:
        glyphs(page, address, program, "cpu", 1)
        saving(page, address, program)
        return
    glyphs(page, address, program, "gpu", 4, environment)
    glyphs(page, address, program, "cpu", 4)
    if arguments.screens:
        keep_screens(page, arguments.screens, "glyphs-")
    saving(page, address, program)
    own_images(page, address)
    fine_tuning(page, address, program)
    camera(page, address, arguments.screens)
    if arguments.all:
        page.goto(f"{address}/check.html#start")
        status = finished(page, "check")
        print(status)
        assert status.startswith("all passed"), page.text_content("#result")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("gpunn", type=pathlib.Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--screens", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    executable, began = chromium(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        film = pathlib.Path(folder) / "film.y4m"
        video(film, SECONDS)
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        errors = []
        page = page_of(browser, errors)
        tests(page, served(arguments.page), Program(arguments.gpunn), arguments, swiftshader(executable))
        assert not errors, errors
        browser.close()
    print(f"The page passed in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
