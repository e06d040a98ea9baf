// The same model, adapter and optimizer in jax-js: one jitted function is the whole step, as its documentation advises. Weights are given as
// arguments; `.ref` keeps an array that is used again, since a call consumes what it gets.
import "./memory.js";
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "../node_modules/@jax-js/jax/dist/index.js";
import { readSafetensors } from "../model.js";
import { serve } from "../workers/rpc.js";

const LINEARS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
const [BETA1, BETA2, EPSILON, DECAY] = [0.9, 0.999, 1e-8, 0.01];

/** @type {any} */
let state;

/** @param {{ shape: number[], data: Float32Array }} weight */
const array = ({ shape, data }) => np.array(data, { shape, dtype: np.float32 });

/** @param {any} x @param {any} weight @param {any} bias */
const layerNorm = (x, weight, bias) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weight).add(bias);

/** `x·W + b + s·(x·A)·B` @param {any} x @param {any} layer @param {any} adapter @param {number} scaling */
function linear(x, { weight, bias }, { a, b }, scaling) {
  const delta = np.matmul(np.matmul(x.ref, a), b).mul(scaling);
  return np.matmul(x, weight).add(bias).add(delta);
}

/** Mean cross-entropy. @param {any} adapter @param {any} frozen @param {any} inputs @param {any} targets @param {any} options */
function loss(adapter, frozen, inputs, targets, { size, scaling, batch, block }) {
  const { width, heads, vocabulary } = size;
  const rows = batch * block;
  let x = np.take(frozen.wte.ref, inputs, 0).reshape([batch, block, width]).add(frozen.wpe).reshape([rows, width]);
  for (const [i, layer] of frozen.blocks.entries()) {
    const lora = adapter[i];
    const qkv = linear(layerNorm(x.ref, layer.ln_1.weight, layer.ln_1.bias), layer["attn.c_attn"], lora["attn.c_attn"], scaling);
    const [q, k, v] = np.split(qkv, 3, -1).map((/** @type {any} */ part) => part.reshape([batch, block, heads, width / heads]));
    const mixed = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([rows, width]);
    x = x.add(linear(mixed, layer["attn.c_proj"], lora["attn.c_proj"], scaling));
    const hidden = linear(layerNorm(x.ref, layer.ln_2.weight, layer.ln_2.bias), layer["mlp.c_fc"], lora["mlp.c_fc"], scaling);
    x = x.add(linear(nn.gelu(hidden, { approximate: true }), layer["mlp.c_proj"], lora["mlp.c_proj"], scaling));
  }
  const logits = np.matmul(layerNorm(x, frozen.ln_f.weight, frozen.ln_f.bias), np.transpose(frozen.wte));
  return nn.logSoftmax(logits, -1).mul(nn.oneHot(targets, vocabulary)).sum().mul(-1 / rows);
}

/** @param {any} options */
function stepFunction(options) {
  const both = valueAndGrad((/** @type {any} */ adapter, /** @type {any} */ frozen, /** @type {any} */ inputs, /** @type {any} */ targets) => loss(adapter, frozen, inputs, targets, options));
  return jit((/** @type {any} */ adapter, /** @type {any} */ m, /** @type {any} */ v, /** @type {any} */ rate, /** @type {any} */ root, /** @type {any} */ frozen, /** @type {any} */ inputs, /** @type {any} */ targets) => {
    const [value, gradient] = both(tree.ref(adapter), frozen, inputs, targets);
    const first = tree.map((/** @type {any} */ m, /** @type {any} */ g) => m.mul(BETA1).add(g.mul(1 - BETA1)), m, tree.ref(gradient));
    const second = tree.map((/** @type {any} */ v, /** @type {any} */ g) => v.mul(BETA2).add(g.ref.mul(g).mul(1 - BETA2)), v, gradient);
    const updated = tree.map((/** @type {any} */ p, /** @type {any} */ m, /** @type {any} */ v) => {
      const direction = m.mul(rate.ref).div(np.sqrt(v).mul(root.ref).add(EPSILON));
      return p.mul(1 - options.learningRate * DECAY).sub(direction);
    }, adapter, tree.ref(first), tree.ref(second));
    rate.dispose();
    root.dispose();
    return [value, updated, first, second];
  });
}

serve({
  /** @param {any} options */
  async load(options) {
    const { size, weights, adapter } = options;
    await init("wasm");
    defaultDevice("wasm");
    const weight = (/** @type {string} */ name) => array(weights.get(`transformer.${name}`));
    const pair = (/** @type {string} */ name) => ({ weight: weight(`${name}.weight`), bias: weight(`${name}.bias`) });
    const files = readSafetensors(adapter);
    // PEFT's files hold the transposes.
    const matrix = (/** @type {string} */ name) => np.transpose(array(/** @type {any} */ (files.get(`base_model.model.transformer.${name}.weight`))));
    const each = (/** @type {(i: number) => any} */ f) => Array.from({ length: size.layers }, (_, i) => f(i));
    const named = (/** @type {(name: string) => any} */ f) => Object.fromEntries(LINEARS.map((name) => [name, f(name)]));
    const frozen = {
      wte: weight("wte.weight"), wpe: weight("wpe.weight"), ln_f: pair("ln_f"),
      blocks: each((i) => ({ ln_1: pair(`h.${i}.ln_1`), ln_2: pair(`h.${i}.ln_2`), ...named((name) => pair(`h.${i}.${name}`)) })),
    };
    const variables = each((i) => named((name) => ({ a: matrix(`h.${i}.${name}.lora_A`), b: matrix(`h.${i}.${name}.lora_B`) })));
    const zeros = () => tree.map((/** @type {any} */ x) => np.zerosLike(x), tree.ref(variables));
    state = { ...options, frozen, variables, m: zeros(), v: zeros(), step: 0, run: stepFunction(options) };
    const { version } = await (await fetch(new URL("../node_modules/@jax-js/jax/package.json", import.meta.url))).json();
    return { library: "jax-js", version, backend: `wasm${self.crossOriginIsolated ? ", threads" : ""}` };
  },

  /** @param {Uint32Array} windows (batch, time + 1) */
  async step(windows) {
    const { batch, block, frozen, learningRate, run } = state;
    const [inputs, targets] = [0, 1].map((shift) => {
      const ids = new Int32Array(batch * block);
      for (let row = 0; row < batch; row++) ids.set(windows.subarray(row * (block + 1) + shift, row * (block + 1) + shift + block), row * block);
      return np.array(ids, { shape: [batch * block], dtype: np.int32 });
    });
    state.step++;
    const rate = np.array(Float32Array.of(learningRate / (1 - BETA1 ** state.step)), { shape: [], dtype: np.float32 });
    const root = np.array(Float32Array.of(1 / Math.sqrt(1 - BETA2 ** state.step)), { shape: [], dtype: np.float32 });
    const [value, variables, m, v] = run(state.variables, state.m, state.v, rate, root, tree.ref(frozen), inputs, targets);
    Object.assign(state, { variables, m, v });
    const [loss] = await value.data();
    // Nothing of this step is left for the next one to pay.
    for (const leaf of tree.leaves([variables, m, v])) await leaf.blockUntilReady();
    return loss;
  },
  memory: () => /** @type {any} */ (globalThis).wasmMemory(),
});
