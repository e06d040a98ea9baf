// Each kernel beside candle's own operation and the peak, in the shapes of one sequence's step.
import { BLOCK, CONFIGS, RANK } from "../model.js";
import { engine } from "../contenders.js";
import { interleaved, median, ratio, round } from "../measure.js";
import { probing } from "./steps.js";

const SAMPLE = 25;

/** @param {import("./steps.js").Settings} settings */
export default async function kernels({ quick, warm, rounds, say }) {
  /** @type {Record<string, unknown>} */
  const configs = {};
  for (const name of quick ? /** @type {const} */ (["S"]) : /** @type {const} */ (["S", "M"])) {
    const { width, heads, vocabulary } = CONFIGS[name].size;
    const engines = { simd128: await engine("simd128"), "relaxed-simd": await engine("relaxed-simd") };
    const { peaks, turns: probes, close } = await probing(SAMPLE);
    // Each case is checked against its definition here, by both builds.
    const [cases] = await Promise.all(Object.values(engines).map((one) => one.ask("kernels", width, heads, BLOCK, vocabulary, RANK)));
    /** @type {number[][]} */
    const peakSamples = peaks.map(() => []);
    const results = [];
    for (const [index, { name: kernel, shape, flops, elements, error }] of cases.entries()) {
      const contenders = [
        { name: "simd128", run: () => engines.simd128.ask("sample", "run", index, SAMPLE) },
        { name: "relaxed-simd", run: () => engines["relaxed-simd"].ask("sample", "run", index, SAMPLE) },
        { name: "candle", run: () => engines.simd128.ask("sample", "runCandle", index, SAMPLE) },
      ];
      const samples = await interleaved([...contenders, ...probes], { warm, rounds });
      peaks.forEach((_, i) => peakSamples[i].push(...samples[contenders.length + i]));
      const microseconds = Object.fromEntries(contenders.map(({ name }, i) => [name, round(median(samples[i]))]));
      /** Work a microsecond, as a share of the peak of the same round. @param {number} who @param {number} peak */
      const share = (who, peak) => round(ratio(samples[who].map((time) => flops / time / 1e3), samples[contenders.length + peak]));
      results.push({
        kernel, shape, flops, elements, error: round(error, 2), microseconds, againstCandle: round(ratio(samples[2], samples[0])),
        ...(flops > 0 && { share: Object.fromEntries(peaks.map(({ lanes }, i) => [lanes, share(i, i)])) }),
      });
      say(`${name}: ${kernel} ${shape}`);
    }
    for (const one of Object.values(engines)) one.close();
    close();
    configs[name] = { peaks: peaks.map((peak, i) => ({ ...peak, gflops: round(median(peakSamples[i])) })), kernels: results };
  }
  return { configs };
}
