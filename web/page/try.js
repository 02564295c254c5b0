// Reading with the network: a drawing, a test image, an image file, the camera.
import { percent, showBars } from "./answers.js";
import { Pad } from "./pad.js";
import { pixelsOf, planes } from "./pixels.js";

const at = (id) => document.getElementById(id);
const PAUSE = 200; // milliseconds between two images of the camera

/** The part of the page that reads. */
export class Reader {
  constructor(engine, recorder) {
    [this.engine, this.recorder] = [engine, recorder];
    this.pad = new Pad(at("pad"), () => this.read());
    at("clear").addEventListener("click", () => {
      this.pad.clear();
      at("answer").textContent = this.known ? "" : "Train first, or open a saved network.";
      at("bars").replaceChildren();
    });
    at("example").addEventListener("click", () => this.readExample());
    at("try").addEventListener("change", () => this.readFile());
    at("live").addEventListener("click", () => (this.live ? this.end() : this.readCamera()));
  }

  /** Shows what a network can read: `known` is what the worker says of it, `images` what the page would train on. */
  show(known, images) {
    this.known = known;
    const drawn = known ? known.input[0] === 1 : images === "glyphs";
    const [files, tests] = [known?.opened || !drawn, Boolean(known?.test_images)];
    [at("draw-text").hidden, at("pad-side").hidden, at("try-text").hidden, at("live-box").hidden] = [!drawn, !drawn, !files, !files];
    at("example").hidden = Boolean(known) && !tests;
    if (known && at("answer").textContent.startsWith("Train first")) at("answer").textContent = "";
    if (!files) this.end();
  }

  /** Reads an image of the network's values; without one, the drawing. One at a time, and of those that wait the last. */
  async read(given) {
    const { known } = this;
    const image = given ?? (known?.input[0] === 1 ? this.pad.image(known.input[1], known.input[2]) : undefined);
    if (!known || !image) return;
    if (this.reading) {
      this.next = { given };
      return;
    }
    this.reading = true;
    try {
      const answer = await this.engine.call("predict", { image });
      at("answer").textContent = `This is ${answer.class} (${percent(answer.confidence)}).`;
      const all = answer.probabilities.map((confidence, index) => ({ class: known.classes[index], confidence }));
      showBars(at("bars"), all.sort((a, b) => b.confidence - a.confidence).slice(0, 5));
    } catch (error) {
      at("answer").textContent = `Error: ${error.message}`;
    }
    this.reading = false;
    if (this.next) {
      const { given } = this.next;
      this.next = undefined;
      await this.read(given);
    }
  }

  async readExample() {
    if (!this.known?.test_images) return;
    try {
      this.pad.show(await this.engine.call("image", { split: "test", number: Math.floor(this.known.test_images * Math.random()) }));
      await this.read();
    } catch (error) {
      at("answer").textContent = `Error: ${error.message}`;
    }
  }

  async readFile() {
    const [file] = at("try").files;
    if (!file || !this.known) return;
    const [channels, ...size] = this.known.input;
    let image;
    try {
      image = planes(await pixelsOf(file, size, this.known.fit), channels);
    } catch {
      at("answer").textContent = `Error: ${file.name} is no image that this browser can read.`;
      return;
    }
    await this.read(image);
  }

  /** Reads from the camera until it is told to stop. */
  async readCamera() {
    try {
      await this.recorder.start();
    } catch (error) {
      at("answer").textContent = `Error: ${error.message}`;
      return;
    }
    this.live = true;
    at("live").textContent = "Stop reading";
    at("live-video").hidden = false;
    at("live-video").srcObject = this.recorder.camera.stream;
    await at("live-video").play().catch(() => {});
    while (this.live && this.recorder.on) {
      if (this.known) {
        const [channels, ...size] = this.known.input;
        await this.read(planes(this.recorder.now(size, this.known.fit), channels));
      }
      await new Promise((done) => setTimeout(done, PAUSE));
    }
    this.end();
  }

  end() {
    if (!this.live) return;
    this.live = false;
    at("live").textContent = "Read from the camera";
    at("live-video").hidden = true;
    at("live-video").srcObject = null;
    if (at("camera-box").hidden) this.recorder.stop();
  }
}
