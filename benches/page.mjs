// How long the page takes, in headless Chromium: ready to train, one step of the default settings, a token.
// `cargo xtask build`, then `node benches/page.mjs`; writes benches/results/page.json. Times belong to the machine they were taken on.
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { serveFolder } from "../tests/page/server.js";

const WWW = fileURLToPath(new URL("../www/", import.meta.url));
const RUNS = 5, WARM = 5, STEPS = 25;
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const server = await serveFolder(WWW);
const profile = await mkdtemp(join(tmpdir(), "lora-lab-bench-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
});
try {
  const page = context.pages()[0];
  const ready = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    await page.goto(`${server.url}?${run}`);
    while (!(await page.evaluate(() => document.querySelector("lora-lab")?.state?.phase === "ready"))) await page.waitForTimeout(5);
    ready.push(performance.now() - start);
  }
  const measured = await page.evaluate(async ({ warm, steps }) => {
    const lab = document.querySelector("lora-lab").lab;
    const text = await (await fetch("samples/pirate.txt")).text();
    for (const { name } of await lab.adapters()) await lab.remove(name);
    await lab.attach({ name: "bench" });
    const times = [];
    let tokens;
    for await (const step of lab.train({ text, steps: warm + steps, evaluateEvery: 0 })) {
      if (step.step > warm) times.push(step.tokens / step.tokensPerSecond * 1000);
      tokens = step.tokens;
    }
    const rates = [];
    for (let run = 0; run < 7; run++) {
      const begun = performance.now();
      const { ids } = await lab.generate("Once upon a time", { maxTokens: 150, seed: run, stopAtEnd: false });
      rates.push(ids.length / (performance.now() - begun) * 1000);
    }
    return { times, tokens, rates, memory: await lab.memory(), agent: navigator.userAgent };
  }, { warm: WARM, steps: STEPS });
  const wasm = await readFile(join(WWW, "pkg/lora_lab_bg.wasm"));
  const result = {
    date: new Date().toISOString().slice(0, 10), machine: `${cpus().length} × ${cpus()[0].model}`, browser: measured.agent.match(/Chrome\/\S+/)?.[0],
    readyMilliseconds: Math.round(median(ready)), stepMilliseconds: Math.round(median(measured.times)),
    trainedTokensPerSecond: Math.round(measured.tokens / median(measured.times) * 1000), writtenTokensPerSecond: Math.round(median(measured.rates)),
    wasmMemoryMegabytes: Math.round(measured.memory / 1e6), wasmBytes: wasm.length, wasmBytesGzipped: gzipSync(wasm, { level: 9 }).length,
    modelBytes: (await stat(join(WWW, "models/tiny/model.safetensors"))).size,
  };
  console.log(result);
  await mkdir(new URL("results/", import.meta.url), { recursive: true });
  await writeFile(new URL("results/page.json", import.meta.url), `${JSON.stringify(result, null, 1)}\n`);
} finally {
  await context.close();
  await server.close();
  await rm(profile, { recursive: true, force: true });
}
