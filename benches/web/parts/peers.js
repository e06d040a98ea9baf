// Other libraries with the same model, the same adapter and the same tokens, in the same browser. Nobody is timed whose first loss is another.
import { CONFIGS } from "../model.js";
import { compareLosses, material, ours, peer } from "../contenders.js";
import { interleaved, median, ratio, round, timed } from "../measure.js";
import { probing } from "./steps.js";

/** Steps whose losses are compared; see steps.js. */
const COMPARED = 3;
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
  const base = await ours(shared, {});
  if (!base) throw new Error("LoraLab.load() gives neither simd128 nor one worker when asked for them");
  /** @typedef {{ contender: import("../contenders.js").Contender, losses: number[], run: () => Promise<number> }} Turn */
  /** @param {import("../contenders.js").Contender} contender @returns {Turn} */
  const turnOf = (contender) => {
    const losses = /** @type {number[]} */ ([]);
    return {
      contender, losses,
      async run() {
        const windows = await shared.windows(losses.length);
        return timed(async () => losses.push(await contender.step(windows)));
      },
    };
  };
  const named = (/** @type {Turn} */ { contender, losses }) => ({ name: contender.name, losses });
  const turns = [turnOf(base)];
  await turns[0].run();
  /** Who is not timed, and why. @type {{ name: string, reason: string }[]} */
  const unable = [];
  for (const library of /** @type {const} */ (["jax", "tfjs"])) {
    /** @type {Turn | undefined} */
    let turn;
    try {
      turn = turnOf(await peer(library, shared, base.adapter));
      await turn.run();
      compareLosses([named(turns[0]), named(turn)], 1);
      turns.push(turn);
    } catch (error) {
      turn?.contender.close();
      unable.push({ name: turn?.contender.name ?? LIBRARIES[library], reason: String(/** @type {any} */ (error)?.message ?? error).split("\n")[0] });
      say(`${name}: ${unable[unable.length - 1].name} is left out: ${unable[unable.length - 1].reason}`);
    }
  }
  const { peaks, turns: probes, close } = await probing();
  const samples = await interleaved([...turns.map(({ contender, run }) => ({ name: contender.name, run })), ...probes], { warm, rounds }, (line) => say(`${name}: ${line}`));
  compareLosses(turns.map(named), COMPARED);
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
