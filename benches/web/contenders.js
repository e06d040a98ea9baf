// Whoever trains the model here: loaded with the same weights and the same adapter, and asked for one step after the other.
// Runs in the page; each contender computes in workers of its own.
import { ALPHA, BATCH, BLOCK, LEARNING_RATE, RANK, SEED, TRAINING, configOf, randomTokens, randomWeights, writeSafetensors } from "./model.js";
import { timed } from "./measure.js";
import { connect } from "./workers/rpc.js";

/** @typedef {import("./model.js").Size} Size */
/** @typedef {{ batch?: number, block?: number, rank?: number, layers?: number[] }} Shape */
/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {Record<string, unknown>} about what it is, for the results
 * @property {(windows: Uint32Array) => Promise<number>} step one step; the loss before its update
 * @property {() => boolean} [complete] whether all its workers took part in the last step
 * @property {() => Promise<number | undefined>} memory bytes
 * @property {() => void} close
 */

export const ENGINE = { simd128: "/target/figures/simd128/lora_lab_bench.js", "relaxed-simd": "/target/figures/relaxed-simd/lora_lab_bench.js" };

/** The engine of the benchmark in a worker. @param {"simd128" | "relaxed-simd"} lanes */
export async function engine(lanes) {
  const worker = await connect("/benches/web/workers/engine.js");
  await worker.ask("load", ENGINE[lanes]);
  return worker;
}

/** A model for everybody: its files, its adapter as it begins, and each step's tokens. @param {Size} size @param {Shape} [shape] */
export async function material(size, { batch = BATCH, block = BLOCK } = {}) {
  const weights = randomWeights(size);
  const ids = randomTokens(size.vocabulary);
  const files = { config: JSON.stringify(configOf(size)), weights: writeSafetensors(weights) };
  /** @type {ReturnType<typeof engine> | undefined} */
  let helper;
  return {
    size, weights, ids, files, batch, block,
    /** Inputs and targets of a step, as LoraLab draws them. @param {number} step @returns {Promise<Uint32Array>} */
    async windows(step) {
      return (await (helper ??= engine("simd128"))).ask("windows", ids, size.vocabulary, block, batch, SEED, step);
    },
    close: () => void helper?.then((worker) => worker.close()),
  };
}

/** @typedef {Awaited<ReturnType<typeof material>>} Material */

/**
 * LoraLab as a page uses it. undefined if this browser or this build cannot do as asked: what is called relaxed-simd is never anything else.
 * @param {Material} material @param {{ workers?: number, fast?: boolean }} how @param {Shape} [shape]
 * @returns {Promise<(Contender & { adapter: Uint8Array }) | undefined>}
 */
export async function ours({ files, ids, batch, block }, { workers = 1, fast = false }, { rank = RANK, layers } = {}) {
  const { LoraLab } = await import("/www/lora-lab.js");
  const lab = await LoraLab.load({ model: { ...files, tokenizer: undefined }, workers, fast });
  const lanes = fast ? "relaxed-simd" : "simd128";
  if (lab.lanes !== lanes || (lab.workers ?? 1) !== workers) {
    await lab.dispose();
    return undefined;
  }
  await lab.attach({ rank, alpha: (ALPHA * rank) / RANK, ...(layers && { layersToTransform: layers }) });
  const { safetensors } = await lab.exportAdapter();
  const run = lab.train({ ...TRAINING, batchSize: batch, blockSize: block, ids });
  let took = 0;
  return {
    name: `LoRA Lab, ${lanes}, ${workers} worker${workers === 1 ? "" : "s"}`,
    about: { lanes, workers },
    adapter: safetensors,
    async step() {
      const { value } = await run.next();
      took = value.workers;
      return value.loss;
    },
    complete: () => took === workers,
    memory: () => lab.memory(),
    close: () => void lab.dispose(),
  };
}

/** LoraLab as it comes, one worker and simd128: what everybody else is compared with. @param {Material} material @param {Shape} [shape] */
export async function baseline(material, shape) {
  const base = await ours(material, {}, shape);
  if (!base) throw new Error("LoraLab.load() gives neither simd128 nor one worker when asked for them");
  return base;
}

/** candle-nn's own layers and optimizer. @param {Material} material @param {Uint8Array} adapter @returns {Promise<Contender>} */
export async function plain({ files, batch }, adapter) {
  const worker = await engine("simd128");
  await worker.ask("plain", files.config, files.weights, adapter, ALPHA / RANK, LEARNING_RATE);
  return {
    name: "plain candle, simd128",
    about: { lanes: "simd128", workers: 1 },
    step: (windows) => worker.ask("step", windows, batch),
    memory: () => worker.ask("memory"),
    close: () => worker.close(),
  };
}

/**
 * Another library: `peers/NAME.js` in a worker.
 * @param {"jax" | "tfjs"} name @param {Material} material @param {Uint8Array} adapter
 * @returns {Promise<Contender>}
 */
export async function peer(name, { size, weights, batch, block }, adapter) {
  // TensorFlow.js ships scripts, not modules that a browser can load: a classic worker imports them.
  const worker = await connect(`/benches/web/peers/${name}.js`, { type: name === "tfjs" ? "classic" : "module" });
  const about = await worker.ask("load", { size, weights, adapter, scaling: ALPHA / RANK, learningRate: LEARNING_RATE, batch, block });
  return {
    name: `${about.library} ${about.version}, ${about.backend}`,
    about,
    step: (windows) => worker.ask("step", windows),
    memory: () => worker.ask("memory"),
    close: () => worker.close(),
  };
}

/** @typedef {{ name: string, contender: Contender, losses: number[], run: () => Promise<number> }} Trained */

/** Who is timed step after step, with the losses so far; what a step trains on is made before its time begins. @param {Material} material @param {Contender} contender @returns {Trained} */
export function turnOf(material, contender) {
  const losses = /** @type {number[]} */ ([]);
  return {
    name: contender.name, contender, losses,
    async run() {
      const windows = await material.windows(losses.length);
      return timed(async () => losses.push(await contender.step(windows)));
    },
  };
}

/** Steps until a helper, which comes when it is loaded, has come for sure. */
const PATIENCE = 30;

/** Steps that are not timed, until all workers take part. @param {Trained} turn */
export async function untilComplete({ name, contender, run }) {
  for (let steps = 0; contender.complete && !contender.complete(); steps++) {
    if (steps === PATIENCE) throw new Error(`${name}: not all of its workers take part after ${PATIENCE} steps`);
    await run();
  }
}

/** Steps whose losses are compared: from the second on the adapter has moved, so that its gradient and the optimizer are compared too. */
export const COMPARED = 3;

/** Every contender's losses are the first one's. @param {{ name: string, losses: number[] }[]} all @param {number} steps how many of them */
export function compareLosses([first, ...others], steps) {
  for (const { name, losses } of others) {
    for (let step = 0; step < steps; step++) {
      const [want, got] = [first.losses[step], losses[step]];
      // As an absolute difference of nats; NaN is no agreement.
      if (!(Math.abs(want - got) <= 1e-3)) throw new Error(`${name} has loss ${got} in step ${step}, ${first.name} ${want}: not the same training`);
    }
  }
}
