// The JavaScript half of tests/peft/further.py.
//   node tests/peft/further.mjs FOLDER   trains half a run on the tiny model, writes the folder that the page exports then, takes the other
//                                        half, and writes the steps of that half into FOLDER/expected.json and the adapter of its end
//                                        into FOLDER/expected
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { folder } from "../../www/lab/export.js";
import { LoraLab } from "../../www/node.js";

const [target] = process.argv.slice(2);
if (!target) throw new Error("usage: node tests/peft/further.mjs FOLDER");
const WWW = new URL("../../www/", import.meta.url);
const MODEL = new URL("models/tiny/", WWW).href;
const text = String(await readFile(new URL("samples/pirate.txt", WWW)));
// What the page would call the settings of this run.
const settings = {
  sample: "pirate", seed: 1, rank: 4, alpha: 16, targets: ["c_attn", "c_fc", "mlp.c_proj"],
  steps: 16, batchSize: 2, blockSize: 64, learningRate: 0.005,
};
const { rank, alpha, targets, seed, steps, batchSize, blockSize, learningRate } = settings;

const lab = await LoraLab.load({ model: MODEL });
await lab.attach({ rank, alpha, targets, seed });
const corpus = await lab.beginTraining({ text, steps, batchSize, blockSize, learningRate, seed, evaluateEvery: 4, warmupSteps: 3 });
const firstHeldOut = await lab.evaluate();
const log = await take(steps / 2);
const session = { lab, state: { run: { settings, text, corpus, log, firstHeldOut }, info: lab.info }, model: MODEL };
await write(await folder(session, (url) => readFile(url)));
const rest = await take(steps / 2);
const { safetensors, config } = await lab.exportAdapter();
await write({ "expected.json": JSON.stringify(rest), "expected/adapter_model.safetensors": safetensors, "expected/adapter_config.json": config });
await lab.dispose();

/** The next steps of the run. @param {number} count */
async function take(count) {
  const taken = [];
  for await (const step of lab.train()) if (taken.push(step) === count) break;
  return taken;
}

/** @param {Record<string, string | Uint8Array>} files */
async function write(files) {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), content);
  }
}
