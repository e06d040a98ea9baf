import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_RACE } from "../../www/lab/race-state.js";
import { DEFAULTS } from "../../www/lab/settings.js";
import { reduce } from "../../www/lab/reducer.js";
import { INITIAL, canGoOn, isRunOutdated, mainAction, secondsLeft, speaker, voice } from "../../www/lab/state.js";

const info = { parameters: 100, layers: [] };
const corpus = { tokens: 100, trainTokens: 90, heldOutTokens: 10 };
const adapter = { name: "default", bytes: 4, trainable: 1, rank: 8 };
const settings = { ...DEFAULTS, steps: 3 };

const loaded = [{ type: "loading" }, { type: "loaded", info, lanes: "simd128", baseBytes: 400 }, { type: "settings", settings }];
const withText = [...loaded, { type: "corpus", id: "pirate", text: "Arr", name: "" }];
const begun = [...withText, { type: "starting" }, { type: "begun", settings, sample: "pirate", text: "Arr", corpus, heldOut: 4, adapter }, { type: "training" }];
const step = (number, heldOutLoss) => ({
  type: "step",
  seconds: 0.1,
  step: { step: number, loss: 5 - number, heldOutLoss, learningRate: 1, gradNorm: 1, tokens: 512, tokensPerSecond: 1000, done: number === 3 },
});

/** Frozen all through: a reducer that changes what it was given throws. */
function frozen(value) {
  if (value && typeof value === "object") Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}
const after = (...events) => events.reduce((state, event) => frozen(reduce(state, frozen(event))), frozen(structuredClone(INITIAL)));

test("the big button says what it will do", () => {
  assert.equal(mainAction(after()), "none");
  assert.equal(mainAction(after(...loaded)), "none", "no text yet");
  assert.equal(mainAction(after(...withText)), "train");
  const race = { type: "race", race: { ...NO_RACE, phase: "training" } };
  assert.equal(mainAction(after(...withText, race)), "none", "while both are trained further down");
  assert.equal(mainAction(after(...withText, race, { type: "race", race: NO_RACE })), "train");
  assert.equal(mainAction(after(...begun)), "pause");
  assert.equal(mainAction(after(...begun, step(1), { type: "paused" })), "resume");
  assert.equal(mainAction(after(...begun, step(1), step(2), step(3), { type: "finished" })), "again");
});

test("a paused run goes on only with the settings and the text it was begun with", () => {
  const paused = [...begun, step(1), { type: "paused" }];
  assert.ok(canGoOn(after(...paused)));
  assert.ok(canGoOn(after(...paused, { type: "settings", settings: { prompt: "Once", temperature: 0, strength: 2 } })), "these shape no training");
  for (const changed of [{ rank: 4 }, { seed: 9 }, { targets: ["c_attn"] }, { learningRate: 0.1 }]) {
    const state = after(...paused, { type: "settings", settings: changed });
    assert.ok(!canGoOn(state));
    assert.ok(isRunOutdated(state) && !isRunOutdated(after(...paused)));
    assert.equal(mainAction(state), "again");
  }
  assert.ok(!canGoOn(after(...paused, { type: "corpus", id: "own", text: "other", name: "" })));
});

test("the curve has the loss before training and one point for each step", () => {
  const { run } = after(...begun, step(1), step(2, 3), step(3));
  assert.deepEqual(run.points, { step: [0, 1, 2, 3], loss: [null, 4, 3, 2], heldOut: [4, null, 3, null] });
  assert.equal(run.firstHeldOut, 4);
  assert.equal(run.heldOut, 3);
});

test("a run that was restored to an earlier step redraws from there", () => {
  const { run, adapter } = after(...begun, step(1), step(2, 3), step(3), { type: "stands", step: 1 });
  assert.deepEqual([run.step, run.points.step, run.points.heldOut, run.log.length, run.heldOut, adapter.step], [1, [0, 1], [4, null], 1, 4, 1]);
  const { run: redrawn } = after(...begun, step(1), step(2, 3), step(3), { type: "stands", step: 1 }, step(2));
  assert.deepEqual([redrawn.points.step, redrawn.points.heldOut], [[0, 1, 2], [4, null, null]]);
  const over = after(...begun, step(1), step(2), step(3), { type: "finished" }, { type: "stands", step: 1 });
  assert.equal(over.phase, "paused", "there are steps to take again");
});

test("the time left is that of the steps left", () => {
  assert.equal(secondsLeft(after(...begun)), undefined);
  assert.ok(Math.abs(secondsLeft(after(...begun, step(1))) - 0.2) < 1e-9);
});

test("a problem changes no phase but that of a page which cannot be loaded: it is the loop's to say that it has stopped", () => {
  const problem = (place) => ({ type: "failed", problem: { place, code: "x", message: "y" } });
  for (const place of ["data", "train", "compare", "proof", "adapter", "inside", "tokens", "efficient", "further"]) {
    assert.equal(after(...begun, step(1), problem(place)).phase, "training");
  }
  assert.equal(after(...begun, step(1), { type: "paused" }, problem("train")).phase, "paused");
  assert.equal(after(...withText, { type: "starting" }, { type: "paused" }, problem("train")).phase, "ready");
  assert.equal(after(...begun, step(3), { type: "finished" }, { type: "starting" }, { type: "paused" }).phase, "done", "another one was refused");
  assert.equal(after({ type: "loading" }, problem("page")).phase, "broken");
  const training = after(...begun, problem("adapter"));
  assert.equal(training.problem.place, "adapter");
  assert.equal(after(...withText, problem("data"), { type: "corpus", id: "own", text: "a", name: "" }).problem, undefined, "a good text mends it");
  assert.equal(after(...withText, problem("data"), { type: "dismissed" }).problem, undefined);
});

test("a text that was cut short stands for no settings", () => {
  const writing = [...withText, { type: "writing", side: "before", key: "k", prompt: "p" }, { type: "text", side: "before", text: "a" }, { type: "text", side: "before", text: "b" }];
  assert.deepEqual(after(...writing, { type: "written", side: "before", whole: true }).before, { prompt: "p", text: "ab", writing: false, key: "k", speaker: undefined });
  assert.equal(after(...writing, { type: "written", side: "before", whole: false }).before.key, "");
});

test("the first digest and the first answer are kept beside the latest", () => {
  const answer = (id) => ({ ids: [id], text: String(id) });
  const digest = (digest, id) => ({ type: "digest", digest, memory: 1, off: answer(id), on: undefined });
  const state = after({ type: "checking" }, digest("a", 1), digest("a", 2), digest("b", 3));
  assert.deepEqual(state.digest, { first: "a", now: "b", checks: 3, checking: false });
  assert.deepEqual(state.answers, { base: answer(1), off: answer(3), on: undefined, speaker: undefined });
});

test("one adapter speaks: the kept one that was chosen, until another is trained, brought in, or it leaves the shelf", () => {
  const kept = (id) => ({ id, name: id, sample: "", base: "", kept: 0, bytes: 1, trainable: 1, rank: 2 });
  const shelf = [...begun, step(1), { type: "paused" }, { type: "shelved", items: [kept("x"), kept("y")], durable: true }];
  assert.deepEqual(voice(after(...shelf)), after(...shelf).adapter, "keeping changes nothing yet");
  const using = [...shelf, { type: "linked", link: { text: "t", bits: 8, numbers: 1, room: 1 } }, { type: "used", id: "y" }];
  assert.equal(voice(after(...using)).name, "y");
  assert.equal(after(...using).link, undefined, "the link held another one");
  assert.equal(after(...using).run.step, 1, "the run waits");
  for (const event of [{ type: "used", id: undefined }, { type: "shelved", items: [kept("x")], durable: true }, { type: "imported", source: "file", adapter }, { type: "begun", settings, sample: "pirate", text: "Arr", corpus, heldOut: 4, adapter }]) {
    assert.equal(voice(after(...using, event)).source, event.source ?? "trained", event.type);
  }
  assert.equal(voice(after(...using, { type: "reset" })), undefined);
});

test("reset and import leave nothing of the old run", () => {
  for (const event of [{ type: "reset" }, { type: "imported", source: "file", adapter }]) {
    const state = after(...begun, step(1), { type: "paused" }, event);
    assert.equal(state.run, undefined);
    assert.equal(state.phase, "ready");
    assert.equal(state.after.text, "");
  }
});

test("what has happened is told each by itself, also when it comes at once; a text amid training is no news", () => {
  const kept = { id: "a", name: "Salt", sample: "", base: "", kept: 0, bytes: 0, trainable: 0, rank: 1 };
  const after = (...events) => events.reduce(reduce, { ...INITIAL, phase: "done" });
  const state = after({ type: "shelved", items: [kept], durable: true, news: { key: "news.kept", values: { name: "Salt" } } }, { type: "used", id: "a" }, { type: "written", side: "after", whole: true });
  assert.deepEqual(state.news.map(({ key }) => key), ["news.kept", "news.used", "news.after"]);
  assert.equal(state.news[1].values.name, "Salt");
  assert.deepEqual(after({ type: "written", side: "before", whole: true }, { type: "written", side: "before", whole: true }).news.map(({ key }) => key), ["news.before", "news.before"]);
  assert.deepEqual(reduce({ ...INITIAL, phase: "training" }, { type: "written", side: "after", whole: true }).news, []);
  assert.deepEqual(after({ type: "written", side: "after", whole: false }).news, []);
});

test("whose a text is stays with it; another adapter at work is another speaker, and so is each kept one", () => {
  const trained = after(...begun, step(1), { type: "paused" });
  assert.deepEqual(speaker(trained), { key: "at work 1", source: "trained", name: "", step: 1 });
  assert.equal(speaker(after(...begun, { type: "imported", source: "link", adapter })).key, "at work 2");
  const items = [{ id: "x", name: "Salt", sample: "", base: "", kept: 0, bytes: 1, trainable: 1, rank: 2 }];
  const using = [...begun, step(1), { type: "paused" }, { type: "shelved", items, durable: true }, { type: "used", id: "x" }];
  assert.deepEqual(speaker(after(...using)), { key: "kept x", source: "kept", name: "Salt", step: 0 });
  const answer = { ids: [1], text: "1" };
  const told = [...using, { type: "digest", digest: "a", memory: 1, off: answer, on: answer, speaker: speaker(after(...using)) }];
  assert.equal(after(...told).answers.speaker.name, "Salt");
  for (const event of [{ type: "used", id: undefined }, { type: "reset" }, { type: "shelved", items: [], durable: true }]) {
    assert.deepEqual([after(...told, event).answers.on, after(...told, event).answers.speaker], [undefined, undefined], "it is not shown as another one's");
  }
});

test("of a training that the engine has lost the curve stays, of an adapter nothing", () => {
  const paused = [...begun, step(1), { type: "paused" }];
  const run = after(...paused, { type: "lost", adapter: false });
  assert.deepEqual([run.run.step, run.phase, canGoOn(run), mainAction(run), voice(run).source], [1, "paused", false, "again", "trained"]);
  const adapterless = after(...paused, { type: "lost", adapter: true });
  assert.deepEqual([adapterless.run, adapterless.phase, voice(adapterless)], [undefined, "ready", undefined]);
});

test("training waits for the text of the sample that was chosen last", () => {
  const chosen = [...withText, { type: "settings", settings: { sample: "robot" } }];
  assert.equal(mainAction(after(...chosen)), "none");
  assert.equal(mainAction(after(...chosen, { type: "corpus", id: "robot", text: "I am", name: "" })), "train");
});
