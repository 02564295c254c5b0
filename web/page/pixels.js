// Images as the library takes them. src/images/preprocessing.rs has the same rules.

/** The part of an image of `width` x `height` that becomes one of `toWidth` x `toHeight`: left, top, width, height. */
function cut(width, height, toWidth, toHeight, fit) {
  const middle = (w, h) => [Math.floor((width - w) / 2), Math.floor((height - h) / 2), w, h];
  if (fit === "resize") return [0, 0, width, height];
  if (fit === "centre-crop" && width >= toWidth && height >= toHeight) return middle(toWidth, toHeight);
  const share = (side, over, under) => Math.max(1, Math.round((side * over) / under));
  const [most, high] = [Math.min(width, share(height, toWidth, toHeight)), Math.min(height, share(width, toHeight, toWidth))];
  // The middle 7/8 of the image, as networks for ImageNet see it.
  return fit === "resize-middle" ? middle(Math.round((most * 7) / 8), Math.round((high * 7) / 8)) : middle(most, high);
}

/** A picture of this size, cut and resized by the recipe's rule: red, green, blue and alpha of its pixels. What is transparent becomes white. */
export function fitted(picture, [height, width], fit = "resize-crop") {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, ...cut(picture.width, picture.height, width, height, fit), 0, 0, width, height);
  return new Uint8Array(context.getImageData(0, 0, width, height).data.buffer);
}

/** As `fitted`, of an image file. */
export async function pixelsOf(file, size, fit) {
  // Phones say by EXIF how an image is turned; browsers turn it by default.
  const picture = await createImageBitmap(file);
  const pixels = fitted(picture, size, fit);
  picture.close();
  return pixels;
}

/** Pixels of a canvas as the network's values from 0 to 1: a plane for each of 3 channels, or one of grey. */
export function planes(rgba, channels) {
  const plane = rgba.length / 4;
  const grey = (i) => Math.floor((2126 * rgba[i] + 7152 * rgba[i + 1] + 722 * rgba[i + 2]) / 10_000);
  const value = (i) => (channels === 1 ? grey(4 * i) : rgba[4 * (i % plane) + Math.floor(i / plane)]);
  return Float32Array.from({ length: channels * plane }, (_, i) => value(i) / 255);
}
