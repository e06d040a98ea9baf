// What the page's default fine-tuning does to the model's writing: for each sample, text before and after, greedy and
// sampled, and both losses. `cargo xtask build`, then `node benches/voices.mjs`; writes benches/results/voices.json.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { Lab, initSync } from "../www/pkg/lora_lab.js";
import { FIELDS } from "../www/settings.js";

const WWW = new URL("../www/", import.meta.url);
const text = async (path) => String(await readFile(new URL(path, WWW)));
initSync({ module: await readFile(new URL("pkg/lora_lab_bg.wasm", WWW)) });

const SAMPLES = process.argv.length > 2 ? process.argv.slice(2) : ["pirate", "robot", "recipes", "names"];
const { prompt, rank, alpha, learningRate, steps, temperature } = Object.fromEntries(Object.entries(FIELDS).map(([name, { initial }]) => [name, initial]));
const WAYS = [{ temperature: 0 }, ...[1, 2, 3].map((seed) => ({ temperature, seed }))];

function write(lab, adapter) {
  return WAYS.map((way) => {
    lab.beginGeneration(prompt, { maxTokens: 100, adapter, ...way });
    for (let all = ""; ; ) {
      const token = lab.nextToken();
      all += token.text;
      if (token.done) return { ...way, text: all };
    }
  });
}

const results = [];
for (const sample of SAMPLES) {
  const lab = new Lab(await text("models/tiny/config.json"), await readFile(new URL("models/tiny/model.safetensors", WWW)), await text("models/tiny/tokenizer.json"), undefined);
  lab.attach("default", { rank, alpha, seed: 1 });
  lab.beginTraining(await text(`samples/${sample}.txt`), { steps, learningRate, seed: 1 });
  const before = lab.evaluate();
  const digest = lab.baseDigest();
  let last;
  do last = lab.step(); while (!last.done);
  const result = {
    sample, heldOut: { before, after: lab.evaluate() }, baseUnchanged: lab.baseDigest() === digest,
    before: write(lab, false), after: write(lab, true),
  };
  results.push(result);
  console.log(`\n=== ${sample}: held-out loss ${before.toFixed(3)} → ${result.heldOut.after.toFixed(3)}`);
  WAYS.forEach((way, i) => {
    const name = way.temperature === 0 ? "greedy" : `seed ${way.seed}`;
    console.log(`--- ${name}, before: ${result.before[i].text}\n--- ${name}, after: ${result.after[i].text}`);
  });
  lab.free();
}
await mkdir(new URL("results/", import.meta.url), { recursive: true });
await writeFile(new URL("results/voices.json", import.meta.url), `${JSON.stringify(results, null, 1)}\n`);
