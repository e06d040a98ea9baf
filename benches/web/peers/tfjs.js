// The same model, adapter and optimizer in TensorFlow.js on its wasm backend. A classic script: the library's files are no modules that a browser can load.
/* global tf, importScripts */
const FOLDER = "/benches/web/node_modules/@tensorflow";
importScripts("/benches/web/peers/memory.js", `${FOLDER}/tfjs/dist/tf.min.js`, `${FOLDER}/tfjs-backend-wasm/dist/tf-backend-wasm.min.js`);

const LINEARS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
const DECAY = 0.01;

let state;

const layerNorm = (x, { weight, bias }) => {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
};

/** GELU by its tanh form, which the library has not. */
const gelu = (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))), 1));

/** `x·W + b + s·(x·A)·B` */
const linear = (x, { weight, bias }, { a, b }, scaling) =>
  tf.add(tf.add(tf.matMul(x, weight), bias), tf.mul(tf.matMul(tf.matMul(x, a), b), scaling));

function attention(qkv, mask, { size: { width, heads }, batch, block }) {
  const [q, k, v] = tf.split(tf.reshape(qkv, [batch, block, 3 * width]), 3, -1)
    .map((part) => tf.transpose(tf.reshape(part, [batch, block, heads, width / heads]), [0, 2, 1, 3]));
  const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width / heads)), mask);
  return tf.reshape(tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]), [batch * block, width]);
}

/** Mean cross-entropy. */
function loss(inputs, targets) {
  const { size, scaling, batch, block, frozen, variables, mask } = state;
  const rows = batch * block;
  let x = tf.reshape(tf.add(tf.reshape(tf.gather(frozen.wte, inputs), [batch, block, size.width]), frozen.wpe), [rows, size.width]);
  for (let i = 0; i < size.layers; i++) {
    const [layer, lora] = [frozen.blocks[i], variables[i]];
    const qkv = linear(layerNorm(x, layer.ln_1), layer["attn.c_attn"], lora["attn.c_attn"], scaling);
    x = tf.add(x, linear(attention(qkv, mask, state), layer["attn.c_proj"], lora["attn.c_proj"], scaling));
    const hidden = linear(layerNorm(x, layer.ln_2), layer["mlp.c_fc"], lora["mlp.c_fc"], scaling);
    x = tf.add(x, linear(gelu(hidden), layer["mlp.c_proj"], lora["mlp.c_proj"], scaling));
  }
  const logits = tf.matMul(layerNorm(x, frozen.ln_f), frozen.wte, false, true);
  return tf.mul(tf.sum(tf.mul(tf.logSoftmax(logits), tf.oneHot(targets, size.vocabulary))), -1 / rows);
}

const methods = {
  async load(options) {
    const { readSafetensors } = await import("/benches/web/model.js");
    tf.wasm.setWasmPaths(`${FOLDER}/tfjs-backend-wasm/dist/`);
    if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js has no wasm backend here");
    await tf.ready();
    const { size, weights, adapter, block } = options;
    const weight = (name) => tf.tensor(weights.get(`transformer.${name}`).data, weights.get(`transformer.${name}`).shape);
    const pair = (name) => ({ weight: weight(`${name}.weight`), bias: weight(`${name}.bias`) });
    const files = readSafetensors(adapter);
    // PEFT's files hold the transposes.
    const matrix = (name) => {
      const { data, shape } = files.get(`base_model.model.transformer.${name}.weight`);
      return tf.variable(tf.transpose(tf.tensor(data, shape)), true, name);
    };
    const each = (f) => Array.from({ length: size.layers }, (_, i) => f(i));
    const named = (f) => Object.fromEntries(LINEARS.map((name) => [name, f(name)]));
    state = {
      ...options,
      frozen: {
        wte: weight("wte.weight"), wpe: weight("wpe.weight"), ln_f: pair("ln_f"),
        blocks: each((i) => ({ ln_1: pair(`h.${i}.ln_1`), ln_2: pair(`h.${i}.ln_2`), ...named((name) => pair(`h.${i}.${name}`)) })),
      },
      variables: each((i) => named((name) => ({ a: matrix(`h.${i}.${name}.lora_A`), b: matrix(`h.${i}.${name}.lora_B`) }))),
      mask: tf.tensor(Float32Array.from({ length: block * block }, (_, at) => (at % block > Math.floor(at / block) ? -1e9 : 0)), [block, block]),
      optimizer: tf.train.adam(options.learningRate, 0.9, 0.999, 1e-8),
    };
    state.all = state.variables.flatMap((layers) => Object.values(layers).flatMap(({ a, b }) => [a, b]));
    const threads = await tf.env().getAsync("WASM_HAS_MULTITHREAD_SUPPORT");
    return { library: "TensorFlow.js", version: tf.version.tfjs, backend: `wasm${threads ? ", threads" : ""}` };
  },

  /** @param {Uint32Array} windows (batch, time + 1) */
  step(windows) {
    const { batch, block, learningRate, optimizer, all } = state;
    return tf.tidy(() => {
      const both = tf.tensor(Int32Array.from(windows), [batch, block + 1], "int32");
      const [inputs, targets] = [0, 1].map((shift) => tf.reshape(tf.slice(both, [0, shift], [batch, block]), [batch * block]));
      const { value, grads } = tf.variableGrads(() => loss(inputs, targets), all);
      // Decoupled weight decay, which its Adam has not.
      for (const variable of all) variable.assign(tf.mul(variable, 1 - learningRate * DECAY));
      optimizer.applyGradients(grads);
      return value.dataSync()[0];
    });
  },
  memory: () => self.wasmMemory(),
};

import("/benches/web/workers/rpc.js").then(({ serve }) => serve(methods));
