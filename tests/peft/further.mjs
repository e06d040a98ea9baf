// The JavaScript half of tests/peft/further.py.
//   node tests/peft/further.mjs FOLDER   trains some steps on the tiny model, writes the folder that the page exports, goes on, and
//                                        writes the steps that followed into FOLDER/expected.json
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { folder } from "../../www/lab/export.js";
import { Lab, initSync } from "../../www/pkg/lora_lab.js";
import { DEFAULTS } from "../../www/lab/settings.js";

const [target] = process.argv.slice(2);
if (!target) throw new Error("usage: node tests/peft/further.mjs FOLDER");
const WWW = new URL("../../www/", import.meta.url);
const model = new URL("models/tiny/", WWW);
const read = async (url) => readFile(url);
const text = String(await read(new URL("samples/pirate.txt", WWW)));

initSync({ module: await read(new URL("pkg/lora_lab_bg.wasm", WWW)) });
const [config, weights, tokenizer] = await Promise.all(["config.json", "model.safetensors", "tokenizer.json"].map((name) => read(new URL(name, model))));
const lab = new Lab(String(config), weights, String(tokenizer), undefined);
const settings = { ...DEFAULTS, steps: 16, batchSize: 2, blockSize: 64, learningRate: 0.005, rank: 4, targets: ["c_attn", "c_fc", "mlp.c_proj"] };
const { steps, batchSize, blockSize, learningRate, seed, rank, alpha, targets } = settings;
lab.attach("default", { rank, alpha, targets, seed });
const corpus = lab.beginTraining(text, { steps, batchSize, blockSize, learningRate, seed, evaluateEvery: 4, warmupSteps: 3 });
const take = (count) => Array.from({ length: count }, () => ({ ...lab.step(), tokensPerSecond: 1 }));

const log = take(8);
const run = { settings, text, corpus, log, firstHeldOut: 4 };
const files = await folder({ lab, state: { run, info: lab.info() }, model: model.href }, read);
for (const [path, content] of Object.entries(files)) {
  await mkdir(dirname(`${target}/${path}`), { recursive: true });
  await writeFile(`${target}/${path}`, content);
}
await writeFile(`${target}/expected.json`, JSON.stringify(take(8)));
