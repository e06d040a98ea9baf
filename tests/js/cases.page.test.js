// Sequences on the page that once went wrong, each with what is right: over the double of the engine, and a few over the engine itself.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { LoraLab as NodeLab } from "../../www/node.js";
import { LoraLab } from "../../www/lora-lab.js";
import { decodeAdapter, encodeAdapter } from "../../www/lab/adapter-link.js";
import { choose, useText } from "../../www/lab/corpus.js";
import { watchDeltas } from "../../www/lab/inspection.js";
import { race, stopRace } from "../../www/lab/race.js";
import { Session } from "../../www/lab/session.js";
import { openShelf } from "../../www/lab/shelf.js";
import { speaker } from "../../www/lab/state.js";
import { act, reset, train } from "../../www/lab/training.js";
import { files, importFiles } from "../../www/lab/imports.js";
import { keep, use } from "../../www/lab/voices.js";
import { MODEL, told, workers } from "./fake.js";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const digest = ({ safetensors }) => createHash("sha256").update(safetensors).digest("hex");

function store(entries = new Map()) {
  const set = async (id, entry) => void entries.set(id, entry);
  return { entries: async () => [...entries], set, update: async (id, change) => set(id, change(entries.get(id))), del: async (id) => void entries.delete(id) };
}

const WWW = new URL("../../www/", import.meta.url);
const ENGINES = {
  "the double": {
    load: (options) => LoraLab.load({ ...options, model: MODEL, createWorker: workers().createWorker, saveEvery: -1 }),
    sample: async (id) => `the text of the sample ${id}`,
  },
  "the engine": {
    load: (options) => NodeLab.load({ ...options, model: new URL("models/tiny/", WWW) }),
    sample: async (id) => String(await readFile(new URL(`samples/${id}.txt`, WWW))),
  },
};

/** A session, opened, and what it dispatched. */
async function opened({ load, sample }, { settings = {}, sampleText = sample, onEvent } = {}) {
  const events = [];
  const session = new Session(
    { model: "unused", sampleText, load, openShelf: (_open, onChange) => openShelf(async () => store(), onChange) },
    (state, event) => {
      events.push(event);
      onEvent?.(session, event);
    },
  );
  session.set({ steps: 4, batchSize: 2, blockSize: 32, maxTokens: 5, workers: 1, ...settings });
  await session.open();
  return { session, events };
}

/** Pauses after that step. */
const pausingAt = (at) => (session, event) => {
  if (event.type === "step" && event.step.step === at) session.training.pause();
};
const busy = { code: "busy" };
const kept = ({ state }) => state.shelf.items[0].id;

/** The kept adapter has not changed, neither in the engine nor on the shelf. */
async function unchanged(session, id, was) {
  assert.equal(digest(await session.do(files, id)), was);
  const there = (await session.lab.adapters()).find(({ name }) => name === `shelf ${id}`);
  if (there) assert.equal(digest(await session.lab.exportAdapter(there.name)), was);
}

for (const [name, engine] of Object.entries(ENGINES)) {
  test(`over ${name}: a kept adapter is chosen and Train pressed soon after: the one at work is trained, or the press is refused`, async () => {
    for (const [imported, delay] of [[true, 0], [true, 3], [true, 15], [false, 0], [false, 8]]) {
      const { session } = await opened(engine);
      await session.do(train);
      await session.do(keep, "A");
      const id = kept(session);
      const was = digest(await session.do(files, id));
      await session.do(use, id);
      if (imported) await session.do(importFiles, async () => session.do(files, id));
      else await session.do(use, undefined);
      session.set({ seed: 9, steps: 6 });
      const using = session.do(use, id);
      await sleep(delay);
      const [used, trained] = await Promise.allSettled([using, session.do(train)]);
      assert.equal(used.status, "fulfilled");
      if (trained.status === "fulfilled") {
        const { phase, run, adapter, shelf } = session.state;
        assert.deepEqual([phase, run.step, run.settings.seed, adapter.source, shelf.using], ["done", 6, 9, "trained", undefined]);
        assert.notEqual(digest(await session.do(files, undefined)), was);
      } else {
        assert.equal(trained.reason.code, "busy");
      }
      assert.equal(session.state.problem, undefined);
      await unchanged(session, id, was);
      await session.close();
    }
  });

  test(`over ${name}: a text that is refused has changed nothing: the paused run goes on with its own`, async () => {
    const { session } = await opened(engine, { settings: { steps: 8 }, onEvent: pausingAt(5) });
    await session.do(train);
    assert.deepEqual([session.state.phase, session.state.run.step], ["paused", 5]);
    await session.do(useText, name === "the double" ? "" : "five words are not enough");
    await assert.rejects(session.do(train), { code: /^(too-short|text-empty)$/ });
    assert.deepEqual([session.state.phase, session.state.problem.place, await session.lab.isTraining()], ["paused", "train", true]);
    await session.do(choose, "pirate");
    await session.do(train);
    const { phase, run, problem } = session.state;
    assert.deepEqual([phase, run.points.step, problem], ["done", [0, 1, 2, 3, 4, 5, 6, 7, 8], undefined]);
    await session.close();
  });
}

const double = ENGINES["the double"];

test("Train while an adapter file is being read is refused, and the file takes its place afterwards", async () => {
  const { session } = await opened(double);
  await session.do(train);
  const read = await session.do(files, undefined);
  session.set({ seed: 5, steps: 30 });
  const importing = session.do(importFiles, async () => {
    await sleep(20);
    return read;
  });
  await assert.rejects(session.do(train), busy);
  assert.equal(session.state.adapter.source, "trained", "what was at work stays until the file is there");
  await importing;
  const { phase, run, adapter, problem } = session.state;
  assert.deepEqual([phase, run, adapter.source, problem], ["ready", undefined, "file", undefined]);
  assert.deepEqual((await session.do(files, undefined)).safetensors, read.safetensors);
  assert.equal((await session.lab.adapters()).length, 1);
  await session.close();
});

test("Resume pressed twice while a kept adapter speaks is one loop", async () => {
  const { session, events } = await opened(double, { settings: { steps: 40 }, onEvent: pausingAt(5) });
  await session.do(train);
  await session.do(keep, "A");
  await session.do(use, kept(session));
  events.length = 0;
  const first = session.do(train);
  assert.equal(session.state.busy.action, "train");
  await assert.rejects(session.do(train), busy);
  const pressed = act(session);
  await Promise.all([first, pressed]);
  // The second press of the main button may have paused; then the third continues.
  if (session.state.phase === "paused") await session.do(train);
  const count = (type) => events.filter((event) => event.type === type).length;
  assert.deepEqual([count("step"), count("finished")], [35, 1]);
  assert.deepEqual(session.state.run.points.step, [...Array(41).keys()]);
  assert.equal(session.state.shelf.using, undefined);
  await session.close();
});

test("the layers, and the one that is looked at, are those of the adapter that speaks", async () => {
  const { session } = await opened(double);
  await session.do(train);
  await session.do(keep, "A");
  session.set({ seed: 9, steps: 6 });
  await session.do(train);
  const end = watchDeltas(session);
  const norm = async (adapter) => (await session.lab.deltas({ adapter }))[0].norm;
  const shown = async () => {
    await sleep(20);
    const { looks } = session.state;
    return [looks.speaker, looks.layers[0]?.norm, looks.delta?.norm];
  };
  session.dispatch({ type: "inspected", layer: "h.0.attn.c_attn" });
  const atWork = await norm("at work 2");
  assert.deepEqual(await shown(), [speaker(session.state), atWork, atWork]);
  await session.do(use, kept(session));
  const ofKept = await norm(`shelf ${kept(session)}`);
  assert.notEqual(ofKept, atWork);
  assert.deepEqual(await shown(), [speaker(session.state), ofKept, ofKept]);
  assert.equal(session.state.problem, undefined);
  end();
  await session.close();
});

test("Forget while a kept adapter speaks: what speaks is what the state says; a name of spaces keeps nothing", async () => {
  const { session } = await opened(double);
  await session.do(train);
  await session.do(keep, "A");
  for (const nothing of ["   ", "", "\t\n"]) await assert.rejects(session.do(keep, nothing), { code: "name-empty" });
  assert.deepEqual(session.state.shelf.items.map(({ name }) => name), ["A"]);
  await session.do(use, kept(session));
  await session.do(reset);
  const { adapter, run, shelf, phase } = session.state;
  assert.deepEqual([adapter, run, shelf.using, phase, speaker(session.state)], [undefined, undefined, undefined, "ready", undefined]);
  assert.equal(session.state.after.text, "");
  assert.equal(session.state.answers.on, undefined);
  assert.deepEqual((await session.lab.adapters()).filter(({ name }) => !name.startsWith("shelf ")), []);
  await session.do(use, kept(session));
  assert.equal(session.state.after.text, told("Once upon a time", 5, await session.do(files, kept(session))));
  await session.close();
});

test("Train before the chosen sample has come is refused; a fetch that fails ends no phase", async () => {
  let fail = () => {};
  const { session } = await opened(double, { sampleText: (id) => (id === "robot" ? new Promise((_, reject) => (fail = reject)) : double.sample(id)), settings: { steps: 6 } });
  const choosing = session.do(choose, "robot");
  await assert.rejects(session.do(train), { code: "text-empty", message: /"robot"/ });
  assert.equal(session.state.run, undefined);
  fail(Object.assign(new Error("no network"), { code: "fetch" }));
  await assert.rejects(choosing, { code: "fetch" });
  assert.deepEqual([session.state.phase, session.state.problem.place], ["ready", "data"]);

  // The same for one that is chosen while steps are taken and then fails.
  await session.do(choose, "pirate");
  const phases = new Set();
  session.follow((state, event) => {
    if (event.type === "step" && event.step.step === 2) session.press(choose, "robot");
    if (event.type === "step" && event.step.step === 3) fail(Object.assign(new Error("no network"), { code: "fetch" }));
    if (event.type === "step") phases.add(state.phase);
  });
  await session.do(train);
  const { phase, run } = session.state;
  assert.deepEqual([[...phases], phase, run.step, run.sample, run.text], [["training"], "done", 6, "pirate", await double.sample("pirate")]);
  await session.close();
});

test("train() during a race rejects with busy, and race() during a training", async () => {
  const { session } = await opened(double, { settings: { steps: 1000 } });
  const racing = session.do(race, async () => "stories");
  await assert.rejects(session.do(train), busy);
  assert.deepEqual([session.state.phase, session.state.run, session.state.problem], ["ready", undefined, undefined]);
  stopRace(session);
  await racing;
  const training = session.do(train);
  await assert.rejects(session.do(race, async () => "stories"), busy);
  session.training.pause();
  await training;
  await session.close();
});

test("a link with an alpha that cannot be read is refused when it is made; one above 0 comes back", async () => {
  const { load } = ENGINES["the engine"];
  const lab = await load({ workers: 1 });
  const base = { layers: lab.info.layers, digest: await lab.baseDigest() };
  for (const alpha of [-1, 0.5]) {
    await lab.attach({ name: "a", rank: 1, alpha, targets: ["h.0.attn.c_proj"] });
    const made = await lab.exportAdapter("a");
    if (alpha < 0) assert.throws(() => encodeAdapter(made, base), { code: "unsupported", message: /alpha/ });
    else assert.equal(JSON.parse(decodeAdapter(encodeAdapter(made, base).text, base).config).lora_alpha, alpha);
    await lab.remove("a");
  }
  await lab.dispose();
});
