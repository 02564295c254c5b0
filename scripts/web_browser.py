"""What the tests of pages share: the served page, Chromium, images, and the program beside it."""

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
import threading
import zlib

# Chromium with WebGPU on SwiftShader, and a camera that shows a file.
FLAGS = [
    "--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def served(folder, handler=Quiet):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def chromium():
    """The installed Chromium; ends the test with 3 where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or sys.exit(3)


def swiftshader(browser):
    """The environment in which the program finds the browser's driver."""
    icd = str(pathlib.Path(browser).resolve().parent.parent / "lib/chromium/vk_swiftshader_icd.json")
    return {"VK_DRIVER_FILES": icd, "VK_ICD_FILENAMES": icd}


def page_of(browser, errors):
    """A page at desk width. What goes wrong in it is added to `errors`."""
    page = browser.new_page(viewport=dict(width=1100, height=900))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    return page


def keep_screens(page, folder, name):
    """Screenshots, light at desk width and dark at phone width; none without a folder."""
    if not folder:
        return
    folder.mkdir(parents=True, exist_ok=True)
    desk = page.viewport_size
    page.screenshot(path=folder / f"{name}desk.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(dict(width=390, height=800))
    page.wait_for_timeout(300)
    page.screenshot(path=folder / f"{name}phone.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(desk)


def opened(page, address, settings=""):
    """Opens the page anew with these settings."""
    page.goto("about:blank")
    page.goto(f"{address}/index.html#{settings}")


def finished(page, what):
    page.wait_for_function("['done', 'error'].includes(document.documentElement.dataset.state)", timeout=600_000)
    status = page.text_content("#status")
    assert page.evaluate("document.documentElement.dataset.state") == "done", f"{what}: {status}"
    return status


def epochs(page):
    """The numbers of the epochs as the page shows them."""
    return page.eval_on_selector_all("#epochs-table tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")


def downloaded(page, button, path):
    """Saves what a button hands out, and returns the name that the page gives it."""
    with page.expect_download() as waiting:
        page.click(button)
    waiting.value.save_as(path)
    return waiting.value.suggested_filename


class Program:
    """The program gpunn."""

    def __init__(self, path):
        self.path = path

    def run(self, *words, environment=None):
        done = subprocess.run([self.path, *map(str, words)], capture_output=True, text=True, env=os.environ | (environment or {}))
        assert done.returncode == 0, f"gpunn {' '.join(map(str, words))}: {done.stderr}"
        return done.stdout

    def train(self, out, *words, environment=None):
        """The lines of the metrics."""
        self.run("train", "--seed", 1, "--out", out, "--quiet", "--no-report", *words, environment=environment)
        return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def encoded(rows, size, gray=False):
    """The bytes of a PNG file, from those of its rows."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", *size, 8, 0 if gray else 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png(path, colour, seed, size=(40, 36)):
    """A noisy image, mostly of one colour."""
    noise, (width, height) = random.Random(seed), size
    pixel = lambda: bytes(min(255, max(0, value + noise.randint(-60, 60))) for value in colour)
    path.write_bytes(encoded([b"".join(pixel() for _ in range(width)) for _ in range(height)], size))


COLOURS = {"evening": (170, 90, 60), "noon": (60, 110, 190)}


def pictures(folder, count, size):
    """A folder of images of two classes."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            png(folder / name / f"{number}.png", colour, number, size)
    return folder


def video(path, seconds):
    """A video that is red for some seconds, then blue, with noise, and begins anew."""
    noise = random.Random(1)
    side, frames = 64, []
    # Red and blue as Y, U and V.
    for y, u, v in ((82, 90, 240), (41, 240, 110)):
        for _ in range(10 * seconds):
            light = bytes(max(0, min(255, y + noise.randint(-15, 15))) for _ in range(side * side))
            frames.append(b"FRAME\n" + light + bytes([u]) * (side * side // 4) + bytes([v]) * (side * side // 4))
    path.write_bytes(f"YUV4MPEG2 W{side} H{side} F10:1 Ip A1:1 C420mpeg2\n".encode() + b"".join(frames))
