// A field to draw in, and the drawing as the network's image.

const ROOM = 22 / 32; // of the image's side, that a character fills

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

  /** Shows a square image of the network. */
  show(image) {
    const side = Math.sqrt(image.length);
    const small = new ImageData(side, side);
    image.forEach((value, i) => small.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
    const canvas = new OffscreenCanvas(side, side);
    canvas.getContext("2d").putImageData(small, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(canvas, 0, 0, this.canvas.width, this.canvas.height);
  }

  /** The drawing of this size, scaled and centred as the glyphs are: values from 0 to 1. Nothing if the field is empty. */
  image(toHeight, toWidth) {
    const { width, height } = this.canvas;
    const { data } = this.context.getImageData(0, 0, width, height);
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let i = 0; i < width * height; i++) {
      if (data[4 * i] < 100) continue;
      const [x, y] = [i % width, Math.floor(i / width)];
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
    }
    if (left >= right) return undefined;
    const scale = (ROOM * Math.min(toWidth, toHeight)) / Math.max(right - left, bottom - top);
    const [wide, high] = [(right - left) * scale, (bottom - top) * scale];
    const small = new OffscreenCanvas(toWidth, toHeight).getContext("2d");
    small.imageSmoothingQuality = "high";
    small.fillRect(0, 0, toWidth, toHeight);
    small.drawImage(this.canvas, left, top, right - left, bottom - top, (toWidth - wide) / 2, (toHeight - high) / 2, wide, high);
    const pixels = small.getImageData(0, 0, toWidth, toHeight).data;
    return Float32Array.from({ length: toWidth * toHeight }, (_, i) => pixels[4 * i] / 255);
  }
}
