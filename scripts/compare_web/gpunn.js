// The network in gpunn: its recipe as text, run by the module that the page of web/ uses.
import start, { Images, Session } from "./pkg/gpunn_web.js";

const RECIPE = (batch, rate) => `
format = 1
name = "compare"
[model]
name = "own"
[[model.layer]]
kind = "conv2d"
outputs = 16
kernel = 3
padding = 1
[[model.layer]]
kind = "relu"
[[model.layer]]
kind = "max-pool"
kernel = 2
[[model.layer]]
kind = "conv2d"
outputs = 32
kernel = 3
padding = 1
[[model.layer]]
kind = "relu"
[[model.layer]]
kind = "max-pool"
kernel = 2
[[model.layer]]
kind = "flatten"
[[model.layer]]
kind = "classes"
[data]
name = "mnist"
size = 28
val_fraction = 0.05
[training]
epochs = 1000
batch_size = ${batch}
[optimizer]
name = "sgd"
learning_rate = ${rate}
momentum = 0.0
`;

export async function begin({ device, bytes, labels, batch, rate }) {
  await start();
  const images = new Images(28, true, Array.from({ length: 10 }, (_, digit) => String(digit)));
  const rgba = new Uint8Array(4 * 784);
  for (let i = 0; i < labels.length; i++) {
    for (let at = 0; at < 784; at++) rgba[4 * at] = bytes[i * 784 + at];
    images.add(rgba, labels[i]);
  }
  const session = await Session.begin(RECIPE(batch, rate), 1, 1000, device === "cpu", images, undefined);
  const { device: name, reason, images: trained } = JSON.parse(session.description());
  if (reason && device === "gpu") throw new Error(`gpunn computes on ${name}: ${reason}`);
  // A few images are held out; they are evaluated after each epoch, within the time.
  return { images: trained, epoch: async () => JSON.parse(await session.epoch(() => true)).train_loss };
}
