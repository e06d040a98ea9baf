// The JavaScript half of tests/peft/roundtrip.py and further.py.
//   node tests/peft/lab.mjs export FOLDER   trains an adapter of each kind on the tiny model; writes for each a folder with PEFT's two
//                                           files, our logits with it, and our logits with it merged into the weights
//   node tests/peft/lab.mjs import FOLDER   reads each adapter that lies in a folder of FOLDER; writes our logits with it beside its
//                                           files as lab_logits.json, or why it was refused as lab_refused.json. With the folder of a
//                                           model as another argument, on that model
import { access, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LoraLab } from "../../www/node.js";

const SAMPLE = new URL("../../www/samples/pirate.txt", import.meta.url);
const PROMPT = "Once upon a time there was a little girl who loved";
const SPLIT = { splitQkv: true };
/** Enough that an adapter changes the logits visibly. B begins at zero: without a training any file would give the base's logits. */
const TRAINING = { steps: 20, learningRate: 1e-2, batchSize: 2, blockSize: 64, seed: 1 };

/** By name: what attach() gets and, where it is not the default, what LoraLab.load() gets. @type {Record<string, [object, object?]>} */
const KINDS = {
  default: [{ rank: 8, alpha: 16 }],
  rslora: [{ rank: 16, alpha: 16, scaling: "sqrt-rank" }],
  textbook: [{ rank: 4, alpha: 2, scaling: "textbook" }],
  "textbook-patterns": [{ rank: 4, alpha: 2, scaling: "textbook", rankPattern: { c_fc: 6 }, alphaPattern: { "attn.c_proj": 1 } }],
  "one-target": [{ rank: 3, alpha: 7, targets: ["c_attn"] }],
  blocks: [{ rank: 3, alpha: 7, targets: ["c_attn"], layersToTransform: [1, 3] }],
  expression: [{ rank: 4, alpha: 8, targets: ".*\\.[02]\\.(attn|mlp)\\.c_proj" }],
  "expression-blocks": [{ rank: 4, alpha: 8, targets: ".*\\.mlp\\.c_.*", layersToTransform: [0, 2] }],
  excluded: [{ rank: 4, alpha: 8, targets: ["c_attn", "c_fc", "c_proj"], exclude: ["mlp.c_proj"] }],
  patterns: [{ rank: 4, alpha: 8, rankPattern: { c_fc: 12 }, alphaPattern: { "h.0.attn.c_proj": 3 } }],
  fractional: [{ rank: 5, alpha: 7.5 }],
  dropout: [{ rank: 8, alpha: 16, dropout: 0.1 }],
  split: [{ rank: 4, alpha: 8 }, SPLIT],
  "split-rslora": [{ rank: 4, alpha: 8, scaling: "sqrt-rank" }, SPLIT],
  "split-textbook": [{ rank: 4, alpha: 2, scaling: "textbook" }, SPLIT],
  "split-query-value": [{ rank: 4, alpha: 8, targets: ["W_query", "W_value"] }, SPLIT],
  "split-patterns": [{ rank: 4, alpha: 8, targets: ["W_query", "W_key", "W_value", "c_fc"], rankPattern: { W_key: 2 }, alphaPattern: { W_value: 3 } }, SPLIT],
};

const [command, folder, model] = process.argv.slice(2);
if (!["export", "import"].includes(command) || !folder) throw new Error("usage: node tests/peft/lab.mjs export|import FOLDER [MODEL]");
await (command === "export" ? exportAll(folder) : importAll(folder, model));

/** @param {string} folder */
async function exportAll(folder) {
  const text = String(await readFile(SAMPLE));
  const [fused, split] = [await LoraLab.load(), await LoraLab.load(SPLIT)];
  const ids = await fused.encode(PROMPT);
  await mkdir(folder, { recursive: true });
  await json(join(folder, "base.json"), { ids: [...ids], logits: [...(await fused.logits(ids))] });
  for (const [name, [config, options]] of Object.entries(KINDS)) {
    const lab = options === SPLIT ? split : fused;
    await lab.attach({ name, seed: 1, ...config });
    for await (const { done } of lab.train({ text, ...TRAINING })) if (done) break;
    const { safetensors, config: written } = await lab.exportAdapter(name);
    const at = join(folder, name);
    await mkdir(at, { recursive: true });
    await writeFile(join(at, "adapter_model.safetensors"), safetensors);
    await writeFile(join(at, "adapter_config.json"), written);
    await json(join(at, "lab_logits.json"), [...(await lab.logits(ids))]);
    await lab.merge();
    await json(join(at, "lab_merged.json"), [...(await lab.logits(ids))]);
    await lab.unmerge();
    await lab.remove(name);
  }
  await Promise.all([fused.dispose(), split.dispose()]);
}

/** @param {string} folder @param {string} [model] the tiny one unless told otherwise */
async function importAll(folder, model) {
  const lab = await LoraLab.load({ model });
  const ids = await lab.encode(PROMPT);
  for (const name of (await readdir(folder)).sort()) {
    const at = join(folder, name);
    if (!(await exists(join(at, "adapter_config.json")))) continue;
    try {
      await lab.importAdapter({ name, safetensors: await readFile(join(at, "adapter_model.safetensors")), config: String(await readFile(join(at, "adapter_config.json"))) });
    } catch (error) {
      await json(join(at, "lab_refused.json"), { code: error.code, message: error.message });
      continue;
    }
    await json(join(at, "lab_logits.json"), [...(await lab.logits(ids))]);
    await lab.remove(name);
  }
  await lab.dispose();
}

/** @param {string} file @param {unknown} value */
function json(file, value) {
  return writeFile(file, JSON.stringify(value));
}

/** @param {string} file */
async function exists(file) {
  return access(file).then(() => true, () => false);
}
