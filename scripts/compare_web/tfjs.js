// The network in TensorFlow.js: channels last, as its fastest kernels want them.
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";

export async function begin({ device, images, labels, batch, rate, weights }) {
  // Its backend in WebAssembly has no gradient of convolutions.
  const name = { gpu: "webgpu", cpu: "cpu" }[device];
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js has no ${name}`);
  await tf.ready();
  const [w1, b1, w2, b2, w3, b3] = weights.values.map((values, i) => tf.tensor(values, weights.shapes[i]));
  // Outputs, inputs, height, width become height, width, inputs, outputs; the features of the last layer are in the order of its images.
  const kernel = (w) => w.transpose([2, 3, 1, 0]);
  const features = w3.reshape([32, 7, 7, 10]).transpose([1, 2, 0, 3]).reshape([1568, 10]);
  const parameters = [kernel(w1), b1, kernel(w2), b2, features, b3].map((value) => tf.variable(value));
  const optimizer = tf.train.sgd(rate);
  const count = labels.length / batch;
  const x = Array.from({ length: count }, (_, i) => tf.tensor(images.slice(i * batch * 784, (i + 1) * batch * 784), [batch, 28, 28, 1]));
  const y = Array.from({ length: count }, (_, i) => tf.oneHot(tf.tensor1d(labels.slice(i * batch, (i + 1) * batch), "int32"), 10).toFloat());
  const logits = (images) => {
    const [k1, c1, k2, c2, k3, c3] = parameters;
    let z = tf.maxPool(tf.relu(tf.add(tf.conv2d(images, k1, 1, "same"), c1)), 2, 2, "valid");
    z = tf.maxPool(tf.relu(tf.add(tf.conv2d(z, k2, 1, "same"), c2)), 2, 2, "valid");
    return tf.add(tf.matMul(z.reshape([batch, 1568]), k3), c3);
  };
  return { images: count * batch, epoch: async () => {
    const losses = [];
    for (let i = 0; i < count; i++) losses.push(optimizer.minimize(() => tf.losses.softmaxCrossEntropy(y[i], logits(x[i])), true, parameters));
    let total = 0;
    for (const value of losses) {
      total += (await value.data())[0];
      value.dispose();
    }
    return total / count;
  } };
}
