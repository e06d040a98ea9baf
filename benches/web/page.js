// The page as a reader meets it, in a new tab each time: until it is ready, until the first step is done, and how fast the tiny model trains and writes.
import { readFile, stat } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { median, probe } from "./probe.js";
import { round } from "./measure.js";

const WWW = new URL("../../www/", import.meta.url);

/**
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} url of the repository's root, without special headers
 * @param {{ quick: boolean, rounds: number, say: (line: string) => void }} settings
 */
export async function measurePage(context, url, { quick, rounds, say }) {
  const visits = quick ? 2 : 5;
  const [ready, first] = [[], []];
  // In Node's V8, between the visits: a page has no probe, and a core that is shared is slow in both.
  const peak = probe("simd128");
  if (!peak) throw new Error("this Node.js has no simd128");
  const peakSamples = [];
  for (let visit = 0; visit < visits; visit++) {
    ready.push(await inTab(context, `${url}www/index.html?${visit}`, untilReady));
    first.push(await inTab(context, `${url}benches/web/index.html?${visit}`, untilFirstStep));
    peakSamples.push(peak.sample(), peak.sample(), peak.sample());
    say(`page: visit ${visit + 1} of ${visits}`);
  }
  const measured = await inTab(context, `${url}benches/web/index.html`, tinyModel, { warm: 3, rounds: quick ? 3 : 3 * rounds, writing: quick ? 1 : rounds });
  const wasm = await readFile(new URL("pkg/lora_lab_bg.wasm", WWW));
  return {
    peaks: [{ lanes: peak.lanes, accumulators: peak.accumulators, gflops: round(median(peakSamples)) }],
    visits, readyMilliseconds: round(median(ready)), firstStepMilliseconds: round(median(first)),
    step: { tokens: measured.tokens, milliseconds: round(median(measured.times)), tokensPerSecond: round((measured.tokens / median(measured.times)) * 1000) },
    writtenTokensPerSecond: round(median(measured.rates)), memory: measured.memory, lanes: measured.lanes, workers: measured.workers,
    bytes: {
      wasm: wasm.length, wasmGzipped: gzipSync(wasm, { level: 9 }).length,
      model: (await stat(new URL("models/tiny/model.safetensors", WWW))).size, adapter: measured.adapter,
    },
  };
}

/** @param {import("playwright-core").BrowserContext} context @param {string} url @param {(argument: any) => any} body @param {unknown} [argument] */
async function inTab(context, url, body, argument) {
  const page = await context.newPage();
  try {
    await page.goto(url);
    return await page.evaluate(body, argument);
  } finally {
    await page.close();
  }
}

/** performance.now() counts from the beginning of the navigation. */
async function untilReady() {
  for (;;) {
    const { state } = /** @type {any} */ (document.querySelector("lora-lab")) ?? {};
    if (state?.phase === "ready") return performance.now();
    if (state?.problem) throw new Error(`the page has a problem: ${JSON.stringify(state.problem)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function untilFirstStep() {
  const { LoraLab } = await import("/www/lora-lab.js");
  const [lab, text] = await Promise.all([LoraLab.load({ model: "/www/models/tiny/" }), fetch("/www/samples/pirate.txt").then((response) => response.text())]);
  await lab.attach({});
  await lab.train({ text, evaluateEvery: 0 }).next();
  const now = performance.now();
  await lab.dispose();
  return now;
}

/** The default settings, some steps of training and some texts. @param {{ warm: number, rounds: number, writing: number }} how */
async function tinyModel({ warm, rounds, writing }) {
  const { LoraLab } = await import("/www/lora-lab.js");
  const lab = await LoraLab.load({ model: "/www/models/tiny/" });
  await lab.attach({});
  const text = await (await fetch("/www/samples/pirate.txt")).text();
  const times = [];
  let tokens = 0;
  const run = lab.train({ text, steps: warm + rounds, evaluateEvery: 0 });
  for (let step = 0; step < warm + rounds; step++) {
    const start = performance.now();
    ({ tokens } = (await run.next()).value);
    if (step >= warm) times.push(performance.now() - start);
  }
  const rates = [];
  for (let seed = 0; seed < writing + 1; seed++) {
    const start = performance.now();
    const { ids } = await lab.generate("Once upon a time", { maxTokens: 150, seed, stopAtEnd: false });
    if (seed > 0) rates.push((ids.length / (performance.now() - start)) * 1000);
  }
  const { safetensors } = await lab.exportAdapter();
  const result = { times, tokens, rates, memory: await lab.memory(), adapter: safetensors.length, lanes: lab.lanes, workers: lab.workers ?? 1 };
  await lab.dispose();
  return result;
}
