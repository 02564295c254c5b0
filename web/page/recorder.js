// Images of the camera: a field for each class, with a button that records while it is held.
import { Camera } from "./camera.js";
import { most } from "./folder.js";
import { fitted } from "./pixels.js";

const SIDE = 128; // of a recorded image
const PAUSE = 100; // milliseconds between two images
const SHOWN = 12; // images of a class that are shown

/** Makes an element with these properties. */
const make = (name, properties) => Object.assign(document.createElement(name), properties);

export class Recorder {
  /** `box` gets the classes, `video` shows the camera, `tell` gets sentences, `changed` whether the camera is on. */
  constructor(box, video, tell, changed) {
    Object.assign(this, { box, video, tell, changed, camera: new Camera(), kinds: [], added: 0 });
    this.add();
    this.add();
  }

  get on() {
    return this.camera.on;
  }

  async start() {
    if (this.on) return;
    await this.camera.start(this.video);
    this.changed(true);
  }

  stop() {
    this.release?.();
    this.camera.stop();
    this.changed(false);
  }

  /** What the camera sees now, as an image of the size. */
  now(size, fit) {
    return fitted(this.camera.canvas(), size, fit);
  }

  count() {
    return this.kinds.reduce((sum, kind) => sum + kind.images.length, 0);
  }

  /** Adds a class. */
  add() {
    const text = `class ${++this.added}`;
    const kind = { images: [] };
    const row = make("div", { className: "kind", role: "group" });
    const label = make("label", { textContent: "Class" });
    kind.name = make("input", { type: "text", value: text, maxLength: 60, autocomplete: "off" });
    // Enter in a name would train.
    kind.name.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
    kind.name.addEventListener("input", () => (record.ariaLabel = `Record ${kind.name.value}`));
    label.append(kind.name);
    const record = make("button", { type: "button", textContent: "Hold to record", className: "record", ariaLabel: `Record ${text}`, ariaPressed: "false" });
    const remove = make("button", { type: "button", textContent: "Remove", ariaLabel: `Remove ${text}` });
    kind.count = make("output", { textContent: "no images", className: "faint" });
    kind.strip = make("div", { className: "strip" });
    this.holds(record, kind);
    remove.addEventListener("click", () => {
      this.release?.();
      this.kinds = this.kinds.filter((other) => other !== kind);
      row.remove();
    });
    const buttons = make("div", { className: "buttons" });
    buttons.append(record, remove, kind.count);
    row.append(label, buttons, kind.strip);
    this.box.append(row);
    this.kinds.push(kind);
    return kind;
  }

  /** The button records while a pointer holds it; a key turns recording on and off. */
  holds(button, kind) {
    const begin = async () => {
      this.release?.();
      button.ariaPressed = "true";
      let timer;
      this.release = () => {
        clearInterval(timer);
        this.release = timer = undefined;
        button.ariaPressed = "false";
      };
      const own = this.release;
      try {
        await this.start();
      } catch (error) {
        this.release?.();
        return this.tell(`Error: ${error.message}`);
      }
      // Let go while the camera was opened.
      if (this.release !== own) return;
      this.take(kind);
      timer = setInterval(() => this.take(kind), PAUSE);
    };
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      begin();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(end, () => this.release?.());
    // A long touch would open a menu.
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    // Keys, and programs that read screens, click without a pointer.
    button.addEventListener("click", (event) => {
      if (event.detail !== 0) return;
      button.ariaPressed === "true" ? this.release?.() : begin();
    });
  }

  /** Records an image. */
  take(kind) {
    if (this.count() >= most(SIDE)) {
      this.release?.();
      return this.tell(`The page takes ${most(SIDE)} images of the camera at most.`);
    }
    const pixels = fitted(this.camera.canvas(), [SIDE, SIDE]);
    kind.images.push(pixels);
    const picture = make("canvas", { width: SIDE, height: SIDE, ariaHidden: "true" });
    picture.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels), SIDE, SIDE), 0, 0);
    kind.strip.prepend(picture);
    while (kind.strip.children.length > SHOWN) kind.strip.lastChild.remove();
    kind.count.textContent = kind.images.length === 1 ? "1 image" : `${kind.images.length} images`;
  }

  /** The images as pixels, `side` wide and high. */
  async read(side) {
    const kinds = this.kinds.filter((kind) => kind.images.length > 0);
    const classes = kinds.map((kind) => kind.name.value.trim());
    if (classes.length < 2) throw new Error("Record images of at least two classes first.");
    if (classes.includes("")) throw new Error("Give every class a name.");
    if (new Set(classes).size < classes.length) throw new Error("Two classes have the same name: change one.");
    const few = kinds.findIndex((kind) => kind.images.length < 5);
    if (few >= 0) throw new Error(`Record at least 5 images of ${classes[few]}: some are held out to see how well it learns.`);
    if (this.count() > most(side)) {
      throw new Error(`There are ${this.count()} images; with ${side} x ${side} pixels the page takes ${most(side)} at most.`);
    }
    const list = kinds.flatMap(({ images }, label) => images.map((image) => ({ pixels: fitted(asCanvas(image), [side, side]), label })));
    return { side, classes, list, broken: [] };
  }
}

function asCanvas(pixels) {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels), SIDE, SIDE), 0, 0);
  return canvas;
}
