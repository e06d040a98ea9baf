// LoRA compared with full fine-tuning: the pure state, and the two engines, over the double.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { median, raced } from "../../www/lab/race-reducer.js";
import { NO_RACE } from "../../www/lab/race-state.js";
import { can } from "../../www/lab/actions.js";
import { useText } from "../../www/lab/corpus.js";
import { race, stopRace } from "../../www/lab/race.js";
import { Session } from "../../www/lab/session.js";
import { reduce } from "../../www/lab/reducer.js";
import { INITIAL, isRaceOutdated } from "../../www/lab/state.js";
import { step as takeStep } from "../../www/lab/training.js";
import { files } from "../../www/lab/imports.js";
import { MODEL, TRAP, workers } from "./fake.js";

const footprint = { trainable: 1, gradientBytes: 4, optimizerBytes: 8, wasmBytes: 65536 };
const measured = (heldOut, stories) => ({ footprint, heldOut, stories });
const step = (number, loss, heldOutLoss) => ({ step: number, loss, heldOutLoss, tokens: 100, tokensPerSecond: 50 * number });
const READY = [
  { type: "begun", settings: { ...INITIAL.settings, steps: 2 }, text: "abc" },
  { type: "ready", measured: { lora: measured(5, 2), full: measured(5, 2) } },
];
const after = (...events) => events.reduce((race, event) => Object.freeze(raced(race, event)), NO_RACE);

test("a step of both is a point of each curve and a time of each", () => {
  const race = after(...READY, { type: "step", steps: { lora: step(1, 4), full: step(1, 3) } }, { type: "step", steps: { lora: step(2, 3.5, 3), full: step(2, 2.5, 4) } });
  assert.deepEqual(race.points, { step: [0, 1, 2], loraLoss: [null, 4, 3.5], loraHeldOut: [5, null, 3], fullLoss: [null, 3, 2.5], fullHeldOut: [5, null, 4] });
  assert.deepEqual([race.racers.lora.seconds, race.racers.lora.now.heldOut, race.racers.full.now.heldOut], [[2, 1], 3, 4]);
  assert.equal(race.racers.full.before.heldOut, 5);
});

test("it is done when both have taken every step and the stories are read again; else it was stopped", () => {
  const [first, second] = [1, 2].map((number) => ({ type: "step", steps: { lora: step(number, 4), full: step(number, 3) } }));
  const judged = { type: "judged", measured: { lora: measured(4, 2.5), full: measured(3, 6) } };
  const done = after(...READY, first, second, { type: "judging" }, judged, { type: "ended" });
  assert.deepEqual([done.phase, done.racers.lora.now.stories, done.racers.full.before.stories, done.racers.full.now.stories], ["done", 2.5, 2, 6]);
  assert.equal(after(...READY, first, judged, { type: "ended" }).phase, "stopped");
  assert.equal(after(...READY, first, second, { type: "ended" }).phase, "stopped", "the stories were not read again");
  assert.equal(after(READY[0], { type: "ended" }), NO_RACE, "given up before anything was measured");
});

test("a race that fails leaves the page's own training alone", () => {
  const problem = { place: "efficient", code: "race-died", message: "no" };
  const state = reduce({ ...INITIAL, phase: "training" }, { type: "failed", problem });
  assert.deepEqual([state.phase, state.problem], ["training", problem]);
  assert.equal(reduce(state, { type: "race", race: after(READY[0]) }).problem, undefined);
  assert.equal(reduce(state, { type: "race", race: after(...READY) }).problem, problem, "told before, it stays");
});

test("the median is the middle, or the mean of two", () => {
  assert.deepEqual([median([]), median([3]), median([9, 1, 2]), median([10, 1, 2, 4])], [undefined, 3, 2, 3]);
});

/** A session over the double, opened; its workers, and those of the race after it. */
async function opened(settings = {}) {
  const { made, createWorker } = workers();
  const session = new Session(
    {
      model: "unused",
      sampleText: async (id) => `the text of ${id}`,
      load: (options) => LoraLab.load({ workers: 1, ...options, model: MODEL, createWorker }),
    },
    () => {},
  );
  session.set({ steps: 5, maxTokens: 8, workers: 1, ...settings });
  await session.open();
  return { session, made };
}

const stories = async () => "stories";
const until = async (session, condition) => {
  for (let turn = 0; !condition(session.state); turn++) {
    assert.ok(turn < 2000, `waited in vain: ${JSON.stringify(session.state.race.phase)}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
};

test("two engines of their own take every step with the page's settings, and end; the reader's is untouched", async () => {
  const { session, made } = await opened();
  await session.press(takeStep);
  const own = await session.do(files, undefined);
  await session.press(race, stories);
  const { race: told, run, phase } = session.state;
  assert.equal(told.phase, "done");
  assert.deepEqual(told.points.step, [0, 1, 2, 3, 4, 5]);
  assert.equal(told.racers.lora.seconds.length, 5);
  assert.deepEqual([told.racers.lora.now.footprint.trainable, told.racers.full.now.footprint.trainable], [128, 3]);
  assert.deepEqual([told.racers.full.before.stories, told.racers.full.now.stories], [7, 12]);
  assert.equal(made.length, 3);
  assert.deepEqual(made.map(({ terminated }) => terminated), [false, true, true]);
  const began = made.map(({ received }) => received.find(({ method }) => method === "beginTraining").args);
  const isFull = ({ received }) => received.find(({ method }) => method === "load").args[1].full;
  const [lora, full] = isFull(made[1]) ? [began[2], began[1]] : [began[1], began[2]];
  assert.deepEqual(made.slice(1).map(isFull).sort(), [false, true]);
  // The page names the adapter that it trains.
  const [text, trained] = began[0];
  assert.deepEqual(lora.slice(0, 2), [text, trained], "the page's text and settings");
  assert.deepEqual(full.slice(0, 2), [text, { ...trained, learningRate: session.state.settings.fullLearningRate }], "but for the rate the same");
  assert.deepEqual([phase, run.step], ["paused", 1]);
  assert.deepEqual(await session.do(files, undefined), own);
  assert.equal(isRaceOutdated(session.state), false);
  for (const changed of [{ rank: 3 }, { fullLearningRate: 0.01 }]) {
    session.set({ ...told.settings, ...changed });
    assert.equal(isRaceOutdated(session.state), true);
  }
  await session.close();
});

test("stopped, both are measured where they stand, and end", async () => {
  const { session, made } = await opened({ steps: 1000 });
  const racing = session.press(race, stories);
  await until(session, ({ race }) => race.step >= 3);
  assert.equal(can(race, session.state), false, "one at a time");
  stopRace(session);
  await racing;
  const { race: told, problem } = session.state;
  assert.deepEqual([told.phase, told.judged, problem], ["stopped", true, undefined]);
  assert.equal(told.racers.full.now.stories, 7 + told.step);
  assert.ok(told.step < 1000);
  assert.deepEqual(made.map(({ terminated }) => terminated), [false, true, true]);
  await session.close();
});

test("stopped while the engines start, nothing is left of it", async () => {
  const { session, made } = await opened();
  const racing = session.press(race, stories);
  stopRace(session);
  await racing;
  assert.equal(session.state.race, NO_RACE);
  assert.equal(session.state.problem, undefined);
  assert.deepEqual(made.slice(1).filter(({ terminated }) => !terminated), []);
  await session.close();
});

test("an engine that crashes ends the race, is told, and the page's own goes on", async () => {
  const { session, made } = await opened();
  session.press(useText, TRAP);
  await session.press(race, stories);
  assert.deepEqual([session.state.problem.place, session.state.problem.code], ["efficient", "race-died"]);
  assert.equal(session.state.race.phase, "stopped");
  assert.equal(session.state.race.step, 2);
  // Also the worker that was about to take the dead one's place.
  await until(session, () => made.slice(1).every(({ terminated }) => terminated));
  assert.equal(made[0].terminated, false);
  await session.press(race, async () => { throw Object.assign(new Error("base.txt: 404"), { code: "fetch" }); });
  assert.deepEqual([session.state.problem.code, session.state.race.phase], ["fetch", "none"]);
  await session.close();
});

test("closing the page ends both engines without a word", async () => {
  const { session, made } = await opened({ steps: 1000 });
  const racing = session.press(race, stories);
  await until(session, ({ race }) => race.step >= 2);
  await session.close();
  await racing;
  assert.equal(session.state.problem, undefined);
  assert.ok(made.every(({ terminated }) => terminated));
});
