import assert from "node:assert/strict";
import { test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { FakeLab, MODEL, TRAP, workers } from "./fake.js";

async function loaded(options = {}) {
  const { made, createWorker } = workers();
  const lab = await LoraLab.load({ model: MODEL, createWorker, workers: 1, ...options });
  return { lab, made };
}

/** What the adapter's one weight is: the number of steps taken. */
const weight = async (lab) => (await lab.exportAdapter()).safetensors[0];

test("one step is taken for each next(), and not one more", async () => {
  const { lab } = await loaded();
  await lab.attach();
  const training = lab.train({ text: "abc", steps: 10 });
  for (let step = 1; step <= 3; step++) {
    assert.equal((await training.next()).value.step, step);
    assert.equal(await weight(lab), step);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(await weight(lab), 3, "nobody asked");
  await lab.dispose();
});

test("breaking off keeps the state of the last step, and train() without a text goes on", async () => {
  const { lab } = await loaded();
  await lab.attach();
  for await (const { step } of lab.train({ ids: [1, 2, 3], steps: 5 })) if (step === 2) break;
  assert.equal(await weight(lab), 2);
  const steps = [];
  for await (const { step, tokensPerSecond } of lab.train()) {
    steps.push(step);
    assert.ok(tokensPerSecond > 0);
  }
  assert.deepEqual(steps, [3, 4, 5]);
  await lab.dispose();
});

test("an abort is heard between two steps and keeps none back", async () => {
  const { lab } = await loaded();
  await lab.attach();
  const controller = new AbortController();
  const steps = [];
  const training = async () => {
    for await (const { step } of lab.train({ text: "abc", signal: controller.signal })) {
      steps.push(step);
      if (step === 4) controller.abort(new Error("stop"));
    }
  };
  await assert.rejects(training, /stop/);
  assert.deepEqual(steps, [1, 2, 3, 4]);
  assert.equal(await weight(lab), 4);
  await lab.dispose();
});

test("a later train() ends an earlier one", async () => {
  const { lab } = await loaded();
  await lab.attach();
  const first = lab.train({ text: "abc" });
  await first.next();
  const second = lab.train({ text: "abc" });
  assert.equal((await second.next()).value.step, 1);
  assert.equal((await first.next()).done, true);
  assert.equal((await second.next()).value.step, 2);
  await lab.dispose();
});

test("a death rejects the request, and the next one finds the last saved state", async () => {
  const restarts = [];
  const { lab, made } = await loaded({ saveEvery: -1, onRestart: (error) => restarts.push(error.code) });
  await lab.attach({ name: "mine" });
  await lab.setStrength(0.5);
  const training = async () => {
    for await (const { step } of lab.train({ text: TRAP, steps: 10 })) assert.ok(step <= 2);
  };
  await assert.rejects(training, { code: "worker-died" });
  assert.equal(await weight(lab), 2, "the two steps before the trap");
  assert.deepEqual((await lab.adapters()).map(({ name, active }) => [name, active]), [["mine", true]]);
  assert.equal(await lab.isTraining(), true);
  assert.equal(made.length, 2);
  assert.ok(made[0].terminated && !made[1].terminated);
  assert.deepEqual(restarts, ["worker-died"]);
  const restored = made[1].received.find(({ method }) => method === "restore");
  assert.equal(restored.args[0].defaults.strength, 0.5);
  await lab.dispose();
});

test("several adapters, names and the merge survive a death", async () => {
  const { lab } = await loaded();
  await lab.attach({ name: "a" });
  await lab.attach({ name: "b" });
  await lab.rename("a", "c");
  await lab.select("c");
  await lab.merge();
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  const names = (await lab.adapters()).map(({ name, active }) => `${name} ${active}`);
  assert.deepEqual(names.sort(), ["b false", "c true"]);
  assert.equal(await lab.isMerged(), true);
  await lab.dispose();
});

test("a saved run that kills is given up, the adapters are not", async () => {
  const { lab, made } = await loaded();
  await lab.attach();
  await lab.beginTraining({ text: "poison" });
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  assert.equal(await lab.isTraining(), false);
  assert.equal((await lab.adapters()).length, 1);
  assert.equal(made.length, 3);
  await lab.dispose();
});

test("a worker that cannot be replaced fails every request, and none hangs", async () => {
  let dead = false;
  const { createWorker } = workers(async () => {
    if (dead) throw new Error("gone");
    return { Lab: FakeLab, lanes: () => "fake" };
  });
  const lab = await LoraLab.load({ model: MODEL, createWorker });
  dead = true;
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  await assert.rejects(lab.memory(), { code: "worker-died", message: /gone/ });
  await assert.rejects(lab.memory(), { code: "worker-died" });
});

test("disposing settles what is pending and refuses what follows", async () => {
  const { lab, made } = await loaded();
  const pending = lab.generate("abc", { maxTokens: 1e9 });
  await new Promise((resolve) => setTimeout(resolve, 5));
  await lab.dispose();
  await assert.rejects(pending, { code: "disposed" });
  await assert.rejects(lab.memory(), { code: "disposed" });
  assert.ok(made[0].terminated);
});

test("loading reports progress, can be aborted, and fails with the core's code", async () => {
  const phases = [];
  const { lab } = await loaded({ onProgress: ({ phase }) => phases.push(phase) });
  assert.deepEqual(phases, ["engine"]);
  assert.equal(lab.info.parameters, 3);
  await lab.dispose();
  const { made, createWorker } = workers();
  const broken = { ...MODEL, config: "not json" };
  await assert.rejects(LoraLab.load({ model: broken, createWorker }), { code: "format" });
  assert.ok(made[0].terminated);
  await assert.rejects(LoraLab.load({ model: MODEL, createWorker, signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(made.length, 1, "nothing was started");
});

test("an abort while the engine loads ends the worker", async () => {
  const controller = new AbortController();
  const { made, createWorker } = workers(async () => {
    controller.abort();
    return { Lab: FakeLab, lanes: () => "fake" };
  });
  await assert.rejects(LoraLab.load({ model: MODEL, createWorker, signal: controller.signal }), { name: "AbortError" });
  assert.ok(made[0].terminated);
});

test("without SIMD, the error names the browsers that have it and nothing is started", async (t) => {
  t.mock.method(WebAssembly, "validate", () => false);
  const { made, createWorker } = workers();
  await assert.rejects(LoraLab.load({ model: MODEL, createWorker }), { code: "no-simd", message: /Chrome 91.*Firefox 89.*Safari 16\.4/ });
  assert.equal(made.length, 0);
});

test("text streams, and ids in and out are typed arrays", async () => {
  const { lab } = await loaded();
  let streamed = "";
  const { text, ids } = await lab.generate("abc", { maxTokens: 4, onText: (part) => (streamed += part) });
  assert.equal(streamed, "abca");
  assert.equal(text, streamed);
  assert.deepEqual(ids, Uint32Array.of(97, 98, 99, 97));
  assert.equal(await lab.decode(await lab.encode("xyz")), "xyz");
  assert.deepEqual(await lab.logits([1, 2]), Float32Array.of(1, 2));
  await lab.dispose();
});
