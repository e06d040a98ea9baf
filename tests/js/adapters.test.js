// The shelf and its adapters, over the double of the engine.
import assert from "node:assert/strict";
import { test } from "node:test";
import { adapterIn, toHash } from "../../www/lab/hash.js";
import { files, importLink } from "../../www/lab/imports.js";
import { LoraLab } from "../../www/lora-lab.js";
import { Session } from "../../www/lab/session.js";
import { DEFAULTS } from "../../www/lab/settings.js";
import { speakerName } from "../../www/lab/slots.js";
import { openShelf } from "../../www/lab/shelf.js";
import { act, step } from "../../www/lab/training.js";
import { discard, keep, openShelf as seeShelf, rename, use } from "../../www/lab/voices.js";
import { MODEL, workers } from "./fake.js";

/** A store as IndexedDB gives it, without the database. */
function store(entries = new Map()) {
  const set = async (id, entry) => void entries.set(id, entry);
  return { entries: async () => [...entries], set, update: async (id, change) => set(id, change(entries.get(id))), del: async (id) => void entries.delete(id) };
}

async function opened(open = async () => store()) {
  const { createWorker } = workers();
  const session = new Session(
    {
      model: "unused",
      sampleText: async (id) => `the text of ${id}`,
      load: (options) => LoraLab.load({ ...options, model: MODEL, createWorker, saveEvery: -1 }),
      openShelf: (_open, onChange) => openShelf(open, onChange),
    },
    () => {},
  );
  session.set({ steps: 5, maxTokens: 8 });
  await session.open();
  await session.press(seeShelf);
  return session;
}

const names = ({ state }) => state.shelf.items.map(({ name }) => name);
const speaks = ({ state }) => speakerName(state);
/** How many steps the adapter that speaks has taken, which the double writes first. */
const steps = async (session) => (await session.do(files, undefined)).safetensors[0];

test("an adapter is kept, renamed, used and discarded; the one at work stays", async () => {
  const session = await opened();
  await act(session);
  await session.press(keep, "  Salt  ");
  assert.deepEqual(names(session), ["Salt"]);
  assert.equal(session.state.shelf.durable, true);
  const [{ id }] = session.state.shelf.items;
  await session.press(rename, id, "Sea salt");
  await session.press(rename, id, "   ");
  assert.deepEqual(names(session), ["Sea salt"], "a name of nothing is none");
  assert.equal(session.state.problem.code, "name-empty");
  await session.press(use, id);
  assert.equal(speaks(session), `shelf ${id}`);
  assert.equal(session.state.shelf.using, id);
  assert.equal(await steps(session), 5);
  await session.press(discard, id);
  assert.deepEqual([names(session), session.state.shelf.using, speaks(session)], [[], undefined, "at work 1"]);
  assert.equal(session.state.problem, undefined);
  await session.close();
});

test("a paused run waits while a kept adapter speaks, and goes on where it stood", async () => {
  const session = await opened();
  await session.press(step);
  await session.press(keep, "one step");
  await session.press(step);
  const [{ id }] = session.state.shelf.items;
  await session.press(use, id);
  assert.equal(await steps(session), 1);
  await act(session);
  assert.equal(session.state.problem, undefined);
  assert.deepEqual(session.state.run.points.step, [0, 1, 2, 3, 4, 5]);
  assert.equal(session.state.shelf.using, undefined);
  assert.equal(speaks(session), "at work 1");
  await session.close();
});

test("what is kept outlasts the page, what others left in the store is passed over", async () => {
  const entries = new Map([["odd", { id: "odd" }], ["none", null]]);
  const first = await opened(async () => store(entries));
  await act(first);
  await first.press(keep, "Salt");
  await first.close();
  const second = await opened(async () => store(entries));
  assert.deepEqual(names(second), ["Salt"]);
  await second.press(use, second.state.shelf.items[0].id);
  assert.ok(second.state.after.text && second.state.after.text !== second.state.before.text, "it speaks at once");
  await second.close();
});

test("two sessions have one shelf: what one does the other sees, and what is deleted no longer speaks", async () => {
  const entries = new Map();
  const [one, other] = [await opened(async () => store(entries)), await opened(async () => store(entries))];
  const until = async (condition) => {
    for (let tries = 0; !condition(); tries++) {
      assert.ok(tries < 200, `waited in vain for ${condition}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await act(one);
  await one.press(keep, "Salt");
  await until(() => names(other)[0] === "Salt");
  const [{ id }] = other.state.shelf.items;
  await other.press(use, id);
  assert.equal(speaks(other), `shelf ${id}`);
  await other.press(rename, id, "Sea salt");
  await until(() => names(one)[0] === "Sea salt");
  await one.press(discard, id);
  await until(() => names(other).length === 0 && other.state.shelf.using === undefined);
  assert.deepEqual((await other.lab.adapters()).map(({ name }) => name), []);
  assert.deepEqual([one.state.problem, other.state.problem], [undefined, undefined]);
  await one.close();
  await other.close();
});

test("a change begins with what is on the shelf, though nobody told", async () => {
  const entries = new Map();
  const session = await opened(async () => store(entries));
  await act(session);
  await session.press(keep, "Salt");
  const [{ id }] = session.state.shelf.items;
  entries.delete(id);
  await session.press(rename, id, "Sea salt");
  assert.deepEqual([session.state.problem?.code, entries.size], ["not-kept", 0], "what is gone does not come back");
  await session.close();
});

test("without storage the shelf is in memory and says so; a full one keeps nothing and says that", async () => {
  const session = await opened(async () => { throw new DOMException("denied", "SecurityError"); });
  assert.equal(session.state.shelf.durable, false);
  await act(session);
  await session.press(keep, "Salt");
  assert.deepEqual(names(session), ["Salt"]);
  await session.close();
  const full = await opened(async () => ({ ...store(), set: async () => { throw new DOMException("full", "QuotaExceededError"); } }));
  await act(full);
  await full.press(keep, "Salt");
  assert.deepEqual([names(full), full.state.problem.code, full.state.problem.place], [[], "storage", "adapter"]);
  await full.close();
});

test("an adapter of another base is refused, and what spoke goes on speaking", async () => {
  const entries = new Map();
  const session = await opened(async () => store(entries));
  await act(session);
  await session.press(keep, "Salt");
  await session.close();
  for (const [id, entry] of entries) entries.set(id, { ...entry, base: "f".repeat(64) });
  const other = await opened(async () => store(entries));
  await act(other);
  await other.press(use, other.state.shelf.items[0].id);
  assert.deepEqual([other.state.problem.code, other.state.shelf.using, speaks(other)], ["other-base", undefined, "at work 1"]);
  await other.close();
});

test("a broken adapter in a link is told where the text would be, and changes nothing", async () => {
  const session = await opened();
  await session.press(step);
  const before = await session.do(files, undefined);
  for (const text of ["", "AAAA", "<b>", "A".repeat(7000)]) {
    await session.press(importLink, text);
    assert.deepEqual([session.state.problem.code, session.state.problem.place], ["link-format", "compare"]);
    assert.deepEqual(await session.do(files, undefined), before);
    assert.equal(session.state.adapter.source, "trained");
  }
  await session.close();
});

test("the hash carries an adapter beside the settings", () => {
  assert.equal(adapterIn(toHash(DEFAULTS, "Ab-_9")), "Ab-_9");
  assert.equal(adapterIn(toHash(DEFAULTS)), undefined);
});
