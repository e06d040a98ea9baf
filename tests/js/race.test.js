// LoRA beside full fine-tuning: the pure state, and the two engines, over the double.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { NO_RACE, raced } from "../../www/lab/race.js";
import { canRace, isOutdated, median, startRace, stopRace } from "../../www/lab/racing.js";
import { Session } from "../../www/lab/session.js";
import { INITIAL, reduce } from "../../www/lab/state.js";
import { MODEL, TRAP, workers } from "./fake.js";

const footprint = { trainable: 1, gradientBytes: 4, optimizerBytes: 8, wasmBytes: 65536 };
const measured = (heldOut, stories) => ({ footprint, heldOut, stories });
const step = (number, loss, heldOutLoss) => ({ step: number, loss, heldOutLoss, tokens: 100, tokensPerSecond: 50 * number });
const READY = [
  { type: "race", settings: { ...INITIAL.settings, steps: 2 }, text: "abc" },
  { type: "race-ready", measured: { lora: measured(5, 2), full: measured(5, 2) } },
];
const after = (...events) => events.reduce((race, event) => Object.freeze(raced(race, event)), NO_RACE);

test("a step of both is a point of each curve and a time of each", () => {
  const race = after(...READY, { type: "race-step", steps: { lora: step(1, 4), full: step(1, 3) } }, { type: "race-step", steps: { lora: step(2, 3.5, 3), full: step(2, 2.5, 4) } });
  assert.deepEqual(race.points, { step: [0, 1, 2], loraLoss: [null, 4, 3.5], loraHeldOut: [5, null, 3], fullLoss: [null, 3, 2.5], fullHeldOut: [5, null, 4] });
  assert.deepEqual([race.racers.lora.seconds, race.racers.lora.now.heldOut, race.racers.full.now.heldOut], [[2, 1], 3, 4]);
  assert.equal(race.racers.full.before.heldOut, 5);
});

test("it is done when both have taken every step and the stories are read again; else it was stopped", () => {
  const [first, second] = [1, 2].map((number) => ({ type: "race-step", steps: { lora: step(number, 4), full: step(number, 3) } }));
  const judged = { type: "race-judged", measured: { lora: measured(4, 2.5), full: measured(3, 6) } };
  const done = after(...READY, first, second, { type: "race-judging" }, judged, { type: "race-ended" });
  assert.deepEqual([done.phase, done.racers.lora.now.stories, done.racers.full.before.stories, done.racers.full.now.stories], ["done", 2.5, 2, 6]);
  assert.equal(after(...READY, first, judged, { type: "race-ended" }).phase, "stopped");
  assert.equal(after(...READY, first, second, { type: "race-ended" }).phase, "stopped", "the stories were not read again");
  assert.equal(after(READY[0], { type: "race-ended" }), NO_RACE, "given up before anything was measured");
});

test("a race that fails leaves the page's own training alone", () => {
  const problem = { place: "efficient", code: "race-died", message: "no" };
  const state = reduce({ ...INITIAL, phase: "training" }, { type: "failed", problem });
  assert.deepEqual([state.phase, state.problem], ["training", problem]);
  assert.equal(reduce(state, READY[0]).problem, undefined);
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
  await session.step();
  const own = await session.adapters.files();
  await startRace(session, stories);
  const { race, run, phase } = session.state;
  assert.equal(race.phase, "done");
  assert.deepEqual(race.points.step, [0, 1, 2, 3, 4, 5]);
  assert.equal(race.racers.lora.seconds.length, 5);
  assert.deepEqual([race.racers.lora.now.footprint.trainable, race.racers.full.now.footprint.trainable], [128, 3]);
  assert.deepEqual([race.racers.full.before.stories, race.racers.full.now.stories], [7, 12]);
  assert.equal(made.length, 3);
  assert.deepEqual(made.map(({ terminated }) => terminated), [false, true, true]);
  const began = made.map(({ received }) => received.find(({ method }) => method === "beginTraining").args);
  const isFull = ({ received }) => received.find(({ method }) => method === "load").args[1].full;
  const [lora, full] = isFull(made[1]) ? [began[2], began[1]] : [began[1], began[2]];
  assert.deepEqual(made.slice(1).map(isFull).sort(), [false, true]);
  assert.deepEqual(lora, began[0], "the page's text and settings");
  assert.deepEqual(full, [lora[0], { ...lora[1], learningRate: session.state.settings.fullLearningRate }], "but for the rate the same");
  assert.deepEqual([phase, run.step], ["paused", 1]);
  assert.deepEqual(await session.adapters.files(), own);
  assert.equal(isOutdated(session.state), false);
  for (const changed of [{ rank: 3 }, { fullLearningRate: 0.01 }]) {
    session.set({ ...race.settings, ...changed });
    assert.equal(isOutdated(session.state), true);
  }
  await session.close();
});

test("stopped, both are measured where they stand, and end", async () => {
  const { session, made } = await opened({ steps: 1000 });
  const racing = startRace(session, stories);
  await until(session, ({ race }) => race.step >= 3);
  assert.equal(canRace(session.state), false, "one at a time");
  stopRace(session);
  await racing;
  const { race, problem } = session.state;
  assert.deepEqual([race.phase, race.judged, problem], ["stopped", true, undefined]);
  assert.equal(race.racers.full.now.stories, 7 + race.step);
  assert.ok(race.step < 1000);
  assert.deepEqual(made.map(({ terminated }) => terminated), [false, true, true]);
  await session.close();
});

test("stopped while the engines start, nothing is left of it", async () => {
  const { session, made } = await opened();
  const racing = startRace(session, stories);
  stopRace(session);
  await racing;
  assert.equal(session.state.race, NO_RACE);
  assert.equal(session.state.problem, undefined);
  assert.deepEqual(made.slice(1).filter(({ terminated }) => !terminated), []);
  await session.close();
});

test("an engine that crashes ends the race, is told, and the page's own goes on", async () => {
  const { session, made } = await opened();
  session.useText(TRAP);
  await startRace(session, stories);
  assert.deepEqual([session.state.problem.place, session.state.problem.code], ["efficient", "race-died"]);
  assert.equal(session.state.race.phase, "stopped");
  assert.equal(session.state.race.step, 2);
  // Also the worker that was about to take the dead one's place.
  await until(session, () => made.slice(1).every(({ terminated }) => terminated));
  assert.equal(made[0].terminated, false);
  await startRace(session, async () => { throw Object.assign(new Error("base.txt: 404"), { code: "fetch" }); });
  assert.deepEqual([session.state.problem.code, session.state.race.phase], ["fetch", "none"]);
  await session.close();
});

test("closing the page ends both engines without a word", async () => {
  const { session, made } = await opened({ steps: 1000 });
  const racing = startRace(session, stories);
  await until(session, ({ race }) => race.step >= 2);
  await session.close();
  await racing;
  assert.equal(session.state.problem, undefined);
  assert.ok(made.every(({ terminated }) => terminated));
});
