#!/usr/bin/env python3
"""Tests `gpunn serve` and `gpunn train --live` as users and enemies see them: many requests at a time, and the pages in a headless Chromium.

Usage: PYTHON scripts/serve_test.py GPUNN [--requests N] [--connections N] [--screens DIR]      (PYTHON needs playwright)

It trains a small network on the glyphs, serves it, sends N requests (10,000) over M connections (32), damaged and huge ones among them,
and watches answers and memory. Then it opens the pages. --screens keeps screenshots at desk and phone width. Exit code 3: no Chromium.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from playwright.sync_api import sync_playwright

from web_browser import chromium, encoded, keep_screens, page_of

GROWTH = 16 * 2**20  # bytes that the server's memory may grow between the first half of the requests and the end
MODEL = """\
name = "small"
layer = [
    { kind = "conv2d", outputs = 8, kernel = 3, stride = 2 },
    { kind = "relu" },
    { kind = "flatten" },
    { kind = "classes" },
]
"""


def picture(seed, side=32):
    """The bytes of a gray image with a bright rectangle."""
    place = random.Random(seed)
    left, top = place.randrange(side // 2), place.randrange(side // 2)
    row = lambda y: bytes(255 if left <= x < left + side // 3 and top <= y < top + side // 2 else 0 for x in range(side))
    return encoded([row(y) for y in range(side)], (side, side), gray=True)


@contextlib.contextmanager
def serving(gpunn, run, *flags):
    """The server's process and the address of its page."""
    command = [gpunn, "serve", run, "--port", "0", "--json", "--quiet", "--device", "cpu", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.wait()


def resident(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def ask(connection, method, path, body=None, headers={}):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def load(process, url, requests, connections):
    """Sends requests over several connections that stay open. Each fourth is damaged; its answer has to say so."""
    host = urllib.parse.urlsplit(url).netloc
    images = [picture(seed) for seed in range(16)]
    wanted = {}
    connection = http.client.HTTPConnection(host)
    for number, image in enumerate(images):
        status, body = ask(connection, "POST", "/predict", image)
        assert status == 200, body
        wanted[number] = json.loads(body)["predictions"][0]
    wrong, times = [], []

    def client(numbers):
        connection = http.client.HTTPConnection(host, timeout=60)
        for number in numbers:
            at = number % len(images)
            damaged = number % 4 == 3
            image = images[at][: len(images[at]) // 2] if damaged else images[at]
            began = time.perf_counter()
            status, body = ask(connection, "POST", "/predict", image)
            times.append(time.perf_counter() - began)
            found = json.loads(body)
            if damaged:
                right = status == 400 and "is not an image" in found["error"]
            else:
                answer = found["predictions"][0] if status == 200 else {}
                right = answer.get("class") == wanted[at]["class"] and abs(answer["confidence"] - wanted[at]["confidence"]) < 1e-5
            if not right:
                wrong.append((status, body[:200]))

    def half(first, end):
        numbers = [range(first + place, end, connections) for place in range(connections)]
        threads = [threading.Thread(target=client, args=(own,)) for own in numbers]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return resident(process)

    began = time.perf_counter()
    before = half(0, requests // 2)
    after = half(requests // 2, requests)
    took = time.perf_counter() - began
    times.sort()
    print(
        f"{len(times)} requests over {connections} connections: {len(wrong)} wrong, {len(times) / took:.0f} a second, "
        f"median {1000 * times[len(times) // 2]:.1f} ms, memory {before / 2**20:.1f} MiB, then {after / 2**20:.1f}"
    )
    assert not wrong, wrong[:3]
    assert len(times) == requests
    assert after - before <= GROWTH, "memory grew"


def huge(url):
    """Uploads above the limit, with their length and without, are refused; the server lives."""
    host = urllib.parse.urlsplit(url).netloc
    for headers, body in (({}, b"x" * 30_000_000), ({"Transfer-Encoding": "chunked"}, (b"x" * 100_000 for _ in range(300)))):
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request("POST", "/predict", body, headers, encode_chunked=bool(headers))
            status = connection.getresponse().status
            assert status == 413, status
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server answered and closed before all was sent
    assert ask(http.client.HTTPConnection(host), "GET", "/health") == (200, b"ok")
    print("huge uploads are refused")


def wait(page, condition, seconds=60):
    """Waits until an expression is true. Playwright's own function needs `eval`, which the pages' policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"{condition}: {page.text_content('#status')}"
        time.sleep(0.05)


def try_page(browser, url, errors, screens):
    page = page_of(browser, errors)
    page.goto(url)
    wait(page, "document.getElementById('known').textContent.includes('36 classes')")
    wait(page, "document.querySelectorAll('#classes img').length >= 36")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for number in range(2):
            (folder / f"{number}.png").write_bytes(picture(number, 64))
        page.set_input_files("#files", [folder / "0.png", folder / "1.png"])
        wait(page, "document.getElementById('status').textContent.startsWith('2 of 2')")
        assert page.locator(".tried .bars li").count() == 10
        page.check("#map")
        page.set_input_files("#files", [folder / "1.png"])
        wait(page, "document.querySelector('.tried .map')?.naturalWidth > 0")
        (folder / "broken.png").write_bytes(b"no image")
        before = len(errors)
        page.set_input_files("#files", [folder / "broken.png"])
        wait(page, "document.querySelector('.tried .answer').textContent.startsWith('Error: the file is not an image')")
        del errors[before:]  # the browser's own message of the status 400
    page.click("#camera")
    wait(page, "document.querySelector('.tried .answer').textContent.includes('%')")
    first = page.get_attribute(".tried img", "src")
    wait(page, f"document.querySelector('.tried img').src !== '{first}'")
    page.click("#camera")
    wait(page, "document.getElementById('video').hidden")
    keep_screens(page, screens, "serve-")
    page.close()
    print("the page of `gpunn serve` answers for files, a broken file, and the camera")


def cross_site(browser, url, errors):
    """A page of another origin of this machine cannot use the server."""
    page = browser.new_page()
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "index.html").write_text("<!doctype html><title>other</title>")
        other = subprocess.Popen(
            [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        port = re.search(r"port (\d+)", other.stdout.readline())[1]
        page.goto(f"http://127.0.0.1:{port}/")
        for mode in ("cors", "no-cors"):
            send = "([url, mode]) => fetch(url, {method: 'POST', mode, body: 'x'}).then(answer => answer.type, () => 'refused')"
            assert page.evaluate(send, [f"{url}predict", mode]) in ("refused", "opaque")
        shown = "(url) => new Promise(done => { const i = new Image(); i.onload = () => done('shown'); i.onerror = () => done('refused'); i.src = url; })"
        assert page.evaluate(shown, f"{url}examples/0/0") == "refused"
        # The browser hides answers in any case; the server itself refuses, too.
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
        status, body = ask(connection, "POST", "/predict", picture(0), {"Origin": f"http://127.0.0.1:{port}"})
        assert status == 403, body
        other.kill()
        other.wait()
    page.close()
    print("a page of another site gets nothing")


def live_page(browser, gpunn, errors, screens):
    page = page_of(browser, errors)
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        for epochs, stops in ((400, True), (6, False)):
            command = [gpunn, "train", "--epochs", str(epochs), "--device", "cpu", "--out", out, "--force", "--live=0"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder)
            url = next(line for line in process.stderr if line.startswith("live: ")).split()[1]
            drain = threading.Thread(target=process.stderr.read)
            drain.start()
            page.goto(url)
            wait(page, "document.querySelectorAll('#rows tr').length >= 2")
            if stops:
                page.click("#save")
                wait(page, "document.getElementById('list').textContent.includes('Saved in epoch')")
                page.click("#stop")
                wait(page, "document.documentElement.dataset.phase === 'stopped'")
                assert "gpunn train --resume" in page.text_content("#status")
                assert process.wait(60) == 130
            else:
                wait(page, "document.documentElement.dataset.phase === 'done'", 120)
                report = page.frame_locator("#report")
                report.locator("h1").wait_for()
                assert report.locator("svg").count() > 2
                assert process.wait(60) == 0
                keep_screens(page, screens, "live-")
            drain.join()
    page.close()
    print("the page of `gpunn train --live` shows curves, saves, stops, and shows the report")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gpunn", type=pathlib.Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--screens", type=pathlib.Path)
    arguments = parser.parse_args()
    gpunn = arguments.gpunn.resolve()
    browser_path = chromium()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "small.toml").write_text(MODEL)
        run = folder / "run"
        train = [gpunn, "train", "--model", folder / "small.toml", "--epochs", "3", "--device", "cpu", "--out", run, "--quiet", "--no-report"]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
        with serving(gpunn, run) as (process, url):
            load(process, url, arguments.requests, arguments.connections)
            huge(url)
            with sync_playwright() as playwright:
                flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
                browser = playwright.chromium.launch(executable_path=browser_path, args=flags)
                errors = []
                try_page(browser, url, errors, arguments.screens)
                cross_site(browser, url, errors)
                live_page(browser, gpunn, errors, arguments.screens)
                assert not errors, errors
                browser.close()
            assert process.poll() is None


if __name__ == "__main__":
    main()
