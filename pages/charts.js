// What pages draw.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Draws some values of the epochs' lines into an SVG of 340 x 230. `keys` are pairs of a name and `train` or `val`; `top` is the axis' end. */
export function drawCurves(svg, title, lines, epochs, keys, top) {
  const [x0, y0, width, height] = [45, 25, 280, 175];
  const place = (line, key) => [x0 + (width * line.epoch) / Math.max(epochs, 1), y0 + height * (1 - Math.min(line[key] / top, 1))];
  svg.replaceChildren(
    element("text", { x: x0, y: 15 }, title),
    element("line", { class: "axis", x1: x0, y1: y0 + height, x2: x0 + width, y2: y0 + height }),
    element("line", { class: "axis", x1: x0, y1: y0, x2: x0, y2: y0 + height }),
    element("text", { x: x0 - 6, y: y0 + 10, "text-anchor": "end" }, top.toPrecision(3)),
    element("text", { x: x0 - 6, y: y0 + height, "text-anchor": "end" }, "0"),
    element("text", { x: x0 + width, y: y0 + height + 18, "text-anchor": "end" }, `epoch ${epochs}`),
    ...keys.flatMap(([key, kind]) => {
      const points = lines.filter((line) => line[key] != null).map((line) => place(line, key));
      // A single point has no line.
      const dots = points.length === 1 ? [element("circle", { class: kind, cx: points[0][0], cy: points[0][1], r: 3 })] : [];
      return [element("polyline", { class: kind, points: points.map((point) => point.join(",")).join(" ") }), ...dots];
    }),
  );
}

/** Draws the first filters: `values` begins with outputs, channels, height and width. Grey is 0, white positive. */
export function drawWeights(canvas, values) {
  if (values.length < 4) return;
  const [outputs, channels, height, width] = values;
  const shown = Math.min(outputs, 64);
  const columns = Math.ceil(Math.sqrt(shown));
  const [wide, high] = [columns * (width + 1) - 1, Math.ceil(shown / columns) * (height + 1) - 1];
  [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(wide, high);
  const size = channels * height * width;
  for (let output = 0; output < shown; output++) {
    const own = values.subarray(4 + output * size, 4 + (output + 1) * size);
    const scale = own.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    const [left, top] = [(output % columns) * (width + 1), Math.floor(output / columns) * (height + 1)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = 4 * ((top + y) * wide + left + x);
        for (let c = 0; c < 3; c++) {
          const value = own[(channels === 3 ? c : 0) * height * width + y * width + x];
          pixels.data[at + c] = 127.5 * (1 + value / scale);
        }
        pixels.data[at + 3] = 255;
      }
    }
  }
  context.putImageData(pixels, 0, 0);
}

/** Draws a confusion matrix: a row for each class, darker for more images. */
export function drawConfusion(canvas, counts, classes) {
  const [side, margin] = [9, 12];
  const size = margin + side * classes.length;
  [canvas.width, canvas.height] = [3 * size, 3 * size];
  // Few classes would be large letters.
  canvas.style.maxWidth = `min(34rem, ${5 * size}px)`;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.scale(3, 3);
  context.fillStyle = style.getPropertyValue("--paper");
  context.fillRect(0, 0, size, size);
  context.font = "6.5px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  classes.forEach((name, number) => {
    const at = margin + side * (number + 0.5);
    context.fillStyle = style.getPropertyValue("--faint");
    context.fillText(name.slice(0, 2), at, margin / 2);
    context.fillText(name.slice(0, 2), margin / 2, at);
  });
  counts.forEach((row, label) => {
    const all = row.reduce((sum, count) => sum + count, 0) || 1;
    row.forEach((count, answer) => {
      if (count === 0) return;
      context.globalAlpha = 0.15 + (0.85 * count) / all;
      context.fillStyle = style.getPropertyValue(label === answer ? "--s0" : "--s1");
      context.fillRect(margin + side * answer, margin + side * label, side - 1, side - 1);
    });
  });
  context.globalAlpha = 1;
}
