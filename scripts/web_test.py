#!/usr/bin/env python3
"""Tests the page in a headless Chromium: trains the glyphs on the CPU and on WebGPU (SwiftShader), compares the losses with those of the
program, reads a drawing, and checks kernels.

Usage: PYTHON scripts/web_test.py PAGE GPUNN [--screens DIR] [--all]      (PYTHON needs playwright; no browser of its own is used)

PAGE is the folder that scripts/web.sh builds, GPUNN the program. --screens keeps screenshots at desk and phone width. --all checks every
kernel, which takes minutes on SwiftShader. Exit code 3: there is no Chromium.
"""

import argparse
import functools
import http.server
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
EPOCHS = 4  # of 338 steps
LOSSES = 1e-5  # the largest difference, of losses and accuracies


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def served(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def finished(page, what):
    page.wait_for_function("['done', 'error'].includes(document.documentElement.dataset.state)", timeout=600_000)
    status = page.text_content("#status")
    assert page.evaluate("document.documentElement.dataset.state") == "done", f"{what}: {status}"
    return status


def trained(page, address, device, epochs):
    """The epochs' numbers as the page shows them, and the status at the end."""
    page.goto("about:blank")
    page.goto(f"{address}/index.html#recipe=glyphs-mlp&seed=1&epochs={epochs}&device={device}&start")
    status = finished(page, device)
    rows = page.eval_on_selector_all("#epochs-table tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    return rows, status, page.text_content("#facts")


def by_the_program(gpunn, epochs, device, environment):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        command = [gpunn, "train", "--epochs", str(epochs), "--seed", "1", "--device", device, "--out", out, "--quiet", "--no-report"]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
        return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def compare(rows, lines, what):
    worst = 0.0
    for row, line in zip(rows, lines, strict=True):
        wanted = [line["train_loss"], 100 * line["train_accuracy"], line["val_loss"], 100 * line["val_accuracy"]]
        shown = [float(text.rstrip(" %")) for text in row[1:5]]
        # The page shows four digits of a loss and two of a percentage.
        errors = [abs(a - b) for a, b in zip(shown, wanted)]
        worst = max(worst, errors[0] - 5e-5, errors[2] - 5e-5)
        assert max(errors[0], errors[2]) <= LOSSES + 5e-5, f"{what}: the page shows {row}, the program has {line}"
    print(f"{what}: {len(rows)} epochs as the program's")


def png(path, colour, seed):
    """A noisy image of 40 x 36 pixels, mostly of one colour."""
    noise = random.Random(seed)
    pixel = lambda: bytes(min(255, max(0, value + noise.randint(-60, 60))) for value in colour)
    rows = b"".join(b"\0" + b"".join(pixel() for _ in range(40)) for _ in range(36))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", 40, 36, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def own_images(page, address):
    """A folder of images of two classes, one file of which is no image."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / "pictures"
        for name, colour in (("evening", (170, 90, 60)), ("noon", (60, 110, 190))):
            (folder / name).mkdir(parents=True)
            for number in range(40):
                png(folder / name / f"{number}.png", colour, number)
        (folder / "noon" / "broken.png").write_bytes(b"no image")
        page.goto("about:blank")
        page.goto(f"{address}/index.html#recipe=glyphs-mlp&epochs=6&device=cpu")
        page.select_option("#images", "folder")
        assert page.input_value("#recipe") == "small-images"
        page.click("#start")
        page.wait_for_function("document.getElementById('status').textContent.includes('Choose a folder')")
        page.set_input_files("#folder", folder)
        page.wait_for_function("document.getElementById('found').textContent.includes('classes')")
        found = page.text_content("#found")
        assert "80 images of 2 classes: evening, noon, 1 could not be read: pictures/noon/broken.png" in found, found
        page.evaluate("document.documentElement.dataset.state = ''")
        page.click("#start")
        status = finished(page, "own images")
        print("own images:", status)
        assert float(status.split("Done: ")[1].split(" %")[0]) > 90, status
        page.set_input_files("#try", folder / "evening" / "0.png")
        page.wait_for_function("document.getElementById('answer').textContent.startsWith('This is evening')")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("gpunn", type=pathlib.Path)
    parser.add_argument("--screens", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        sys.exit(3)
    address = served(arguments.page)
    icd = pathlib.Path(chromium).resolve().parent.parent / "lib/chromium/vk_swiftshader_icd.json"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=dict(width=1100, height=900))
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        for device in ("cpu", "gpu"):
            rows, status, facts = trained(page, address, device, EPOCHS)
            print(f"{device}: {status} {facts[:80]}")
            assert ("CPU" in facts) == (device == "cpu"), facts
            known = {} if device == "cpu" else {"VK_DRIVER_FILES": str(icd), "VK_ICD_FILENAMES": str(icd)}
            after = [int(bytes) for bytes in page.evaluate("document.documentElement.dataset.memory").split()]
            # The sentinel keeps a state within an epoch only if a second has passed, so the last memory may be taken late, once.
            assert after[-1] - after[1] <= 2**20, f"memory grew: {after}"
            compare(rows, by_the_program(arguments.gpunn, EPOCHS, device, known), device)
        # A drawing: an L.
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
        print("drawn L:", answer)
        assert "This is L" in answer, answer
        own_images(page, address)
        if arguments.screens:
            arguments.screens.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=arguments.screens / "desk.png", full_page=True)
            page.emulate_media(color_scheme="dark")
            page.set_viewport_size(dict(width=390, height=800))
            page.wait_for_timeout(300)
            page.screenshot(path=arguments.screens / "phone.png", full_page=True)
        if arguments.all:
            page.goto(f"{address}/check.html#start")
            status = finished(page, "check")
            print(status)
            assert status.startswith("all passed"), page.text_content("#result")
        assert not errors, errors
        browser.close()


if __name__ == "__main__":
    main()
