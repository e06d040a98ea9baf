// Other libraries with the same model, the same adapter and the same tokens, in the same browser. Nobody is timed whose first loss is another.
import { CONFIGS } from "../model.js";
import { COMPARED, baseline, compareLosses, material, peer, turnOf } from "../contenders.js";
import { interleaved, median, ratio, round } from "../measure.js";
import { probing } from "./steps.js";

const LIBRARIES = { jax: "jax-js", tfjs: "TensorFlow.js" };

/** @param {import("./steps.js").Settings} settings */
export default async function peers({ quick, warm, rounds, say }) {
  /** @type {Record<string, unknown>} */
  const configs = {};
  // With the headers that shared memory needs, which few pages can send, only the small one: this is about what the peers gain by them.
  const names = quick || crossOriginIsolated ? /** @type {const} */ (["S"]) : /** @type {const} */ (["S", "M"]);
  for (const name of names) configs[name] = await config(name, { warm, rounds, say });
  return { configs };
}

/** @param {"S" | "M"} name @param {Omit<import("./steps.js").Settings, "quick">} settings */
async function config(name, { warm, rounds, say }) {
  const { size, flopsPerToken } = CONFIGS[name];
  const shared = await material(size);
  const tokens = shared.batch * shared.block;
  const base = await baseline(shared);
  const turns = [turnOf(shared, base)];
  await turns[0].run();
  /** Who is not timed, and why. @type {{ name: string, reason: string }[]} */
  const unable = [];
  for (const library of /** @type {const} */ (["jax", "tfjs"])) {
    /** @type {import("../contenders.js").Trained | undefined} */
    let turn;
    try {
      turn = turnOf(shared, await peer(library, shared, base.adapter));
      await turn.run();
      compareLosses([turns[0], turn], 1);
      turns.push(turn);
    } catch (error) {
      turn?.contender.close();
      unable.push({ name: turn?.name ?? LIBRARIES[library], reason: String(/** @type {any} */ (error)?.message ?? error).split("\n")[0] });
      say(`${name}: ${unable[unable.length - 1].name} is left out: ${unable[unable.length - 1].reason}`);
    }
  }
  const { peaks, turns: probes, close } = await probing();
  const samples = await interleaved([...turns, ...probes], { warm, rounds }, (line) => say(`${name}: ${line}`));
  compareLosses(turns, COMPARED);
  const peakSamples = samples[turns.length + peaks.findIndex(({ lanes }) => lanes === "simd128")];
  const contenders = await Promise.all(turns.map(async ({ contender: { name, about, memory }, losses }, i) => ({
    name, ...about, milliseconds: round(median(samples[i])), tokensPerSecond: round((tokens / median(samples[i])) * 1000),
    share: round(ratio(samples[i].map((time) => (tokens * flopsPerToken) / time / 1e6), peakSamples)),
    oursAgainstIt: round(ratio(samples[i], samples[0])), memory: await memory(), firstLoss: losses[0], samples: samples[i].map((time) => round(time)),
  })));
  for (const { contender } of turns) contender.close();
  shared.close();
  close();
  return { flopsPerToken, tokens, peaks: peaks.map((peak, i) => ({ ...peak, gflops: round(median(samples[turns.length + i])) })), contenders, unable };
}
