// Sequences that once went wrong in the real engine, each with what is right.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { LoraLab, threadWorker } from "../../www/node.js";

const WWW = new URL("../../www/", import.meta.url);
const text = String(await readFile(new URL("samples/robot.txt", WWW)));
const QUICK = { text, steps: 4, batchSize: 1, blockSize: 16, learningRate: 0.02, warmupSteps: 0, evaluateEvery: 0 };

async function loaded(t, options = {}) {
  const made = [];
  const createWorker = () => {
    made.push(threadWorker());
    return made.at(-1);
  };
  const lab = await LoraLab.load({ workers: 1, createWorker, ...options });
  t.after(() => lab.dispose());
  return { lab, made, kill: () => made.at(-1).terminate() };
}

async function trained(lab, options = QUICK, stop = Infinity) {
  for await (const { step } of lab.train(options)) if (step === stop) break;
}

const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
const size = async (lab, options) => (await lab.deltas(options)).reduce((sum, { norm }) => sum + norm, 0);
/** Of the tensors of a safetensors file: the order of what stands before them is not fixed. */
const tensors = (file) => sha(file.subarray(8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))));

/** Everything that a lab's API can tell without a change. */
async function account(lab) {
  const adapters = await lab.adapters();
  const ids = await lab.encode("Once upon a time");
  const voice = async (adapter) => lab.logits(ids, { adapter }).then((logits) => sha(new Uint8Array(logits.buffer)), ({ code }) => code);
  const training = await lab.isTraining();
  return {
    adapters,
    merged: await lab.isMerged(),
    training,
    state: training && tensors(await lab.saveState()),
    digest: await lab.baseDigest(),
    active: [await voice(), await voice(true), await voice(false)],
    each: await Promise.all(adapters.map(async ({ name }) => {
      const { safetensors, config } = await lab.exportAdapter(name);
      const { trainable } = await lab.footprint({ adapter: name });
      return [name, sha(safetensors), JSON.parse(config), await voice(name), await lab.deltas({ adapter: name }), trainable];
    })),
  };
}

/** Ways in which a lab is put where it was. */
const WAYS = {
  "reload()": async ({ lab }) => lab.reload({ workers: 1 }),
  "a worker's death": async ({ lab, kill, made }) => {
    const before = made.length;
    await kill();
    await lab.memory().catch(() => lab.memory());
    assert.equal(made.length, before + 1);
  },
};

const SHAPES = {
  "by rank": {},
  "by its square root": { scaling: "sqrt-rank", alpha: 4 },
  "as in the textbook": { scaling: "textbook", alpha: 8, rankPattern: { c_fc: 3 }, dropout: 0.1 },
};

for (const splitQkv of [false, true]) {
  test(`after reload() and after a death a lab tells and does the same${splitQkv ? ", with separate q, k, v" : ""}`, { timeout: 120_000 }, async (t) => {
    const made = await loaded(t, { splitQkv, saveEvery: -1 });
    const { lab } = made;
    for (const [name, shape] of Object.entries(SHAPES)) {
      await lab.attach({ name, rank: 2, seed: 3, ...shape });
      await trained(lab);
    }
    await lab.attach({ name: "fresh", rank: 1 });
    await trained(lab, { ...QUICK, adapter: "by rank" }, 2);
    await lab.select("by its square root");
    await lab.setStrength(0.5);
    for (const [way, go] of Object.entries(WAYS)) {
      const before = await account(lab);
      await go(made);
      assert.deepEqual(await account(lab), before, way);
    }
    await lab.merge({ adapter: "as in the textbook" });
    const merged = await account(lab);
    await WAYS["a worker's death"](made);
    assert.deepEqual(await account(lab), merged, "merged");
    await lab.unmerge();
    await lab.setEnabled(false);
    const off = await account(lab);
    await WAYS["reload()"](made);
    assert.deepEqual(await account(lab), off, "switched off");

    const steps = [];
    for await (const { step } of lab.train()) steps.push(step);
    assert.deepEqual(steps, [3, 4], "the run goes on");
    for (const name of [...Object.keys(SHAPES), "fresh"]) {
      await lab.reset({ adapter: name });
      assert.equal(await size(lab, { adapter: name }), 0, `${name} is as it was attached`);
    }
  });
}

test("with separate q, k, v a reload in the middle of a training keeps adapter and training", async (t) => {
  for (const splitQkv of [true, false]) {
    const { lab } = await loaded(t, { splitQkv });
    await lab.attach({ rank: 4 });
    await trained(lab, { ...QUICK, steps: 6 }, 3);
    await lab.reload({ workers: 1 });
    assert.deepEqual((await lab.adapters()).map(({ name }) => name), ["default"]);
    assert.equal((await lab.train().next()).value.step, 4);
  }
});

test("reset() goes back to what was attached or imported, also after reload() and resume()", async (t) => {
  const { lab } = await loaded(t);
  await lab.attach({ name: "a", rank: 2 });
  await trained(lab);
  await lab.attach({ name: "b", rank: 2 });
  await lab.reset({ adapter: "a" });
  assert.equal(await size(lab, { adapter: "a" }), 0, "without a reload");
  await trained(lab, { ...QUICK, adapter: "a" });
  await lab.reload({ workers: 1 });
  await lab.select("a");
  await lab.reset();
  assert.equal(await size(lab), 0, "after a reload");

  await trained(lab);
  const files = await lab.exportAdapter("a");
  await lab.remove("a");
  await lab.importAdapter({ ...files, name: "a" });
  const imported = sha(files.safetensors);
  await trained(lab);
  await lab.reset();
  assert.equal(sha((await lab.exportAdapter("a")).safetensors), imported, "without resume()");
  await trained(lab, QUICK, 2);
  await lab.resume(await lab.saveState());
  await trained(lab, {});
  await lab.resume(await lab.saveState());
  await lab.reset({ adapter: "a" });
  assert.equal(sha((await lab.exportAdapter("a")).safetensors), imported, "after resume()");
});

test("a textbook adapter's alpha is what it was after a reload", async (t) => {
  const { lab } = await loaded(t);
  await lab.attach({ name: "t", rank: 4, alpha: 8, scaling: "textbook" });
  await lab.attach({ name: "u" });
  await lab.reload({ workers: 1 });
  assert.deepEqual((await lab.adapters()).map(({ name, alpha }) => [name, alpha]), [["t", 8], ["u", 16]]);
});

test("a wrong argument costs a training nothing", async (t) => {
  const { lab, made } = await loaded(t);
  await lab.attach({ rank: 2 });
  const steps = lab.train({ ...QUICK, steps: 30 });
  for (let i = 0; i < 12; i++) await steps.next();
  await assert.rejects(lab.encode(123), { code: "config", message: /text is 123/ });
  assert.equal((await steps.next()).value.step, 13);
  assert.equal(made.length, 1);
  await steps.return();
});

test("after a worker's death a training goes on from its last save, and its next step says from where", async (t) => {
  for (const [saveEvery, next] of [[-1, 13], [1e9, 1]]) {
    const { lab, kill } = await loaded(t, { saveEvery });
    await lab.attach({ rank: 2 });
    const steps = lab.train({ ...QUICK, steps: 30 });
    for (let i = 0; i < 12; i++) await steps.next();
    await kill();
    assert.equal((await steps.next()).value.step, next);
    assert.equal((await steps.next()).value.step, next + 1);
    await steps.return();
  }
});

test("what is neither text nor ids is refused by its name; chat messages are no ids", async (t) => {
  const { lab, made } = await loaded(t);
  const options = { maxTokens: 6, temperature: 0 };
  await lab.attach({ rank: 1 });
  const { safetensors, config } = await lab.exportAdapter();
  const fractions = Array.from({ length: 400 }, (_, i) => i + 0.5);
  const calls = [
    [() => lab.generate([{ role: "user", content: "Hello" }], options), /prompt\[0\] is \[object Object\]/],
    [() => lab.generate({ text: "Hello" }, options), /prompt is \[object Object\], expected a text or token ids/],
    [() => lab.generate(5, options), /prompt is 5/],
    [() => lab.generate(["Once", "upon"], options), /prompt\[0\] is "Once"/],
    [() => lab.generate([1.5, NaN], options), /prompt\[0\] is 1\.5/],
    [() => lab.generate(undefined, options), /prompt is undefined/],
    [() => lab.generate(null, options), /prompt is null/],
    [() => lab.loss([3.7, 4.2, -0.4]), /text\[0\] is 3\.7/],
    [() => lab.logits([1.9]), /ids\[0\] is 1\.9/],
    [() => lab.decode(["a"]), /ids\[0\] is "a"/],
    [() => lab.encode(123), /text is 123, expected a string/],
    [() => lab.encode(undefined), /text is undefined/],
    [() => lab.beginTraining({ ids: fractions, blockSize: 16 }), /ids\[0\] is 0\.5/],
    [() => lab.beginTraining({ text: 5, blockSize: 16 }), /text is 5/],
    [() => lab.beginTraining({ text: ["a b c d", "e f g"], blockSize: 2, heldOut: 0 }), /text is \[object Array\]/],
    [() => lab.beginTraining(), /text is undefined, expected a text, or instead of it ids/],
    [() => lab.importAdapter({ safetensors, config: JSON.parse(config), name: "o" }), /config is \[object Object\], expected a string/],
  ];
  for (const [call, message] of calls) await assert.rejects(call(), { name: "LabError", code: "config", message }, String(call));
  assert.equal((await lab.generate(BigInt64Array.of(1n, 2n), options)).ids.length, 6);
  assert.equal((await lab.beginTraining({ ids: new BigInt64Array(400), blockSize: 16 })).tokens, 400);
  await lab.importAdapter({ safetensors: safetensors.buffer.slice(0), config, name: "p" });
  assert.equal(made.length, 1, "the worker is the same");
});

test("a model's files of a wrong type are refused by their names, and bytes are taken from any container", async () => {
  const file = (name) => readFile(new URL(`models/tiny/${name}`, WWW));
  const files = { config: String(await file("config.json")), tokenizer: String(await file("tokenizer.json")), weights: Uint8Array.from(await file("model.safetensors")) };
  const load = async (model) => (await LoraLab.load({ workers: 1, model })).dispose();
  await assert.rejects(load({ ...files, config: JSON.parse(files.config) }), { code: "config", message: /config is \[object Object\]/ });
  await assert.rejects(load({ ...files, tokenizer: JSON.parse(files.tokenizer) }), { code: "config", message: /tokenizer is \[object Object\]/ });
  await assert.rejects(load({ config: files.config }), { code: "config", message: /weights is undefined/ });
  await assert.rejects(load(null), { code: "config", message: /model is null/ });
  await load({ ...files, weights: files.weights.buffer.slice(0) });
  await load({ ...files, weights: new Blob([files.weights]) });
});

test("a repetition penalty that is infinite or nothing in 32 bits is refused", async (t) => {
  const { lab } = await loaded(t);
  for (const repetitionPenalty of [1e39, 1e-46, 0, -1]) {
    await assert.rejects(lab.generate("Once upon a time", { repetitionPenalty, maxTokens: 8 }), { code: "config", message: /repetitionPenalty/ });
  }
});
