// The worker: it computes, so that the page stays responsive. A message {id, call, args} is answered by {id, value} or {id, error};
// {progress} tells how far a call is.
import init, { Checking, Images, Network, Session, Weights, image_side } from "./pkg/gpunn_web.js";

const ready = init();
const needsSession = new Set(["epoch", "test", "weights", "hash", "image"]);
const needsNetwork = new Set(["predict", "save", "onnx"]);
let session, network, checking, going = true; // of session and network there is one at most

function forget() {
  session?.free();
  network?.free();
  session = network = undefined;
}

// wgpu knows no name of a browser's adapter; the browser may tell some of it.
async function named(device) {
  if (!device.startsWith(" (")) return device;
  const { vendor, architecture, description } = (await navigator.gpu.requestAdapter())?.info ?? {};
  return `WebGPU: ${[vendor, architecture, description].filter(Boolean).join(" ") || "an adapter without a name"}`;
}

// The user's images for the library, which takes them over.
function given({ side, classes, list }) {
  const images = new Images(side, false, classes);
  for (const { pixels, label } of list) images.add(pixels, label);
  return images;
}

const calls = {
  async begin({ recipe, seed, epochs, cpu, images, weights }) {
    forget();
    const file = weights && Weights.read(weights.bytes, weights.name);
    session = await Session.begin(recipe, seed, epochs, cpu, images && given(images), file);
    const known = JSON.parse(session.description());
    return { ...known, device: await named(known.device) };
  },
  async open({ bytes, name, cpu }) {
    const opened = await Network.open(bytes, name, cpu);
    forget();
    network = opened;
    const known = JSON.parse(network.description());
    return { ...known, device: await named(known.device), opened: true };
  },
  async side({ recipe }) { return image_side(recipe); },
  async epoch() {
    going = true;
    const line = await session.epoch((step, batches, of) => {
      postMessage({ progress: { step, batches, of } });
      return going;
    });
    return { line: line && JSON.parse(line), over: session.is_over() };
  },
  async predict({ image }) { return JSON.parse(await (session ?? network).predict(image)); },
  async save() { return (session ?? network).save(); },
  async onnx() { return (session ?? network).onnx(); },
  async test() { return JSON.parse(await session.test()); },
  async memory() { return (await ready).memory.buffer.byteLength; },
  async weights() { return session.first_weights(); },
  async hash() { return session.weights_hash(); },
  async image({ split, number }) { return session.image(split, number); },
  async check({ cpu }) {
    checking?.free();
    checking = await Checking.begin(cpu);
    return { device: await named(checking.device()), reason: checking.reason(), count: checking.count() };
  },
  async checkNext() {
    const found = await checking.next();
    return found && JSON.parse(found);
  },
};

// One call after the other: each may borrow the session over several turns of the event loop.
let queue = Promise.resolve();
onmessage = ({ data: { id, call, args } }) => {
  if (call === "stop") {
    going = false;
    return;
  }
  queue = queue.then(async () => {
    try {
      await ready; // fails where the browser lacks what the module needs
      if (needsSession.has(call) && !session) throw new Error("There is no training yet: train first.");
      if (needsNetwork.has(call) && !session && !network) throw new Error("There is no network yet: train, or open a saved one.");
      postMessage({ id, value: await calls[call](args ?? {}) });
    } catch (error) {
      postMessage({ id, error: error?.message ?? String(error) });
    }
  });
};
