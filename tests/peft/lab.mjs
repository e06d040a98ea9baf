// The JavaScript half of tests/peft/roundtrip.py.
//   node tests/peft/lab.mjs export FOLDER   trains adapters of several kinds on the tiny model; writes PEFT's two files and our logits for each
//   node tests/peft/lab.mjs import FOLDER   reads FOLDER as PEFT wrote it; writes our logits with it into FOLDER/lab_logits.json
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { Lab, initSync } from "../../www/pkg/lora_lab.js";

const WWW = new URL("../../www/", import.meta.url);
const text = async (path) => String(await readFile(new URL(path, WWW)));
const PROMPT = "Once upon a time there was a little girl who loved";

/** A name and what attach() gets. */
const KINDS = {
  default: { rank: 8, alpha: 16 },
  rslora: { rank: 16, alpha: 16, scaling: "sqrt-rank" },
  textbook: { rank: 4, alpha: 2, scaling: "textbook" },
  attention: { rank: 3, alpha: 7, targets: ["c_attn"], layersToTransform: [1, 3] },
  patterns: { rank: 4, alpha: 8, rankPattern: { c_fc: 12 }, alphaPattern: { "h.0.attn.c_proj": 3 } },
};

const load = async () =>
  new Lab(await text("models/tiny/config.json"), await readFile(new URL("models/tiny/model.safetensors", WWW)), await text("models/tiny/tokenizer.json"), undefined);

initSync({ module: await readFile(new URL("pkg/lora_lab_bg.wasm", WWW)) });
const [command, folder] = process.argv.slice(2);
if (!["export", "import"].includes(command) || !folder) throw new Error("usage: node tests/peft/lab.mjs export|import FOLDER");
const lab = await load();
const ids = lab.encode(PROMPT);

if (command === "export") {
  const sample = await text("samples/pirate.txt");
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/base.json`, JSON.stringify({ ids: [...ids], logits: [...lab.logits(ids)] }));
  for (const [name, config] of Object.entries(KINDS)) {
    lab.attach(name, { seed: 1, ...config });
    // Trained, or B would be zero and any file would give the base's logits.
    lab.beginTraining(sample, { steps: 20, learningRate: 1e-2, batchSize: 2, blockSize: 64, seed: 1 });
    while (!lab.step().done);
    const { safetensors, config: json } = lab.exportAdapter(name);
    await mkdir(`${folder}/${name}`, { recursive: true });
    await writeFile(`${folder}/${name}/adapter_model.safetensors`, safetensors);
    await writeFile(`${folder}/${name}/adapter_config.json`, json);
    await writeFile(`${folder}/${name}/lab_logits.json`, JSON.stringify([...lab.logits(ids)]));
    lab.remove(name);
  }
} else {
  lab.importAdapter("peft", await readFile(`${folder}/adapter_model.safetensors`), String(await readFile(`${folder}/adapter_config.json`)));
  await writeFile(`${folder}/lab_logits.json`, JSON.stringify([...lab.logits(ids)]));
}
