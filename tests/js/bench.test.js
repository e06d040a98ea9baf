/** The benchmark's arithmetic: its tables match the committed results, and what must not be measured is refused. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { compareLosses } from "../../benches/web/contenders.js";
import { interleaved, median, ratio } from "../../benches/web/measure.js";
import { CONFIGS, configOf, randomTokens, randomWeights, readSafetensors, startsOf, usefulFlops, writeSafetensors } from "../../benches/web/model.js";
import { plot, ticks } from "../../benches/web/plot.js";
import { assemble, probe } from "../../benches/web/probe.js";
import { between, judged, readResults, validate, voided, written } from "../../benches/web/report.js";
import { details, figures } from "../../benches/web/tables.js";

const contender = (name, lanes, workers, milliseconds, more) => ({
  name, lanes, workers, milliseconds, tokensPerSecond: 512_000 / milliseconds, gflops: 30, share: 0.6, againstPlain: 400 / milliseconds, memory: 90e6, firstLoss: 7,
  samples: [milliseconds], ...more,
});
const peaks = [{ lanes: "simd128", accumulators: 13, gflops: 50 }];
const config = () => ({
  flopsPerToken: 13.84e6, tokens: 512, starts: [0, 9], peaks: structuredClone(peaks),
  contenders: [
    contender("LoRA Lab, simd128, 1 worker", "simd128", 1, 100, { share: 0.597 }), contender("plain candle, simd128", "simd128", 1, 400),
    contender("LoRA Lab, simd128, 2 workers", "simd128", 2, 55, { againstOneWorker: 1.82 }),
  ],
});
const about = { date: "2026-11-25T04:00:00.000Z", machine: "2 × A", browser: "Chromium 156", seconds: 9 };
const results = () => ({
  steps: { part: "steps", ...about, configs: { S: config(), M: config() } },
  growth: { part: "growth", ...about, peaks, axes: [{ axis: "rank", batch: 4, points: [1, 2, 4].map((value) => ({ value, milliseconds: 10 * value, flops: 1e9 * value ** 2, share: 0.1 * value, memory: 5e7, samples: [10] })) }] },
  peers: { part: "peers", ...about, ...Object.fromEntries(["plain", "isolated"].map((page) => [page, { configs: { S: { flopsPerToken: 1, tokens: 512, peaks, unable: [], contenders: [
    contender("LoRA Lab, simd128, 1 worker", "simd128", 1, 100, { oursAgainstIt: 1 }), contender("jax-js 0.1.25, wasm", "wasm", 1, 300, { oursAgainstIt: 3 }),
  ] } } }])) },
  native: { part: "native", date: about.date, machine: about.machine, seconds: 9, peaks, configs: { S: { flopsPerToken: 1, tokens: 512, contenders: [contender("PyTorch, native, 1 thread", "native", 1, 160, { threads: 1, share: undefined })] } } },
});

test("the tables of both README files and the drawing are what the committed results give", async () => {
  const committed = await readResults(new URL("../../benches/results/", import.meta.url));
  for (const [file, content] of await written(committed)) {
    assert.equal(String(await readFile(file)), content, `${file.pathname} differs: run \`cargo xtask bench web\`, or write the tables anew with \`node benches/web/run.js --tables\``);
  }
});

test("a result that lacks a number, or has one that cannot be, is refused by its place", () => {
  for (const result of Object.values(results())) validate(result);
  const broken = (change) => {
    const { steps } = results();
    change(steps);
    return () => validate(steps);
  };
  assert.throws(broken((steps) => delete steps.configs.S.contenders[1].tokensPerSecond), /configs\.S\.contenders\[1\]\.tokensPerSecond/);
  assert.throws(broken((steps) => (steps.configs.M.peaks[0].gflops = NaN)), /configs\.M\.peaks\[0\]\.gflops/);
  assert.throws(broken((steps) => (steps.configs.S.contenders = [])), /configs\.S\.contenders/);
  assert.throws(broken((steps) => (steps.part = "other")), /part/);
  assert.doesNotThrow(broken((steps) => delete steps.configs.M));
});

test("a gate is judged by the number that is shown, and one that was not measured is not met", () => {
  const gates = judged(results());
  const of = (name, config) => gates.find((gate) => gate.name.startsWith(name) && gate.config === config);
  assert.deepEqual([of("share of the SIMD peak, 1 worker, simd128", "S").got, of("share of the SIMD peak, 1 worker, simd128", "S").met], ["0.6", true]);
  assert.equal(of("share of the SIMD peak, 1 worker, simd128", "M").met, false);
  assert.equal(of("tokens/s against plain candle", "S").got, "4 ×");
  assert.equal(of("2 workers against 1", "S").met, false);
  assert.deepEqual([of("WebAssembly memory", "S").got, of("WebAssembly memory", "S").met], ["90 MB", true]);
  assert.equal(of("share of the SIMD peak, 1 worker, relaxed", "S").met, undefined);
  assert.ok(judged({}).every(({ met }) => met === undefined));
});

test("the tables say what was measured, and that a peer is faster where it is", () => {
  const all = results();
  assert.match(figures(all), /\| LoRA Lab, simd128, 1 worker \| 5,120 \| 60 % \| 4\.00 × \| 90 \|/);
  // Ours is 4 × as fast as candle and 3 × as fast as the peer.
  assert.match(figures(all), /\| jax-js 0\.1\.25, wasm \| 1,707 \| 60 % \| 1\.33 × \| 90 \| – \| – \| – \| – \|/);
  assert.match(figures(all), /\| PyTorch, native, 1 thread \| 3,200 \| – \| – \| 90 \| –/);
  assert.match(figures(all), /None that was timed is faster/);
  all.peers.plain.configs.S.contenders[1].oursAgainstIt = 0.8;
  assert.match(figures(all), /\*\*jax-js 0\.1\.25, wasm is 1\.25 × as fast as LoRA Lab on S \(any page\)\.\*\*/);
  all.peers.plain.configs.S.unable.push({ name: "TensorFlow.js", reason: "no backend here" });
  assert.match(figures(all), /TensorFlow\.js is missing on S: no backend here\./);
  assert.match(details(all, judged(all)), /\| its work as \|  \| rank\^2\.00 \| rank\^2\.00 \|\n\| share of the peak \| 10 % \| 20 % \| 40 % \|/);
  assert.match(details(all, judged(all)), /\| grows as \|  \| rank\^1\.00 \| rank\^1\.00 \|/);
});

test("a part is void whose probe reads far below what this machine gives, in its own run or before", () => {
  const at = (/** @type {number} */ gflops) => ({ machine: "A", configs: { S: { peaks: [{ lanes: "simd128", gflops: 51 }] }, M: { peaks: [{ lanes: "relaxed-simd", gflops: 1 }, { lanes: "simd128", gflops }] } } });
  assert.deepEqual(voided({ steps: at(45) }, {}), {});
  assert.deepEqual(Object.keys(voided({ steps: at(50), kernels: at(30) }, {})), ["kernels"]);
  assert.match(voided({ steps: at(30) }, { kernels: at(51) }).steps, /reads 30 GFLOP\/s, elsewhere on this machine 51/);
  assert.deepEqual(voided({ steps: at(30) }, { kernels: { ...at(51), machine: "B" }, native: { machine: "A", peaks: [{ lanes: "relaxed-simd", gflops: 51 }], configs: {} } }), {});
  assert.deepEqual(Object.keys(voided({ growth: { machine: "A", peaks: [{ lanes: "simd128", gflops: 30 }] }, peers: { machine: "A", plain: at(51), isolated: at(20) } }, { page: at(51) })), ["growth", "peers"]);
});

test("useful work is what both configurations say, quadratic in time by attention alone, and less where fewer blocks are adapted", () => {
  for (const { size, flopsPerToken } of Object.values(CONFIGS)) assert.ok(Math.abs(usefulFlops(size) / (4 * 128 * flopsPerToken) - 1) < 1e-3);
  const { size } = CONFIGS.S;
  const perToken = (/** @type {number} */ time) => usefulFlops(size, { time }) / (4 * time);
  // Two products forward, four backward, each of time × width multiplications and additions a token, in every block.
  assert.equal(perToken(256) - perToken(128), 6 * 6 * 2 * 128 * size.width);
  // One block less: no dx through its linears, no backward of its attention, no LoRA.
  assert.equal((usefulFlops(size) - usefulFlops(size, { adapted: 5 })) / 512, 2 * (12 * 192 ** 2 + 4 * 128 * 192 + 3 * 16 * 192 * 8));
});

test("a step's windows are found in the tokens", () => {
  const ids = Uint32Array.of(5, 1, 2, 3, 1, 2, 4);
  assert.deepEqual(startsOf(ids, Uint32Array.of(1, 2, 4, 5, 1, 2), 2), [4, 0]);
  assert.throws(() => startsOf(ids, Uint32Array.of(1, 2, 4, 2, 2, 2), 2), /window 1 of 2/);
});

test("the drawing holds every point", () => {
  const svg = plot(results().growth);
  assert.equal(svg.match(/<circle/g).length, 3);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});

test("every panel of the drawing has some lines to read it by, and not too many", () => {
  assert.deepEqual(ticks(45, 1100), [50, 100, 200, 500, 1000]);
  assert.deepEqual(ticks(140, 350), [150, 200, 300]);
  assert.deepEqual(ticks(0.9, 2000), [1, 10, 100, 1000]);
});

test("text goes between its markers and nowhere else", () => {
  const text = "a\n<!-- x: written by cargo xtask bench web -->\nold\n<!-- end of x -->\nb";
  assert.equal(between(text, "x", "new"), text.replace("old", "new"));
  assert.throws(() => between(text, "y", "new"), /markers/);
});

test("the probe's module computes what it is timed for, and reports a rate", () => {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(assemble(3, false)));
  // x ← 2x + 1 from 1 on gives 2ⁿ⁺¹ − 1, exactly.
  assert.equal(exports.run(1, 2, 1), 3 * 511);
  assert.equal(exports.run(2, 2, 1), 3 * (2 ** 17 - 1));
  const found = probe("simd128");
  assert.ok(found.sample(5) > 0.1 && found.accumulators >= 8);
});

test("whoever trains something else is not timed", () => {
  const [ours, good] = [{ name: "ours", losses: [7, 6, 5] }, { name: "good", losses: [7.0009, 6, 9] }];
  compareLosses([ours, good], 2);
  assert.throws(() => compareLosses([ours, good], 3), /good has loss 9 in step 2/);
  assert.throws(() => compareLosses([ours, { name: "bad", losses: [7.002] }], 1), /bad/);
  assert.throws(() => compareLosses([ours, { name: "bad", losses: [NaN] }], 1), /bad/);
});

test("each round has another first, and the warm-up is thrown away", async () => {
  const order = [];
  const turn = (name) => ({ name, run: async () => order.push(name) });
  const samples = await interleaved([turn("a"), turn("b"), turn("c")], { warm: 1, rounds: 2 });
  assert.equal(order.join(""), "abcbcacab");
  assert.deepEqual(samples, [[6, 8], [4, 9], [5, 7]]);
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(ratio([2, 4, 90], [1, 2, 3]), 2);
});

test("a random model's file is read back, has the parameters of its configuration, and is the same each time", () => {
  const weights = randomWeights(CONFIGS.S.size);
  const read = readSafetensors(writeSafetensors(weights));
  assert.deepEqual([...read.keys()], [...weights.keys()]);
  for (const [name, { shape, data }] of weights) {
    assert.deepEqual(read.get(name).shape, shape);
    assert.deepEqual(read.get(name).data, data);
  }
  const { width, layers, context, vocabulary } = CONFIGS.S.size;
  const count = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  assert.equal(count, (vocabulary + context) * width + layers * (12 * width * width + 13 * width) + 2 * width);
  assert.deepEqual(randomWeights(CONFIGS.S.size).get("transformer.wpe.weight"), weights.get("transformer.wpe.weight"));
  assert.equal(configOf(CONFIGS.S.size).n_embd, width);
  assert.ok(randomTokens(vocabulary).every((id) => id < vocabulary));
});
