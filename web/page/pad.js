// A field to draw in, and the drawing as the network's image.

const SIDE = 32; // of the network's image
const ROOM = 22; // that a character fills of it

export class Pad {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.clear();
    let last;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
    };
    const line = (to) => {
      this.context.beginPath();
      this.context.moveTo(...last);
      this.context.lineTo(...to);
      this.context.stroke();
      last = to;
      changed();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      last = at(event);
      line([last[0] + 0.1, last[1]]);
    });
    canvas.addEventListener("pointermove", (event) => last && line(at(event)));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (last = undefined));
  }

  clear() {
    const { context, canvas } = this;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    [context.strokeStyle, context.lineWidth, context.lineCap, context.lineJoin] = ["#fff", 20, "round", "round"];
  }

  /** Shows an image of the network. */
  show(image) {
    const small = new ImageData(SIDE, SIDE);
    image.forEach((value, i) => small.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
    const canvas = new OffscreenCanvas(SIDE, SIDE);
    canvas.getContext("2d").putImageData(small, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(canvas, 0, 0, this.canvas.width, this.canvas.height);
  }

  /** The drawing, scaled and centred as the training images are: values from 0 to 1. Nothing if the field is empty. */
  image() {
    const { width, height } = this.canvas;
    const { data } = this.context.getImageData(0, 0, width, height);
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let i = 0; i < width * height; i++) {
      if (data[4 * i] < 100) continue;
      const [x, y] = [i % width, Math.floor(i / width)];
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
    }
    if (left >= right) return undefined;
    const scale = ROOM / Math.max(right - left, bottom - top);
    const [wide, high] = [(right - left) * scale, (bottom - top) * scale];
    const small = new OffscreenCanvas(SIDE, SIDE).getContext("2d");
    small.imageSmoothingQuality = "high";
    small.fillRect(0, 0, SIDE, SIDE);
    small.drawImage(this.canvas, left, top, right - left, bottom - top, (SIDE - wide) / 2, (SIDE - high) / 2, wide, high);
    const pixels = small.getImageData(0, 0, SIDE, SIDE).data;
    return Float32Array.from({ length: SIDE * SIDE }, (_, i) => pixels[4 * i] / 255);
  }
}
