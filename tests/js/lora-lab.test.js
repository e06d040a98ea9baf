import assert from "node:assert/strict";
import { test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { FakeLab, MODEL, POISON, TRAP, fakeEngine, workers } from "./fake.js";

async function loaded(options = {}, loadEngine = fakeEngine) {
  const { made, createWorker } = workers(loadEngine);
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

test("what is refused leaves an earlier train() going; what is accepted ends it", async () => {
  const { lab } = await loaded();
  await lab.attach({ name: "a" });
  await lab.attach({ name: "b" });
  const first = lab.train({ text: "abc", adapter: "a" });
  await first.next();
  await assert.rejects(lab.train({ text: "abc", adapter: "missing" }).next(), { code: "no-adapter" });
  await assert.rejects(lab.beginTraining({ text: "", adapter: "a" }), { code: "too-short" });
  assert.equal((await first.next()).value.step, 2);
  // Both are called at the same moment: the step goes to the first one or to neither.
  const [, next] = await Promise.all([lab.beginTraining({ text: "abc", adapter: "b" }), first.next()]);
  assert.equal(next.done, true);
  assert.equal((await lab.exportAdapter("b")).safetensors[0], 0, "no step of another's run");
  // The same while a refusal is waited for.
  const third = lab.train({ text: "abc", adapter: "a" });
  await third.next();
  const refusal = assert.rejects(lab.beginTraining({ text: "", adapter: "a" }), { code: "too-short" });
  const waiting = third.next();
  await Promise.resolve();
  await Promise.all([lab.beginTraining({ text: "abc", adapter: "b" }), refusal]);
  assert.equal((await waiting).done, true);
  assert.equal((await lab.exportAdapter("b")).safetensors[0], 0, "no step of a run that came later");
  const second = lab.train({ adapter: "b" });
  assert.equal((await second.next()).value.step, 1);
  await lab.endTraining();
  assert.equal((await second.next()).done, true);
  assert.equal(await lab.isTraining(), false);
  assert.deepEqual((await Promise.all(["a", "b"].map((name) => lab.exportAdapter(name)))).map(({ safetensors }) => safetensors[0]), [3, 1]);
  await lab.dispose();
});

test("train() without a text goes on with the run's own settings and adapter, or refuses", async () => {
  const { lab } = await loaded();
  await lab.attach({ name: "a" });
  await assert.rejects(lab.train().next(), { code: "order" });
  await lab.beginTraining({ text: "abc", steps: 3 });
  await lab.attach({ name: "b" });
  await assert.rejects(lab.train({ steps: 5 }).next(), { code: "config", message: /steps/ });
  await assert.rejects(lab.train({ adapter: "b" }).next(), { code: "config", message: /adapter is "b".*"a"/ });
  await assert.rejects(lab.beginTraining({ text: "abc", ids: [1] }), { code: "config", message: /ids/ });
  assert.equal((await lab.train({ adapter: "a", steps: undefined }).next()).value.step, 1);
  await assert.rejects(lab.remove("a"), { code: "in-use" });
  await lab.dispose();
});

test("a death rejects the request, and the next one finds the last saved state", async () => {
  const restarts = [];
  const { lab, made } = await loaded({ saveEvery: -1, onRestart: ({ code }, lost) => restarts.push([code, lost]) });
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
  assert.deepEqual(restarts, [["worker-died", { adapters: [] }]], "nothing is lost");
  const restored = made[1].received.find(({ method }) => method === "restore");
  assert.equal(restored.args[0].defaults.strength, 0.5);
  assert.deepEqual(await lab.resume(await lab.saveState()), { adapter: "mine", step: 2, steps: 10 });
  await lab.dispose();
});

test("several adapters, names and the merge survive a death", async () => {
  const { lab } = await loaded();
  await lab.attach({ name: "a" });
  await lab.attach({ name: "b" });
  await lab.rename("a", "c");
  await lab.select("c");
  await lab.merge({ adapter: "b" });
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  const names = (await lab.adapters()).map(({ name, active }) => `${name} ${active}`);
  assert.deepEqual(names.sort(), ["b false", "c true"]);
  assert.equal(await lab.isMerged(), true);
  await assert.rejects(lab.generate("abc", { adapter: "c" }), { code: "merged" });
  assert.equal((await lab.generate("abc", { adapter: "b", maxTokens: 3 })).text, "abc");
  await lab.dispose();
});

test("a saved run that kills is given up, the adapters are not", async () => {
  const losses = [];
  const { lab, made } = await loaded({ onRestart: (_, lost) => losses.push(lost) });
  await lab.attach();
  await lab.beginTraining({ text: POISON });
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  assert.equal(await lab.isTraining(), false);
  assert.equal((await lab.adapters()).length, 1);
  assert.equal(made.length, 3);
  assert.deepEqual(losses, [{ run: "default", step: 0, adapters: [] }]);
  await lab.beginTraining({ text: POISON });
  await assert.rejects(lab.reload({ workers: 2 }), { code: "lost", message: /the training of "default"/, lost: { run: "default", step: 0, adapters: [] } });
  assert.deepEqual([await lab.isTraining(), (await lab.adapters()).length, lab.workers, losses.length], [false, 1, 2, 1], "it goes on without");
  await lab.reload();
  await lab.dispose();
});

test("adapters that cannot be restored are named, and so is the run that went with them", async () => {
  const losses = [];
  class Forgetful extends FakeLab {
    restore() {
      throw Object.assign(new Error("no"), { code: "format" });
    }
  }
  const { lab } = await loaded({ onRestart: (_, lost) => losses.push(lost) }, async () => ({ ...(await fakeEngine()), Lab: Forgetful }));
  await lab.attach({ name: "a" });
  await lab.attach({ name: "b" });
  await lab.beginTraining({ text: "abc", adapter: "a" });
  await assert.rejects(lab.generate(TRAP), { code: "worker-died" });
  assert.deepEqual(await lab.adapters(), []);
  assert.deepEqual(losses, [{ run: "a", adapters: ["a", "b"] }]);
  await lab.attach({ name: "c" });
  await assert.rejects(lab.reload(), { code: "lost", message: /"c"/, lost: { adapters: ["c"] } });
  await lab.dispose();
});

/** An engine that cannot be loaded while `state.gone` is set, as when offline. */
function flaky(state) {
  return async () => {
    if (state.gone) throw state.gone;
    return fakeEngine();
  };
}

test("a worker that cannot be replaced fails the requests that wait for it; a later one tries again and finds everything", async () => {
  const [state, losses] = [{}, []];
  const { lab } = await loaded({ onRestart: (_, lost) => losses.push(lost) }, flaky(state));
  await lab.attach({ name: "a" });
  let at = 3;
  for await (const { step } of lab.train({ text: "abc", steps: 9 })) if (step === at) break;
  await lab.memory();
  for (const gone of [new Error("gone"), new WebAssembly.RuntimeError("unreachable")]) {
    state.gone = gone;
    const results = await Promise.allSettled([lab.generate(TRAP), lab.memory(), lab.encode("abc"), lab.train().next()]);
    assert.deepEqual(results.map(({ reason }) => reason.code), Array(4).fill("worker-died"));
    await assert.rejects(lab.memory(), { code: "worker-died", message: gone instanceof WebAssembly.RuntimeError ? /unreachable/ : /^(?!.*replaced.*replaced).*and it could not be replaced: gone$/ });
    await assert.rejects(lab.memory(), { code: "worker-died" });
    state.gone = undefined;
    for await (const { step } of lab.train()) {
      assert.equal(step, at += 1, "not a step is lost");
      break;
    }
    await lab.memory();
  }
  assert.deepEqual(losses, [{ adapters: [] }, { adapters: [] }]);
  await lab.dispose();
});

test("a reload that fails is made good by the next one, or by any call", async () => {
  const state = {};
  const { lab } = await loaded({}, flaky(state));
  await lab.attach({ name: "a", seed: 5 });
  for (const next of [() => lab.reload({ workers: 3 }), () => lab.memory()]) {
    state.gone = new Error("gone");
    await assert.rejects(lab.reload({ workers: 2 }), { code: "worker-died", message: /gone/ });
    await assert.rejects(Promise.all([lab.reload({ workers: 2 }), lab.memory()]), { code: "worker-died" });
    state.gone = undefined;
    await next();
    assert.equal((await lab.exportAdapter("a")).safetensors[1], 5);
  }
  await lab.dispose();
});

test("whatever happens while another worker starts, no promise stays open", async () => {
  for (const death of ["none, it is silent", "error"]) {
    const { made, createWorker } = workers();
    const later = [];
    const lab = await LoraLab.load({
      model: MODEL,
      workers: 1,
      createWorker: () => {
        if (!made.length) return createWorker();
        const silent = { postMessage() {}, terminate() { this.terminated = true; }, onmessage: null, onerror: null, onmessageerror: null };
        later.push(silent);
        return silent;
      },
    });
    await lab.attach();
    const pending = [lab.generate(TRAP), lab.memory()];
    await assert.rejects(pending[0], { code: "worker-died" });
    pending.push(lab.reload(), lab.memory());
    const settled = Promise.allSettled(pending);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(later.length, 1);
    if (death === "error") {
      // Each one that starts dies at once.
      const dying = setInterval(() => later.at(-1).onerror?.({ message: "boom" }), 1);
      assert.deepEqual((await settled).map(({ reason }) => reason?.code), Array(4).fill("worker-died"));
      clearInterval(dying);
    }
    await lab.dispose();
    assert.ok((await settled).every(({ reason }) => ["worker-died", "disposed"].includes(reason?.code)), death);
    assert.ok(later.every(({ terminated }) => terminated), "none is left");
    await assert.rejects(lab.memory(), { code: "disposed" });
  }
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
