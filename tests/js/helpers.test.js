// Several workers, of which each is a double in this thread: who starts when, what a death costs, and that the sum has one order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { shares } from "../../www/engine/leader.js";
import { LoraLab } from "../../www/lora-lab.js";
import { howMany } from "../../www/engine/machine.js";
import { FakeLab, MODEL, TRAP, fakeEngine, workers } from "./fake.js";

const moment = () => new Promise((resolve) => setTimeout(resolve, 5));

async function loaded(options, loadEngine) {
  const { made, createWorker } = workers(loadEngine);
  const lab = await LoraLab.load({ model: MODEL, createWorker, ...options });
  await lab.attach();
  return { lab, made, helpers: () => made.slice(1), alive: () => made.slice(1).filter(({ terminated }) => !terminated) };
}

/** Train, a moment between two steps so that helpers arrive; the steps without their times, and the state at the end. */
async function trained(lab, options, { onStep } = {}) {
  const steps = [];
  for await (const { tokensPerSecond, workers, ...step } of lab.train(options)) {
    steps.push(step);
    await onStep?.(step, workers);
    await moment();
  }
  return { steps, state: JSON.parse(new TextDecoder().decode(await lab.saveState())) };
}

/** What one worker makes of it. */
async function alone(options) {
  const { lab } = await loaded({ workers: 1 });
  const result = await trained(lab, options);
  await lab.dispose();
  return result;
}

test("shares are even, in order, without gaps, and none is empty", () => {
  for (let count = 1; count < 20; count++) {
    for (let workers = 1; workers < 12; workers++) {
      const parts = shares(count, workers);
      const sizes = parts.map(({ from, to }) => to - from);
      assert.equal(parts.length, Math.min(count, workers));
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1 && Math.min(...sizes) >= 1, `${sizes}`);
      assert.deepEqual(parts.map(({ from }) => from), [0, ...parts.slice(0, -1).map(({ to }) => to)]);
      assert.equal(parts.at(-1).to, count);
    }
  }
  assert.deepEqual(shares(4, 2), [{ from: 0, to: 2 }, { from: 2, to: 4 }]);
});

test("steps and state are the same for any number of workers", async () => {
  for (const batchSize of [1, 2, 5]) {
    const options = { text: "abc", steps: 8, batchSize };
    const expected = await alone(options);
    for (const workers of [2, 3, 9]) {
      const { lab } = await loaded({ workers });
      let most = 0;
      const result = await trained(lab, options, { onStep: (_, took) => { most = Math.max(most, took); } });
      assert.deepEqual(result, expected, `${workers} workers, ${batchSize} sequences`);
      assert.equal(most, Math.min(workers, batchSize));
      await lab.dispose();
    }
  }
});

test("helpers start with the first training, no more than it has sequences for, and load nothing themselves", async () => {
  const { lab, helpers } = await loaded({ workers: 8 });
  await lab.generate("abc", { maxTokens: 3 });
  await moment();
  assert.equal(helpers().length, 0, "nobody trains");
  await trained(lab, { text: "abc", steps: 2, batchSize: 3 });
  assert.equal(helpers().length, 2);
  await trained(lab, { text: "abc", steps: 2, batchSize: 3 });
  assert.equal(helpers().length, 2, "the same ones help again");
  await trained(lab, { text: "abc", steps: 2, batchSize: 4 });
  assert.equal(helpers().length, 3);
  for (const { received } of helpers()) assert.deepEqual(received.map(({ method }) => method), ["help"]);
  assert.equal((await lab.memories()).length, 4);
  await lab.dispose();
});

test("another run, adapter or start is never computed with what a helper had before", async () => {
  const pieces = async (lab) => {
    const results = [await trained(lab, { text: "abc", steps: 4 })];
    await lab.reset();
    results.push(await trained(lab, { text: "another", steps: 3, batchSize: 3 }));
    const saved = await lab.saveState();
    await lab.attach({ name: "second" });
    await lab.setEnabled(false);
    results.push(await trained(lab, { text: "abc", steps: 3 }));
    await lab.resume(saved);
    results.push(await trained(lab, { text: "abc", steps: 5 }));
    return results;
  };
  const { lab: one } = await loaded({ workers: 1 });
  const { lab: three } = await loaded({ workers: 3 });
  assert.deepEqual(await pieces(three), await pieces(one));
  await Promise.all([one.dispose(), three.dispose()]);
});

/** The double's engine, where helpers (they alone get a compiled module) compute gradients by `gradients(lab, from, to)`. */
function engineOf(gradients) {
  return async (options) => {
    if (!("module" in options)) return fakeEngine();
    return { ...(await fakeEngine()), Lab: class extends FakeLab { gradients(from, to) { return gradients(this, () => super.gradients(from, to)); } } };
  };
}

const trap = () => {
  throw new WebAssembly.RuntimeError("unreachable");
};

test("a helper that dies in a step is replaced, and the step is what it would have been", async () => {
  const options = { text: "abc", steps: 10, batchSize: 5 };
  const expected = await alone(options);
  let deaths = 0;
  const engine = engineOf((lab, compute) => (lab.run.step === 4 && deaths++ === 0 ? trap() : compute()));
  const { lab, helpers, alive } = await loaded({ workers: 3 }, engine);
  const counts = [];
  assert.deepEqual(await trained(lab, options, { onStep: (_, workers) => counts.push(workers) }), expected);
  assert.deepEqual([deaths > 1, helpers().length, alive().length], [true, 3, 2]);
  assert.deepEqual([counts[4], counts.at(-1)], [3, 3], "it was asked, and so was the next one in its place");
  await lab.dispose();
});

test("helpers that die each time are given up, and the leader computes alone", async () => {
  const options = { text: "abc", steps: 12 };
  const { lab, helpers, alive } = await loaded({ workers: 2 }, engineOf(trap));
  assert.deepEqual(await trained(lab, options), await alone(options));
  assert.equal(helpers().length, 4, "one and three in its place");
  assert.equal(alive().length, 0);
  await lab.dispose();
});

test("helpers that cannot load or start are done without", async () => {
  const options = { text: "abc", steps: 3 };
  const expected = await alone(options);
  const broken = async (options) => {
    if ("module" in options) throw new Error("no room");
    return fakeEngine();
  };
  const { lab, helpers, alive } = await loaded({ workers: 3 }, broken);
  assert.deepEqual(await trained(lab, options), expected);
  assert.deepEqual([helpers().length, alive().length], [2, 0]);
  await lab.dispose();
});

test("the leader's death ends its helpers, and the next training has new ones", async () => {
  const { lab, made, alive } = await loaded({ workers: 3 });
  await trained(lab, { text: "abc", steps: 2 });
  assert.equal(alive().length, 2);
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  await lab.memory();
  assert.deepEqual(made.map(({ terminated }) => terminated), [true, true, true, false]);
  const expected = await alone({ text: "abc", steps: 4 });
  await lab.reset();
  assert.deepEqual(await trained(lab, { text: "abc", steps: 4 }), expected);
  assert.equal(made.length, 6);
  await lab.dispose();
});

test("disposing ends every worker, those that are starting too", async () => {
  for (const wait of [false, true]) {
    const { lab, made } = await loaded({ workers: 4 });
    await lab.beginTraining({ text: "abc" });
    if (wait) await moment();
    await lab.dispose();
    await moment();
    assert.equal(made.length, 4);
    assert.ok(made.every(({ terminated }) => terminated));
  }
});

test("the number of workers leaves the reader a core, and a wrong one is refused by name", async () => {
  assert.ok(howMany(undefined) >= 1 && howMany(undefined) <= 8);
  assert.equal(howMany(3), 3);
  for (const workers of [0, -1, 1.5, NaN]) {
    await assert.rejects(LoraLab.load({ model: MODEL, workers }), { code: "config", message: /workers is/ });
  }
});
