import assert from "node:assert/strict";
import { test } from "node:test";
import { readAdapter, readText } from "../../www/lab/files.js";
import { LoraLab } from "../../www/lora-lab.js";
import { useText } from "../../www/lab/corpus.js";
import { Session } from "../../www/lab/session.js";
import { compare } from "../../www/lab/texts.js";
import { act, reset, step } from "../../www/lab/training.js";
import { files, importFiles } from "../../www/lab/imports.js";
import { MODEL, TRAP, workers } from "./fake.js";

/** A session over the double, opened; everything it dispatched. */
async function opened(settings = {}) {
  const { createWorker } = workers();
  const events = [];
  const session = new Session(
    {
      model: "unused",
      sampleText: async (id) => `the text of ${id}`,
      load: (options) => LoraLab.load({ ...options, model: MODEL, createWorker, workers: 1, saveEvery: -1 }),
    },
    (_state, event) => events.push(event),
  );
  session.set({ steps: 5, maxTokens: 8, ...settings });
  await session.open();
  return { session, events };
}

const until = async (session, condition) => {
  for (let turn = 0; !condition(session.state); turn++) {
    assert.ok(turn < 2000, `waited in vain: ${JSON.stringify(session.state.phase)}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
};

test("opening loads, takes the sample, writes the base's text and computes the digest", async () => {
  const { session } = await opened();
  const { phase, corpus, before, after, digest } = session.state;
  assert.equal(phase, "ready");
  assert.equal(corpus.text, "the text of pirate");
  assert.equal(before.text, "Once upo");
  assert.equal(after.text, "");
  assert.equal(digest.first, "123");
  await session.close();
});

test("training runs to its last step, then writes the other text and checks the digest again", async () => {
  const { session } = await opened();
  await act(session);
  const { phase, run, before, after, digest, adapter } = session.state;
  assert.equal(phase, "done");
  assert.deepEqual(run.points.step, [0, 1, 2, 3, 4, 5]);
  assert.equal(after.text.length, before.text.length);
  assert.notEqual(after.text, before.text, "the adapter says something else");
  assert.deepEqual(after.speaker, { key: "at work 1", source: "trained", name: "", step: 5 });
  assert.equal(digest.checks, 2);
  assert.equal(adapter.source, "trained");
  await session.close();
});

test("pause acts before the next step, and going on takes up where it stood", async () => {
  const { session } = await opened({ steps: 1000 });
  const training = act(session);
  await until(session, ({ run }) => run?.step >= 3);
  act(session);
  const at = session.state.run.step;
  await training;
  assert.equal(session.state.phase, "paused");
  assert.ok(session.state.run.step <= at + 1);
  const stood = session.state.run.step;
  await session.press(step);
  assert.equal(session.state.run.step, stood + 1);
  const going = act(session);
  await until(session, ({ run }) => run.step >= stood + 3);
  session.training.pause();
  await going;
  const { points } = session.state.run;
  assert.deepEqual(points.step, points.step.map((_, index) => index), "no step is missing or double");
  await session.close();
});

test("changed settings begin anew; reset forgets", async () => {
  const { session } = await opened();
  await session.press(step);
  await session.press(step);
  assert.equal(session.state.run.step, 2);
  session.set({ rank: 4 });
  await session.press(step);
  assert.equal(session.state.run.step, 1);
  assert.deepEqual((await session.lab.adapters()).map(({ name }) => name), ["at work 2"]);
  await session.press(reset);
  assert.equal(session.state.run, undefined);
  assert.deepEqual(await session.lab.adapters(), []);
  await session.close();
});

test("a crash is told where it happened, and the reader goes on from the last saved step", async () => {
  const { session } = await opened();
  session.press(useText, TRAP);
  await act(session);
  assert.equal(session.state.phase, "paused");
  assert.deepEqual([session.state.problem?.place, session.state.problem?.code], ["train", "worker-died"]);
  assert.equal(session.state.run.step, 2);
  assert.deepEqual((await session.lab.adapters()).map(({ name }) => name), ["at work 1"]);
  session.set({ prompt: TRAP });
  await session.press(compare);
  assert.deepEqual([session.state.problem?.place, session.state.problem?.code], ["compare", "worker-died"]);
  session.set({ prompt: "fine" });
  await session.press(compare);
  assert.equal(session.state.before.text, "finefine");
  assert.equal(session.state.problem, undefined);
  await session.close();
});

test("an adapter that cannot be used leaves the old one in place", async () => {
  const { session } = await opened();
  await session.press(step);
  const before = await session.do(files, undefined);
  await session.press(importFiles, async () => ({ safetensors: Uint8Array.of(9), config: "not json" }));
  assert.equal(session.state.problem.place, "adapter");
  assert.deepEqual(await session.do(files, undefined), before);
  assert.equal(session.state.run.step, 1, "the run is still there");
  await session.press(importFiles, async () => ({ safetensors: Uint8Array.of(9), config: "{}" }));
  assert.equal(session.state.adapter.source, "file");
  assert.equal((await session.do(files, undefined)).safetensors[0], 9);
  await session.close();
});

test("of two comparisons at once the later one is written, and the texts do not mix", async () => {
  const { session } = await opened({ maxTokens: 200 });
  session.set({ prompt: "aaaa" });
  const first = session.press(compare);
  session.set({ prompt: "bbbb" });
  await Promise.all([first, session.press(compare)]);
  assert.equal(session.state.before.text, "b".repeat(200));
  await session.close();
});

test("what is written already for the same settings is not written again", async () => {
  const { session, events } = await opened();
  const written = () => events.filter(({ type }) => type === "writing").length;
  const before = written();
  await session.press(compare);
  assert.equal(written(), before);
  session.set({ textSeed: 2 });
  await session.press(compare);
  assert.equal(written(), before + 1);
  await session.close();
});

test("a model that cannot be loaded breaks the page with its reason", async () => {
  const session = new Session({ model: "x", sampleText: async () => "", load: async () => { throw Object.assign(new Error("no"), { code: "no-simd" }); } }, () => {});
  await session.open();
  assert.equal(session.state.phase, "broken");
  assert.deepEqual(session.state.problem, { place: "page", code: "no-simd", message: "no" });
});

test("closing in mid-training leaves no error behind", async () => {
  const { session, events } = await opened({ steps: 1000 });
  const training = act(session);
  await until(session, ({ run }) => run?.step >= 2);
  await session.close();
  await training;
  assert.deepEqual(events.filter(({ type }) => type === "failed"), []);
});

test("files are taken for what is in them", async () => {
  const file = (name, ...parts) => new File(parts, name);
  assert.equal(await readText(file("a.txt", "Hällo\r\nyou\r")), "Hällo\nyou\n");
  await assert.rejects(readText(file("a.txt", Uint8Array.of(65, 0, 66))), { code: "text-binary", message: /a\.txt: byte 1/ });
  await assert.rejects(readText(file("a.txt", Uint8Array.of(0xff, 0xfe, 0x41))), { code: "text-binary" });
  await assert.rejects(readText(file("a.txt", " \n")), { code: "text-empty" });
  await assert.rejects(readText(file("a.txt", new Uint8Array(1_000_001).fill(65))), { code: "text-large" });
  const [weights, config] = [file("adapter_model.safetensors", Uint8Array.of(1)), file("adapter_config.json", "{}")];
  for (const files of [[weights, config], [config, weights]]) {
    assert.deepEqual(await readAdapter(files), { safetensors: Uint8Array.of(1), config: "{}" });
  }
  for (const files of [[weights], [config, config], [weights, config, config], [file("photo.png", "x"), config]]) {
    await assert.rejects(readAdapter(files), { code: "adapter-files", message: /expected adapter_model\.safetensors and adapter_config\.json/ });
  }
});
