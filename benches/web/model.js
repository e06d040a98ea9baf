// The models that are measured: sizes, weights drawn from a seed, tokens drawn from a seed, and the file that holds the weights.
// `node benches/web/model.js S folder` writes config.json, model.safetensors and tokens.json, which benches/native/torch_peft.py reads.

/** @typedef {{ width: number, heads: number, layers: number, context: number, vocabulary: number }} Size */
/** @typedef {{ shape: number[], data: Float32Array }} Weight */

/** Useful work a token: forward and dx of the linears and the head, forward and backward of LoRA and attention. */
export const CONFIGS = {
  S: { size: { width: 192, heads: 6, layers: 6, context: 128, vocabulary: 1024 }, flopsPerToken: 13.84e6 },
  M: { size: { width: 384, heads: 6, layers: 6, context: 128, vocabulary: 4096 }, flopsPerToken: 53.2e6 },
};
export const BATCH = 4, BLOCK = 128, RANK = 8, ALPHA = 16, LEARNING_RATE = 1e-3, SEED = 1;

/**
 * Useful work of one training step in floating-point operations, a multiplication and an addition being two: forward and dx of the frozen linears and the
 * head, forward and backward of LoRA and attention. Nothing below the lowest adapted block has a gradient, and in that block c_attn
 * needs no dx. Attention counts all time × time products, also those that the mask makes unnecessary.
 * @param {Size} size @param {{ batch?: number, time?: number, rank?: number, adapted?: number }} [shape] adapted: how many blocks, from the top
 */
export function usefulFlops({ width, layers, vocabulary }, { batch = BATCH, time = BLOCK, rank = RANK, adapted = layers } = {}) {
  const linears = 12 * width * width, head = vocabulary * width, attention = 2 * time * width;
  // A and B of the four linears, whose inputs and outputs add up to 16 widths; backward they have both dx and their own gradients.
  const lora = 16 * width * rank;
  const forward = layers * (linears + attention) + head + adapted * lora;
  const backward = adapted * (linears + 2 * attention + 2 * lora) - 3 * width * width + head;
  return 2 * (forward + backward) * batch * time;
}

/** Where in the tokens each window of a step begins. @param {Uint32Array} ids @param {Uint32Array} windows @param {number} batch */
export function startsOf(ids, windows, batch) {
  const length = windows.length / batch;
  return Array.from({ length: batch }, (_, row) => {
    const window = windows.subarray(row * length, (row + 1) * length);
    for (let start = 0; start + length <= ids.length; start++) if (window.every((id, i) => id === ids[start + i])) return start;
    throw new Error(`window ${row} of ${batch} is no piece of the ${ids.length} tokens`);
  });
}

/** What LoraLab.train() gets, so that every library does the same arithmetic: one learning rate, AdamW with decay, no clipping. */
export const TRAINING = {
  batchSize: BATCH, blockSize: BLOCK, learningRate: LEARNING_RATE, schedule: "constant", warmupSteps: 0, gradientClip: 0, heldOut: 0,
  evaluateEvery: 0, seed: SEED, steps: 1000,
};

/** Uniform in [0, 1), 32 bits of state: a million numbers a few milliseconds apart from each other. @param {number} seed */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** config.json. @param {Size} size */
export const configOf = ({ width, heads, layers, context, vocabulary }) => ({
  model_type: "gpt2", architectures: ["GPT2LMHeadModel"], n_embd: width, n_head: heads, n_layer: layers, n_positions: context, vocab_size: vocabulary,
  activation_function: "gelu_new", layer_norm_epsilon: 1e-5, tie_word_embeddings: true, attn_pdrop: 0, embd_pdrop: 0, resid_pdrop: 0,
});

/**
 * Weights of the size that trained ones have, biases and norms included: with GPT-2's initial ones every loss would be near
 * ln(vocabulary), and agreeing on it would prove little.
 * @param {Size} size
 */
export function randomWeights({ width, layers, context, vocabulary }, seed = SEED) {
  const next = uniform(seed);
  /** @type {Map<string, Weight>} */
  const weights = new Map();
  /** @param {string} name @param {number[]} shape @param {number} deviation @param {number} [mean] */
  const add = (name, shape, deviation, mean = 0) => {
    const bound = deviation * Math.sqrt(3);
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    for (let i = 0; i < data.length; i++) data[i] = mean + (2 * next() - 1) * bound;
    weights.set(`transformer.${name}`, { shape, data });
  };
  add("wte.weight", [vocabulary, width], 0.08);
  add("wpe.weight", [context, width], 0.04);
  const norm = (/** @type {string} */ name) => {
    add(`${name}.weight`, [width], 0.1, 1);
    add(`${name}.bias`, [width], 0.05);
  };
  const linear = (/** @type {string} */ name, /** @type {number} */ inputs, /** @type {number} */ outputs) => {
    add(`${name}.weight`, [inputs, outputs], 0.6 / Math.sqrt(inputs));
    add(`${name}.bias`, [outputs], 0.02);
  };
  for (let i = 0; i < layers; i++) {
    norm(`h.${i}.ln_1`);
    linear(`h.${i}.attn.c_attn`, width, 3 * width);
    linear(`h.${i}.attn.c_proj`, width, width);
    norm(`h.${i}.ln_2`);
    linear(`h.${i}.mlp.c_fc`, width, 4 * width);
    linear(`h.${i}.mlp.c_proj`, 4 * width, width);
  }
  norm("ln_f");
  return weights;
}

/** @param {Map<string, Weight>} weights @returns {Uint8Array<ArrayBuffer>} */
export function writeSafetensors(weights) {
  let at = 0;
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: { format: "pt" } };
  for (const [name, { shape, data }] of weights) {
    header[name] = { dtype: "F32", shape, data_offsets: [at, (at += data.byteLength)] };
  }
  let json = JSON.stringify(header);
  json += " ".repeat((8 - (json.length % 8)) % 8);
  const bytes = new Uint8Array(8 + json.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(new TextEncoder().encode(json), 8);
  let offset = 8 + json.length;
  for (const { data } of weights.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/** Of F32 tensors alone, which is what adapters here hold. @param {Uint8Array} bytes @returns {Map<string, Weight>} */
export function readSafetensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return new Map(tensors.map(([name, { shape, dtype, data_offsets: [from, to] }]) => {
    if (dtype !== "F32") throw new Error(`tensor ${name} has dtype ${dtype}, expected F32`);
    // A copy: the data need not lie on a multiple of four.
    return [name, { shape, data: new Float32Array(bytes.slice(8 + length + from, 8 + length + to).buffer) }];
  }));
}

/** A text of random tokens. @param {number} vocabulary @param {number} [count] */
export function randomTokens(vocabulary, count = 8192) {
  const next = uniform(SEED + 1);
  return Uint32Array.from({ length: count }, () => Math.floor(next() * vocabulary));
}

if (typeof process === "object" && process.argv?.[1] && import.meta.url === `file://${process.argv[1]}`) {
  const { mkdir, writeFile } = await import("node:fs/promises");
  const [name, folder] = process.argv.slice(2);
  const config = CONFIGS[/** @type {keyof typeof CONFIGS} */ (name)];
  if (!config || !folder) throw new Error(`usage: node benches/web/model.js ${Object.keys(CONFIGS).join("|")} FOLDER`);
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/config.json`, JSON.stringify(configOf(config.size), null, 1));
  await writeFile(`${folder}/model.safetensors`, writeSafetensors(randomWeights(config.size)));
  await writeFile(`${folder}/tokens.json`, JSON.stringify([...randomTokens(config.size.vocabulary)]));
}
