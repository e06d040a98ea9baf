// How the cost of a step grows with width, time, rank, batch and the number of adapted layers: one of them varies, the others are config S's.
import { BATCH, BLOCK, CONFIGS, RANK, usefulFlops } from "../model.js";
import { baseline, material } from "../contenders.js";
import { interleaved, median, ratio, round, timed } from "../measure.js";
import { probing } from "./steps.js";

/** Per axis: its values, what of the step they set, and a batch small enough for the largest. */
const AXES = [
  { axis: "width", values: [128, 192, 256, 384, 512, 768], batch: 1 },
  { axis: "time", values: [64, 128, 256, 512, 1024], batch: 1 },
  { axis: "rank", values: [1, 2, 4, 8, 16, 32, 64], batch: BATCH },
  { axis: "batch", values: [1, 2, 4, 8, 16], batch: BATCH },
  { axis: "layers", values: [1, 2, 3, 4, 5, 6], batch: BATCH },
];

/** @param {import("./steps.js").Settings} settings */
export default async function growth({ quick, warm, rounds, say }) {
  const axes = [];
  const { peaks, turns: probes, close } = await probing();
  /** @type {number[][]} */
  const peakSamples = peaks.map(() => []);
  for (const { axis, values, batch } of AXES) {
    const chosen = quick ? values.slice(0, 2) : values;
    const runs = [];
    for (const value of chosen) runs.push(await prepared(axis, value, batch));
    // LoraLab draws its windows itself.
    const turns = runs.map(({ value, contender }) => ({ name: `${axis} ${value}`, run: () => timed(() => contender.step(new Uint32Array())) }));
    const samples = await interleaved([...turns, ...probes], { warm, rounds }, (line) => say(`${axis}: ${line}`));
    peaks.forEach((_, i) => peakSamples[i].push(...samples[turns.length + i]));
    const points = await Promise.all(runs.map(async ({ value, flops, contender }, i) => ({
      value, milliseconds: round(median(samples[i])), flops,
      share: round(ratio(samples[i].map((time) => flops / time / 1e6), samples[turns.length + peaks.findIndex(({ lanes }) => lanes === "simd128")])),
      memory: await contender.memory(), samples: samples[i].map((time) => round(time)),
    })));
    axes.push({ axis, batch: axis === "batch" ? undefined : batch, points });
    for (const { contender, shared } of runs) {
      contender.close();
      shared.close();
    }
  }
  close();
  return { axes, peaks: peaks.map((peak, i) => ({ ...peak, gflops: round(median(peakSamples[i])) })), others: { ...CONFIGS.S.size, time: BLOCK, rank: RANK } };
}

/** @param {string} axis @param {number} value @param {number} batch */
async function prepared(axis, value, batch) {
  const size = { ...CONFIGS.S.size };
  // Heads of 32 numbers, as in S.
  if (axis === "width") Object.assign(size, { width: value, heads: value / 32 });
  if (axis === "time") size.context = value;
  const set = (/** @type {string} */ name, /** @type {number} */ usual) => (axis === name ? value : usual);
  const [time, rank, adapted] = [set("time", BLOCK), set("rank", RANK), set("layers", size.layers)];
  const shared = await material(size, { batch: set("batch", batch), block: time });
  const top = Array.from({ length: value }, (_, i) => size.layers - 1 - i);
  const contender = await baseline(shared, { rank, layers: axis === "layers" ? top : undefined });
  return { value, flops: usefulFlops(size, { batch: shared.batch, time, rank, adapted }), contender, shared };
}
