// The network in jax-js. Arrays are consumed by what takes them, unless `.ref` keeps them.
import { defaultDevice, init, jit, lax, nn, numpy as np, valueAndGrad, tree, blockUntilReady } from "@jax-js/jax";

const SAME = [[1, 1], [1, 1]];

/** Halves height and width by the largest of each four. */
function pool(x) {
  const [n, c, h, w] = x.shape;
  return np.max(x.reshape([n, c, h / 2, 2, w / 2, 2]), [3, 5]);
}

function loss(parameters, images, targets) {
  const [w1, b1, w2, b2, w3, b3] = parameters;
  let x = nn.relu(lax.conv(images, w1, [1, 1], SAME).add(b1.reshape([1, -1, 1, 1])));
  x = pool(x);
  x = nn.relu(lax.conv(x, w2, [1, 1], SAME).add(b2.reshape([1, -1, 1, 1])));
  x = pool(x);
  const [n, c, h, w] = x.shape;
  const logits = np.matmul(x.reshape([n, c * h * w]), w3).add(b3);
  return nn.logSoftmax(logits).mul(targets).sum().mul(-1 / n);
}

export async function begin({ device, images, labels, batch, rate, weights }) {
  const name = device === "gpu" ? "webgpu" : "wasm";
  const found = await init(name);
  if (!found.includes(name)) throw new Error(`jax-js has no ${name}: ${found}`);
  defaultDevice(name);
  const step = jit((parameters, x, y) => {
    const [value, gradient] = valueAndGrad(loss)(parameters.map((parameter) => parameter.ref), x, y);
    return [value, parameters.map((parameter, i) => parameter.sub(gradient[i].mul(rate)))];
  });
  const [c1, c2] = [weights.shapes[0][0], weights.shapes[2][0]];
  let parameters = weights.values.map((values, i) => np.array(values).reshape(weights.shapes[i]));
  const count = labels.length / batch;
  const x = Array.from({ length: count }, (_, i) => np.array(images.slice(i * batch * 784, (i + 1) * batch * 784)).reshape([batch, 1, 28, 28]));
  const y = Array.from({ length: count }, (_, i) => nn.oneHot(np.array(Int32Array.from(labels.slice(i * batch, (i + 1) * batch)), { dtype: np.int32 }), 10));
  return { images: count * batch, epoch: async () => {
    let total = 0;
    const losses = [];
    for (let i = 0; i < count; i++) {
      const [value, next] = step(parameters, x[i].ref, y[i].ref);
      parameters = next;
      losses.push(value);
    }
    await blockUntilReady(parameters);
    for (const value of losses) total += (await value.data())[0];
    return total / count;
  } };
}
