// The shelf and its adapters, over the double of the engine.
import assert from "node:assert/strict";
import { test } from "node:test";
import { adapterIn, toHash } from "../../www/lab/hash.js";
import { LoraLab } from "../../www/lora-lab.js";
import { Session } from "../../www/lab/session.js";
import { DEFAULTS } from "../../www/lab/settings.js";
import { openShelf } from "../../www/lab/shelf.js";
import { MODEL, workers } from "./fake.js";

/** A store as IndexedDB gives it, without the database. */
function store(entries = new Map()) {
  return { entries: async () => [...entries], set: async (id, entry) => void entries.set(id, entry), del: async (id) => void entries.delete(id) };
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
  await session.adapters.open();
  return session;
}

const names = ({ state }) => state.shelf.items.map(({ name }) => name);
const active = async (session) => (await session.lab.adapters()).find((adapter) => adapter.active)?.name;

test("an adapter is kept, renamed, used and discarded; the one at work stays", async () => {
  const session = await opened();
  await session.act();
  await session.adapters.keep("  Salt  ");
  assert.deepEqual(names(session), ["Salt"]);
  assert.equal(session.state.shelf.durable, true);
  const [{ id }] = session.state.shelf.items;
  await session.adapters.rename(id, "Sea salt");
  await session.adapters.rename(id, "   ");
  assert.deepEqual(names(session), ["Sea salt"], "a name of nothing is none");
  await session.adapters.use(id);
  assert.equal(await active(session), `shelf ${id}`);
  assert.equal(session.state.shelf.using, id);
  assert.deepEqual((await session.adapters.files()).safetensors, Uint8Array.of(5));
  await session.adapters.discard(id);
  assert.deepEqual([names(session), session.state.shelf.using, await active(session)], [[], undefined, "default"]);
  assert.equal(session.state.problem, undefined);
  await session.close();
});

test("a paused run waits while a kept adapter speaks, and goes on where it stood", async () => {
  const session = await opened();
  await session.step();
  await session.adapters.keep("one step");
  await session.step();
  const [{ id }] = session.state.shelf.items;
  await session.adapters.use(id);
  assert.deepEqual((await session.adapters.files()).safetensors, Uint8Array.of(1));
  await session.act();
  assert.equal(session.state.problem, undefined);
  assert.deepEqual(session.state.run.points.step, [0, 1, 2, 3, 4, 5]);
  assert.equal(session.state.shelf.using, undefined);
  assert.equal(await active(session), "default");
  await session.close();
});

test("what is kept outlasts the page, what others left in the store is passed over", async () => {
  const entries = new Map([["odd", { id: "odd" }], ["none", null]]);
  const first = await opened(async () => store(entries));
  await first.act();
  await first.adapters.keep("Salt");
  await first.close();
  const second = await opened(async () => store(entries));
  assert.deepEqual(names(second), ["Salt"]);
  await second.adapters.use(second.state.shelf.items[0].id);
  assert.equal(second.state.after.text, "Once upo", "it speaks at once");
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
  await one.act();
  await one.adapters.keep("Salt");
  await until(() => names(other)[0] === "Salt");
  const [{ id }] = other.state.shelf.items;
  await other.adapters.use(id);
  assert.equal(await active(other), `shelf ${id}`);
  await other.adapters.rename(id, "Sea salt");
  await until(() => names(one)[0] === "Sea salt");
  await one.adapters.discard(id);
  await until(() => names(other).length === 0 && other.state.shelf.using === undefined);
  assert.deepEqual((await other.lab.adapters()).map(({ name }) => name), []);
  assert.deepEqual([one.state.problem, other.state.problem], [undefined, undefined]);
  await one.close();
  await other.close();
});

test("a change begins with what is on the shelf, though nobody told", async () => {
  const entries = new Map();
  const session = await opened(async () => store(entries));
  await session.act();
  await session.adapters.keep("Salt");
  const [{ id }] = session.state.shelf.items;
  entries.delete(id);
  await session.adapters.rename(id, "Sea salt");
  assert.deepEqual([session.state.problem?.code, entries.size], ["not-kept", 0], "what is gone does not come back");
  await session.close();
});

test("without storage the shelf is in memory and says so; a full one keeps nothing and says that", async () => {
  const session = await opened(async () => { throw new DOMException("denied", "SecurityError"); });
  assert.equal(session.state.shelf.durable, false);
  await session.act();
  await session.adapters.keep("Salt");
  assert.deepEqual(names(session), ["Salt"]);
  await session.close();
  const full = await opened(async () => ({ ...store(), set: async () => { throw new DOMException("full", "QuotaExceededError"); } }));
  await full.act();
  await full.adapters.keep("Salt");
  assert.deepEqual([names(full), full.state.problem.code, full.state.problem.place], [[], "storage", "adapter"]);
  await full.close();
});

test("an adapter of another base is refused, and what spoke goes on speaking", async () => {
  const entries = new Map();
  const session = await opened(async () => store(entries));
  await session.act();
  await session.adapters.keep("Salt");
  await session.close();
  for (const [id, entry] of entries) entries.set(id, { ...entry, base: "f".repeat(64) });
  const other = await opened(async () => store(entries));
  await other.act();
  await other.adapters.use(other.state.shelf.items[0].id);
  assert.deepEqual([other.state.problem.code, other.state.shelf.using, await active(other)], ["other-base", undefined, "default"]);
  await other.close();
});

test("a broken adapter in a link is told where the text would be, and changes nothing", async () => {
  const session = await opened();
  await session.step();
  const before = await session.adapters.files();
  for (const text of ["", "AAAA", "<b>", "A".repeat(7000)]) {
    await session.adapters.loadLink(text);
    assert.deepEqual([session.state.problem.code, session.state.problem.place], ["link-format", "compare"]);
    assert.deepEqual(await session.adapters.files(), before);
    assert.equal(session.state.adapter.source, "trained");
  }
  await session.close();
});

test("the hash carries an adapter beside the settings", () => {
  assert.equal(adapterIn(toHash(DEFAULTS, "Ab-_9")), "Ab-_9");
  assert.equal(adapterIn(toHash(DEFAULTS)), undefined);
});
