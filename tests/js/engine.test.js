// The real engine in Node, through the same engine/worker.js and engine/client.js as in a browser.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { kinds, targetsFor } from "../../www/lab/kinds.js";
import { targeted, trainable } from "../../www/lab/plan.js";
import { walk, walkFull } from "../features.js";
import { workers } from "./fake.js";

const WWW = new URL("../../www/", import.meta.url);
const TINY = new URL("models/tiny/", WWW);

let engine, memory, model, text;

before(async () => {
  // `cargo xtask test` builds www/pkg before this: without it, this fails.
  engine = await import(new URL("pkg/lora_lab.js", WWW).href);
  memory = engine.initSync({ module: await readFile(new URL("pkg/lora_lab_bg.wasm", WWW)) }).memory;
  const file = (name) => readFile(new URL(name, TINY));
  model = { config: String(await file("config.json")), tokenizer: String(await file("tokenizer.json")), weights: await file("model.safetensors") };
  text = String(await readFile(new URL("samples/pirate.txt", WWW)));
});

async function loaded(files = model, options = {}) {
  const { createWorker } = workers(async () => engine);
  return LoraLab.load({ model: files, createWorker, ...options });
}

test("every feature of the core is reachable", { timeout: 120_000 }, async (t) => {
  const lab = await loaded();
  const seen = await walk(lab, text.slice(0, 6000));
  t.diagnostic(`${seen.length} features: ${seen.join("; ")}`);
  await lab.dispose();
});

test("full fine-tuning trains all weights by the same calls", { timeout: 60_000 }, async (t) => {
  const lab = await loaded(model, { full: true });
  t.diagnostic((await walkFull(lab, text.slice(0, 6000))).join("; "));
  await lab.dispose();
});

test("the live count is the engine's plan, for every rank and choice of layers", async () => {
  const lab = await loaded();
  const all = kinds(lab.info).filter((name) => name !== "lm_head");
  const paths = lab.info.layers.map(({ name }) => name);
  const choices = ["all-linear", all, ...all.map((name) => [name]), ["c_proj"], ["attn.c_attn", "mlp.c_fc"], paths.slice(0, 5), paths.slice(2), [paths.at(-1)]];
  for (const rank of [1, 7, 64]) {
    for (const targets of choices) {
      const plan = await lab.plan({ rank, targets });
      const layers = targeted(lab.info, targets);
      assert.equal(trainable(layers, rank), plan.trainable, `${rank} ${targets}`);
      assert.deepEqual(layers.map(({ name }) => name).sort(), plan.layers.map(({ name }) => name).sort());
      assert.deepEqual(targeted(lab.info, targetsFor(lab.info, layers)), layers, "the short name means the same layers");
    }
  }
  assert.deepEqual([all, paths.slice(0, -1)].map((targets) => targetsFor(lab.info, targeted(lab.info, targets))), ["all-linear", "all-linear"]);
  await lab.dispose();
});

test("a weight flipped in memory is seen by the digest, and flipping it back as well", async () => {
  const lab = await loaded();
  const digest = await lab.baseDigest();
  for (const suffix of ["h.0.ln_1.weight", "h.0.attn.c_attn.weight", "h.1.mlp.c_proj.weight", "wpe.weight"]) {
    const places = occurrences(floats(model.weights, suffix).slice(0, 8));
    assert.ok(places.length > 0, `${suffix} is not in memory as it is in the file`);
    let noticed = 0;
    for (const place of places) {
      const bytes = new Uint8Array(memory.buffer);
      bytes[place] ^= 1;
      if ((await lab.baseDigest()) !== digest) noticed += 1;
      bytes[place] ^= 1;
    }
    assert.ok(noticed > 0, `the digest does not see ${suffix}`);
  }
  assert.equal(await lab.baseDigest(), digest);
  await lab.dispose();
});

test("a model without a tokenizer works on ids and says so about texts", async () => {
  const lab = await loaded({ config: model.config, weights: model.weights });
  assert.equal(lab.info.hasTokenizer, false);
  const { ids } = await lab.generate([1, 2, 3], { maxTokens: 4, temperature: 0, stopAtEnd: false });
  assert.equal(ids.length, 4);
  await assert.rejects(lab.generate("Once"), { code: "no-tokenizer" });
  await assert.rejects(lab.encode("Once"), { code: "no-tokenizer" });
  await lab.dispose();
});

test("a broken model is an error with a code, and the next one loads", async () => {
  const cut = { ...model, weights: model.weights.subarray(0, 1000) };
  await assert.rejects(loaded(cut), { code: "format" });
  await assert.rejects(loaded({ ...model, config: "{" }), { code: "format" });
  await (await loaded()).dispose();
});

/** A tensor of a safetensors file, as f32: what the engine makes of F32 and F16 alike. */
function floats(file, suffix) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + headerLength)));
  const [, entry] = Object.entries(header).find(([name]) => name.endsWith(suffix));
  const [start, end] = entry.data_offsets.map((offset) => 8 + headerLength + offset);
  const values = [];
  const size = entry.dtype === "F32" ? 4 : 2;
  for (let at = start; at < end && values.length < 64; at += size) {
    values.push(size === 4 ? view.getFloat32(at, true) : half(view.getUint16(at, true)));
  }
  return Float32Array.from(values);
}

/** IEEE 754 half precision. */
function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Byte offsets in the engine's memory at which these floats stand one after another. */
function occurrences(values) {
  const wanted = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const all = Buffer.from(memory.buffer);
  const found = [];
  for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + 1)) found.push(at);
  return found;
}
