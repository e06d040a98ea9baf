// Other libraries with the same model, the same adapter and the same tokens, in the same browser. Nobody is timed whose first loss is another.
import { CONFIGS } from "../model.js";
import { compareLosses, material, ours, peer } from "../contenders.js";
import { interleaved, median, ratio, round, timed } from "../measure.js";

/** Steps whose losses are compared; see steps.js. */
const COMPARED = 3;

/** @param {import("./steps.js").Settings} settings */
export default async function peers({ quick, warm, rounds, say }) {
  /** @type {Record<string, unknown>} */
  const configs = {};
  // With the headers that shared memory needs, which few pages can send, only the small one: this is about what the peers gain by them.
  const names = quick || crossOriginIsolated ? /** @type {const} */ (["S"]) : /** @type {const} */ (["S", "M"]);
  for (const name of names) {
    const { size, flopsPerToken } = CONFIGS[name];
    const shared = await material(size);
    const tokens = shared.batch * shared.block;
    const base = await ours(shared, {});
    if (!base) throw new Error("LoraLab.load() gives neither simd128 nor one worker when asked for them");
    const contenders = [base, await peer("jax", shared, base.adapter), await peer("tfjs", shared, base.adapter)];
    const losses = contenders.map(({ name }) => ({ name, losses: /** @type {number[]} */ ([]) }));
    const turns = contenders.map(({ name, step }, i) => ({
      name,
      async run() {
        const windows = await shared.windows(losses[i].losses.length);
        return timed(async () => losses[i].losses.push(await step(windows)));
      },
    }));
    for (const turn of turns) await turn.run();
    compareLosses(losses, 1);
    const samples = await interleaved(turns, { warm, rounds }, (line) => say(`${name}: ${line}`));
    compareLosses(losses, COMPARED);
    configs[name] = {
      tokens, flopsPerToken,
      contenders: await Promise.all(contenders.map(async ({ name, about, memory }, i) => ({
        name, ...about, milliseconds: round(median(samples[i])), tokensPerSecond: round((tokens / median(samples[i])) * 1000),
        oursAgainstIt: round(ratio(samples[i], samples[0])), memory: await memory(), firstLoss: losses[i].losses[0],
        samples: samples[i].map((time) => round(time)),
      }))),
    };
    for (const { close } of [...contenders, shared]) close();
  }
  return { configs };
}
