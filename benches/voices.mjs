// What the page's default fine-tuning does to the model's writing: for each sample, text before and after, greedy and
// sampled, and both losses. `cargo xtask build`, then `node benches/voices.mjs [SAMPLE …]`, two minutes for all; writes
// benches/results/voices.json, where samples that were not asked for stay as they are.
import { readFile, writeFile } from "node:fs/promises";
import { LoraLab } from "../www/node.js";
import { DEFAULTS } from "../www/lab/settings.js";

const SAMPLES = ["pirate", "robot", "recipes", "names"];
const FILE = new URL("results/voices.json", import.meta.url);
const asked = process.argv.length > 2 ? process.argv.slice(2) : SAMPLES;
const unknown = asked.filter((sample) => !SAMPLES.includes(sample));
if (unknown.length) throw new Error(`expected some of ${SAMPLES.join(", ")}; got ${unknown.join(", ")}`);
const { prompt, rank, alpha, learningRate, steps, batchSize, blockSize, temperature } = DEFAULTS;
const WAYS = [{ temperature: 0 }, ...[1, 2, 3].map((seed) => ({ temperature, seed }))];

/** What it writes after the page's prompt in each way. */
async function write(lab, adapter) {
  const texts = [];
  for (const way of WAYS) texts.push({ ...way, text: (await lab.generate(prompt, { maxTokens: 100, adapter, ...way })).text });
  return texts;
}

/** By sample, from before. */
const results = new Map(JSON.parse(String(await readFile(FILE))).map((result) => [result.sample, result]));
for (const sample of asked) {
  const lab = await LoraLab.load();
  await lab.attach({ rank, alpha, seed: 1 });
  const text = String(await readFile(new URL(`../www/samples/${sample}.txt`, import.meta.url)));
  await lab.beginTraining({ text, steps, batchSize, blockSize, learningRate, seed: 1 });
  const before = await lab.evaluate();
  const digest = await lab.baseDigest();
  for await (const { done } of lab.train()) if (done) break;
  const result = {
    sample, heldOut: { before, after: await lab.evaluate() }, baseUnchanged: (await lab.baseDigest()) === digest,
    before: await write(lab, false), after: await write(lab, true),
  };
  results.set(sample, result);
  console.log(`\n=== ${sample}: held-out loss ${before.toFixed(3)} → ${result.heldOut.after.toFixed(3)}`);
  WAYS.forEach((way, i) => {
    const name = way.temperature === 0 ? "greedy" : `seed ${way.seed}`;
    console.log(`--- ${name}, before: ${result.before[i].text}\n--- ${name}, after: ${result.after[i].text}`);
  });
  await lab.dispose();
}
await writeFile(FILE, `${JSON.stringify(SAMPLES.flatMap((sample) => results.get(sample) ?? []), null, 1)}\n`);
