// benches/web/engine in a worker: plain candle, single kernels beside candle's, and the probe.
import { probe } from "../probe.js";
import { serve } from "./rpc.js";

/** @type {any} */
let engine;
/** @type {any} */
let plain;
/** @type {any} */
let kernels;
/** @type {Map<string, import("../probe.js").Probe>} */
const probes = new Map();

serve({
  /** @param {string} url */
  async load(url) {
    engine = await import(url);
    await engine.default();
  },
  windows: (/** @type {any[]} */ ...args) => engine.windows(...args),
  /** The memory of the instance. */
  memory: () => engine.memoryBytes(),

  plain: (/** @type {any[]} */ ...args) => void (plain = new engine.Plain(...args)),
  step: (/** @type {any[]} */ ...args) => plain.step(...args),

  /** @param {number[]} sizes width, heads, time, vocabulary, rank */
  kernels(...sizes) {
    kernels = new engine.Kernels(...sizes);
    return JSON.parse(kernels.list());
  },
  /**
   * Microseconds of one run, over as many runs as fill the time. The first sample of a case also warms it up and counts.
   * @param {"run" | "runCandle"} who @param {number} index @param {number} milliseconds
   */
  sample(who, index, milliseconds) {
    const once = (/** @type {number} */ times) => {
      const start = performance.now();
      kernels[who](index, times);
      return performance.now() - start;
    };
    let times = 1;
    for (let elapsed = once(times); elapsed < milliseconds / 2; elapsed = once(times)) times *= 2;
    return (once(times) * 1000) / times;
  },

  /** Warms the probe up; undefined where there are no such instructions. @param {"simd128" | "relaxed-simd"} lanes */
  probe(lanes) {
    const found = probe(lanes);
    if (found) probes.set(lanes, found);
    return found && { lanes, accumulators: found.accumulators };
  },
  /** GFLOP/s. @param {string} lanes @param {number} milliseconds */
  peak: (lanes, milliseconds) => probes.get(lanes)?.sample(milliseconds),
});
