// Called by scripts/compare_web.py: begins a training of one library, and times an epoch of it.
const libraries = { gpunn: () => import("./gpunn.js"), jax: () => import("./jax.bundle.js"), tfjs: () => import("./tfjs.bundle.js") };
let epoch; // of the library

/** Weights as PyTorch draws them, by a small generator: the same for all libraries that take them. */
function weights() {
  let state = 1;
  const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32);
  const shapes = [[16, 1, 3, 3], [16], [32, 16, 3, 3], [32], [1568, 10], [10]];
  const inputs = [9, 9, 144, 144, 1568, 1568];
  const values = shapes.map((shape, i) => Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => (2 * random() - 1) / Math.sqrt(inputs[i])));
  return { shapes, values };
}

globalThis.begin = async (library, device, count, batch, rate) => {
  const bytes = new Uint8Array(await (await fetch("images.bin")).arrayBuffer()).slice(0, 784 * count);
  const labels = [...new Uint8Array(await (await fetch("labels.bin")).arrayBuffer()).slice(0, count)];
  const images = Float32Array.from(bytes, (byte) => byte / 255);
  const { begin } = await libraries[library]();
  const found = await begin({ device, bytes, images, labels, batch, rate, weights: weights() });
  epoch = found.epoch;
  return found.images;
};

globalThis.time = async () => {
  const began = performance.now();
  const loss = await epoch();
  return { loss, seconds: (performance.now() - began) / 1000 };
};
