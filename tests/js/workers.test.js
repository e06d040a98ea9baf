// The real engine in several threads: the adapter is the same bit for bit, however many there are and whatever happens to them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { LoraLab, threadWorker } from "../../www/node.js";
import { hasRelaxedSimd } from "../../www/engine/machine.js";

/** Labs with one, two and three workers, and their threads. */
let labs, text;

before(async () => {
  text = String(await readFile(new URL("../../www/samples/pirate.txt", import.meta.url)));
  const load = async (workers) => {
    const made = [];
    const createWorker = () => {
      made.push(threadWorker());
      return made.at(-1);
    };
    return { lab: await LoraLab.load({ createWorker, workers }), workers, made };
  };
  labs = await Promise.all([1, 2, 3].map(load));
});

after(() => Promise.all((labs ?? []).map(({ lab }) => lab.dispose())));

const SMALL = { steps: 4, batchSize: 4, accumulation: 1, blockSize: 24, evaluateEvery: 2, evaluationWindows: 5, heldOut: 0.2, warmupSteps: 1, learningRate: 0.01, seed: 3 };

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
/** Of the tensors of a safetensors file: the order of what stands before them is not fixed. */
const digest = (file) => sha256(file.subarray(8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))));

/** A whole training of a fresh adapter; `during` is called after each step. */
async function run({ lab, workers, made }, options, { lora = {}, during } = {}) {
  const settings = { ...SMALL, ...options };
  await lab.attach({ rank: 4, seed: 7, ...lora });
  await lab.beginTraining({ text, ...settings });
  // All helpers are there before the first step: one is counted when it is ready.
  const wanted = Math.min(workers, settings.batchSize * settings.accumulation);
  while ((await lab.memories()).length < wanted) await new Promise((resolve) => setTimeout(resolve, 10));
  const steps = [];
  let most = 0;
  for await (const { tokensPerSecond, workers, ...step } of lab.train()) {
    assert.ok(tokensPerSecond > 0);
    most = Math.max(most, workers);
    steps.push(step);
    await during?.(step.step, made);
  }
  assert.equal(most, wanted, "so many took part");
  const { safetensors } = await lab.exportAdapter();
  const results = { steps, adapter: sha256(safetensors), state: digest(await lab.saveState()) };
  await lab.remove("default");
  return results;
}

const CASES = {
  "a batch of 4": {},
  "a batch of 5, which neither two nor three divide": { batchSize: 5 },
  "dropout and accumulation": { batchSize: 2, accumulation: 2, lora: { dropout: 0.2 } },
  "more workers than sequences": { batchSize: 2 },
};

for (const [name, { lora, ...options }] of Object.entries(CASES)) {
  test(`one, two and three workers train the same adapter bit for bit: ${name}`, { timeout: 120_000 }, async () => {
    const [expected, ...others] = [await run(labs[0], options, { lora }), await run(labs[1], options, { lora }), await run(labs[2], options, { lora })];
    assert.equal(expected.steps.length, SMALL.steps);
    assert.equal(expected.steps.filter(({ heldOutLoss }) => heldOutLoss > 0).length, 2);
    for (const results of others) assert.deepEqual(results, expected);
  });
}

test("one and two workers fine-tune all weights to the same bits, also after the run was resumed", { timeout: 120_000 }, async () => {
  const fully = async (workers) => {
    const lab = await LoraLab.load({ full: true, workers });
    try {
      await lab.beginTraining({ text, ...SMALL, learningRate: 0.001 });
      while ((await lab.memories()).length < workers) await new Promise((resolve) => setTimeout(resolve, 10));
      const steps = [];
      for await (const { tokensPerSecond, workers: shared, ...step } of lab.train()) {
        assert.equal(shared, workers);
        steps.push(step);
        // Half-way the run is resumed, so that the helper gets all of it, weights included.
        if (step.step === 2) await lab.resume(await lab.saveState());
      }
      return { steps, base: await lab.baseDigest(), state: digest(await lab.saveState()) };
    } finally {
      await lab.dispose();
    }
  };
  const [one, two] = [await fully(1), await fully(2)];
  assert.equal(one.steps.length, SMALL.steps);
  assert.notEqual(one.base, await labs[0].lab.baseDigest(), "the weights have learnt");
  assert.deepEqual(two, one);
});

test("a thread that ends in the middle of a step is replaced, and the adapter is the same bit for bit", { timeout: 120_000 }, async () => {
  const options = { steps: 6, batchSize: 6, blockSize: 48 };
  const before = labs[2].made.length;
  const during = (step, made) => {
    // Not awaited: they end while the next step is under way.
    if (step === 2) setTimeout(() => made[1].terminate(), 20);
    if (step === 4) setTimeout(() => made[2].terminate(), 20);
  };
  assert.deepEqual(await run(labs[2], options, { during }), await run(labs[0], options));
  assert.equal(labs[2].made.length, before + 2, "two in their places");
});

test("each worker has its memory, and the helpers' is less than the leader's and half as much again", async (t) => {
  const memories = await labs[2].lab.memories();
  t.diagnostic(`${memories.map((bytes) => (bytes / 1e6).toFixed(1)).join(" + ")} MB`);
  assert.equal(memories[0], await labs[2].lab.memory());
  for (const bytes of memories) assert.ok(bytes > 4 * labs[2].lab.info.parameters && bytes < 1.5 * memories[0], `${bytes}`);
});

test("loaded anew with more workers and as the build that is asked for, an engine goes on where it stood", { timeout: 120_000 }, async () => {
  const lab = await LoraLab.load({ workers: 1 });
  try {
    await lab.attach({ rank: 4, seed: 7 });
    await lab.beginTraining({ text, ...SMALL });
    const steps = lab.train();
    await steps.next();
    await steps.next();
    const { safetensors } = await lab.exportAdapter();
    await lab.reload({ workers: 2, fast: true });
    // Node 20 has no relaxed SIMD; a browser that has it is asked in tests/page/build.test.js.
    assert.deepEqual([lab.lanes, lab.workers], [hasRelaxedSimd() ? "relaxed-simd" : "simd128", 2]);
    assert.deepEqual((await lab.exportAdapter()).safetensors, safetensors);
    const rest = [];
    for await (const { step } of lab.train()) rest.push(step);
    assert.deepEqual(rest, [3, 4]);
    await lab.reload({ workers: 1, fast: false });
    assert.deepEqual([lab.lanes, lab.workers], ["simd128", 1]);
  } finally {
    await lab.dispose();
  }
});
