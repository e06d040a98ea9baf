// What becomes of the results: checked, compared with the gates, written as tables between markers of README.md and benches/README.md, plotted.
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { plot } from "./plot.js";
import { details, figures } from "./tables.js";

export const PARTS = ["page", "steps", "kernels", "growth", "peers"];
/** benches/native/torch_peft.py's, which no browser has a part in. */
const NATIVE = "native";
const ROOT = new URL("../../", import.meta.url);

// A description is a function that says whether a value is right, an object of descriptions, or a list of one that holds for each of at least one value.
const positive = (/** @type {unknown} */ x) => typeof x === "number" && Number.isFinite(x) && x > 0;
const word = (/** @type {unknown} */ x) => typeof x === "string" && x.length > 0;
const optional = (/** @type {any} */ shape) => (/** @type {unknown} */ x, /** @type {string} */ path) => x === undefined || check(x, shape, path);
const positives = [positive];

const PEAKS = [{ lanes: word, accumulators: positive, gflops: positive }];
const CONTENDER = { name: word, milliseconds: positive, tokensPerSecond: positive, firstLoss: positive, samples: positives };
const STEPS = { flopsPerToken: positive, tokens: positive, starts: [(/** @type {unknown} */ x) => Number.isInteger(x)], peaks: PEAKS, contenders: [{ ...CONTENDER, lanes: word, workers: positive, gflops: positive, share: positive, againstPlain: positive, memory: positive }] };
const KERNELS = { peaks: PEAKS, kernels: [{ kernel: word, shape: word, elements: positive, microseconds: { simd128: positive, "relaxed-simd": positive, candle: positive }, againstCandle: positive }] };
const PEERS = { flopsPerToken: positive, tokens: positive, peaks: PEAKS, contenders: [{ ...CONTENDER, share: positive, oursAgainstIt: positive }], unable: Array.isArray };
const ABOUT = { part: (/** @type {any} */ part) => part === NATIVE || PARTS.includes(part), date: (/** @type {any} */ date) => Date.parse(date) > 0, machine: word, seconds: positive };
/** Quick runs have S alone. @param {any} shape */
const configs = (shape) => ({ configs: { S: shape, M: optional(shape) } });
const SHAPES = {
  page: { peaks: PEAKS, readyMilliseconds: positive, firstStepMilliseconds: positive, step: { milliseconds: positive, tokensPerSecond: positive, tokens: positive }, writtenTokensPerSecond: positive, memory: positive, bytes: { wasm: positive, wasmGzipped: positive, model: positive, adapter: positive } },
  steps: configs(STEPS),
  kernels: configs(KERNELS),
  growth: { peaks: PEAKS, axes: [{ axis: word, points: [{ value: positive, milliseconds: positive, flops: positive, share: positive, memory: positive, samples: positives }] }] },
  peers: { plain: configs(PEERS), isolated: configs(PEERS) },
  [NATIVE]: { peaks: PEAKS, ...configs({ flopsPerToken: positive, tokens: positive, contenders: [{ ...CONTENDER, threads: positive, memory: positive }] }) },
};

/** @param {any} value @param {any} shape @param {string} path @returns {true} */
function check(value, shape, path) {
  const wrong = () => new Error(`the result has ${path} = ${JSON.stringify(value)?.slice(0, 60)}`);
  if (typeof shape === "function") {
    if (!shape(value, path)) throw wrong();
  } else if (Array.isArray(shape)) {
    if (!Array.isArray(value) || !value.length) throw wrong();
    value.forEach((one, i) => check(one, shape[0], `${path}[${i}]`));
  } else {
    if (typeof value !== "object" || value === null) throw wrong();
    for (const [key, inner] of Object.entries(shape)) check(value[key], inner, path ? `${path}.${key}` : key);
  }
  return true;
}

/** Throws if a result of a part is not what the tables are made of. @param {any} result */
export function validate(result) {
  check(result, ABOUT, "");
  if (result.part !== NATIVE) check(result.browser, word, "browser");
  check(result, SHAPES[/** @type {keyof typeof SHAPES} */ (result.part)], "");
}

/** The results that are there, by part. @param {URL} folder */
export async function readResults(folder) {
  /** @type {Record<string, any>} */
  const results = {};
  const there = await readdir(folder).catch(() => /** @type {string[]} */ ([]));
  for (const part of [...PARTS, NATIVE].filter((part) => there.includes(`${part}.json`))) {
    results[part] = JSON.parse(String(await readFile(new URL(`${part}.json`, folder))));
    validate(results[part]);
  }
  return results;
}

/** A probe this far below what the same machine gave before: something else used the core, and the part says nothing. */
const VOID_BELOW = 0.8;

/** What one core could do while a part ran, in GFLOP/s with simd128: the lowest, if it was sampled in several places. @param {any} result */
function peakOf(result) {
  if (!result) return undefined;
  const places = [result, ...[result, result.plain, result.isolated].flatMap((page) => Object.values(page?.configs ?? {}))];
  const rates = places.flatMap(({ peaks = [] }) => peaks.filter((/** @type {any} */ { lanes }) => lanes === "simd128").map((/** @type {any} */ { gflops }) => gflops));
  return rates.length ? Math.min(...rates) : undefined;
}

/**
 * Which fresh parts are void, and why. The measure is the best that any part, fresh or kept, gave on this machine.
 * @param {Record<string, any>} fresh @param {Record<string, any>} before @returns {Record<string, string>} by part
 */
export function voided(fresh, before) {
  /** @type {Record<string, string>} */
  const reasons = {};
  for (const [part, result] of Object.entries(fresh)) {
    const here = [...Object.values(before), ...Object.values(fresh)].filter(({ machine }) => machine === result.machine);
    const usual = Math.max(...here.map(peakOf).filter((rate) => rate !== undefined));
    const now = /** @type {number} */ (peakOf(result));
    if (now < VOID_BELOW * usual) reasons[part] = `the probe reads ${now} GFLOP/s, elsewhere on this machine ${usual}`;
  }
  return reasons;
}

const MB = 1e6;
/**
 * What is demanded of the training step: ratios within one run, and memory.
 * @type {{ name: string, unit?: string, most?: true, wanted: { S: number, M: number }, of: (step: (lanes: string, workers: number) => any) => number | undefined }[]}
 */
const GATES = [
  { name: "share of the SIMD peak, 1 worker, simd128", wanted: { S: 0.6, M: 0.68 }, of: (step) => step("simd128", 1)?.share },
  { name: "share of the SIMD peak, 1 worker, relaxed-simd", wanted: { S: 0.68, M: 0.76 }, of: (step) => step("relaxed-simd", 1)?.share },
  { name: "tokens/s against plain candle, 1 worker, simd128", unit: " ×", wanted: { S: 3.1, M: 2.9 }, of: (step) => step("simd128", 1)?.againstPlain },
  { name: "2 workers against 1, simd128", unit: " ×", wanted: { S: 1.85, M: 1.85 }, of: (step) => step("simd128", 2)?.againstOneWorker },
  { name: "WebAssembly memory, 1 worker, simd128", unit: " MB", most: true, wanted: { S: 100, M: 260 }, of: (step) => step("simd128", 1)?.memory / MB },
];

/** @typedef {{ name: string, config: "S" | "M", wanted: string, got: string, met: boolean | undefined }} Gate `met` is undefined where nothing was measured */

/** @param {Record<string, any>} results @returns {Gate[]} */
export function judged({ steps }) {
  return GATES.flatMap(({ name, unit = "", most, wanted, of }) =>
    /** @type {const} */ (["S", "M"]).map((config) => {
      const contenders = steps?.configs[config]?.contenders ?? [];
      const got = of((lanes, workers) => contenders.find((/** @type {any} */ one) => one.lanes === lanes && one.workers === workers && one.name.startsWith("LoRA Lab")));
      const measured = got !== undefined && Number.isFinite(got);
      const limit = wanted[config];
      // As it is shown, so that no gate reads "0.60, wanted 0.60: missed".
      const shown = measured ? Number(got.toFixed(most ? 0 : 2)) : NaN;
      return {
        name, config, wanted: `${most ? "≤" : "≥"} ${limit}${unit}`, got: measured ? `${shown}${unit}` : "not measured",
        met: measured ? (most ? shown <= limit : shown >= limit) : undefined,
      };
    }));
}

/** The gates as lines for the terminal. @param {Record<string, any>} results */
export const gates = (results) =>
  judged(results).map(({ name, config, wanted, got, met }) => `${met === undefined ? "–" : met ? "met   " : "MISSED"} ${config} ${name}: ${got}, wanted ${wanted}`);

/** `text` with what stands between the markers of this name replaced. @param {string} text @param {string} name @param {string} content */
export function between(text, name, content) {
  const [begin, end] = [`<!-- ${name}: written by cargo xtask bench web -->`, `<!-- end of ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`expected the markers ${begin} and ${end} in the text`);
  return `${text.slice(0, from + begin.length)}\n${content.trim()}\n${text.slice(to)}`;
}

/** The files that the results decide, with their contents. @param {Record<string, any>} results @returns {Promise<[URL, string][]>} */
export async function written(results) {
  const [readme, own] = [new URL("README.md", ROOT), new URL("benches/README.md", ROOT)];
  const files = /** @type {[URL, string][]} */ ([
    [readme, between(String(await readFile(readme)), "figures", figures(results))],
    [own, between(String(await readFile(own)), "tables", details(results, judged(results)))],
  ]);
  if (results.growth) files.push([new URL("docs/img/growth.svg", ROOT), plot(results.growth)]);
  return files;
}

/** @param {Record<string, any>} results */
export async function writeTables(results) {
  await mkdir(new URL("docs/img/", ROOT), { recursive: true });
  for (const [file, content] of await written(results)) await writeFile(file, content);
}
