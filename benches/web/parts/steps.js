// The training step for the two configurations: plain candle and ours, by lanes and workers, beside the peak of the same rounds.
import { CONFIGS, startsOf } from "../model.js";
import { COMPARED, baseline, compareLosses, engine, material, ours, plain, turnOf, untilComplete } from "../contenders.js";
import { interleaved, median, ratio, round } from "../measure.js";

/** @typedef {{ quick: boolean, warm: number, rounds: number, say: (line: string) => void }} Settings */

/** @param {Settings} settings */
export default async function steps({ quick, warm, rounds, say }) {
  /** @type {Record<string, unknown>} */
  const configs = {};
  for (const name of quick ? /** @type {const} */ (["S"]) : /** @type {const} */ (["S", "M"])) {
    configs[name] = await config(name, { warm, rounds, say });
  }
  return { configs };
}

/** @param {"S" | "M"} name @param {Omit<Settings, "quick">} settings */
async function config(name, { warm, rounds, say }) {
  const { size, flopsPerToken } = CONFIGS[name];
  const shared = await material(size);
  const tokens = shared.batch * shared.block;
  const base = await baseline(shared);
  const others = await Promise.all([
    plain(shared, base.adapter), ours(shared, { fast: true }), ours(shared, { workers: 2 }), ours(shared, { workers: 2, fast: true }),
  ]);
  const contenders = [base, ...others.filter((contender) => contender !== undefined)];
  const turns = contenders.map((contender) => turnOf(shared, contender));
  const { peaks, turns: probes, close } = await probing();
  // Step 0 on its own: nobody is timed who does not train the same model.
  for (const turn of turns) await turn.run();
  compareLosses(turns, 1);
  for (const turn of turns) await untilComplete(turn);
  const samples = await interleaved([...turns, ...probes], { warm, rounds }, (line) => say(`${name}: ${line}`));
  compareLosses(turns, COMPARED);
  const incomplete = contenders.find(({ complete }) => complete && !complete());
  if (incomplete) throw new Error(`${incomplete.name}: a worker was lost on the way`);
  const peakSamples = Object.fromEntries(peaks.map(({ lanes }, i) => [lanes, samples[turns.length + i]]));
  const results = await Promise.all(contenders.map(async ({ name, about, memory }, i) => {
    const times = samples[i];
    const rates = times.map((time) => (tokens * flopsPerToken) / time / 1e6);
    const lanes = /** @type {string} */ (about.lanes);
    return {
      name, ...about, milliseconds: round(median(times)), tokensPerSecond: round((tokens / median(times)) * 1000), gflops: round(median(rates)),
      share: round(ratio(rates, peakSamples[lanes])), againstPlain: round(ratio(samples[1], times)), memory: await memory(),
      firstLoss: turns[i].losses[0], samples: times.map((time) => round(time)),
    };
  }));
  for (const lanes of ["simd128", "relaxed-simd"]) {
    const [one, two] = [1, 2].map((workers) => results.findIndex((result) => result.lanes === lanes && result.workers === workers && result.name.startsWith("LoRA")));
    if (one >= 0 && two >= 0) Object.assign(results[two], { againstOneWorker: round(ratio(samples[one], samples[two])) });
  }
  // Whoever trains the same elsewhere begins with these windows.
  const starts = startsOf(shared.ids, await shared.windows(0), shared.batch);
  for (const { close } of [...contenders, shared]) close();
  close();
  return { flopsPerToken, tokens, starts, peaks: peaks.map((peak) => ({ ...peak, gflops: round(median(peakSamples[peak.lanes])) })), contenders: results };
}

/** The probe of both instruction sets, in a worker like everybody else. @param {number} [milliseconds] of a sample */
export async function probing(milliseconds = 30) {
  const worker = await engine("simd128");
  const found = [];
  for (const lanes of ["simd128", "relaxed-simd"]) {
    const peak = await worker.ask("probe", lanes);
    if (peak) found.push(peak);
  }
  return {
    peaks: /** @type {{ lanes: string, accumulators: number }[]} */ (found),
    turns: found.map(({ lanes }) => ({
      name: `probe ${lanes}`,
      run: async () => worker.ask("peak", lanes, milliseconds),
    })),
    close: () => worker.close(),
  };
}
