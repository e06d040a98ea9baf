import assert from "node:assert/strict";
import { test } from "node:test";
import { readable } from "../../www/lab/inspection.js";
import { NO_LOOKS, look } from "../../www/lab/inspection-state.js";
import { reduce } from "../../www/lab/reducer.js";
import { INITIAL } from "../../www/lab/state.js";

const layers = [{ name: "h.0.attn.c_attn", in: 4, out: 12, rank: 2, norm: 1, baseNorm: 4 }];
const delta = { name: "h.0.attn.c_attn" };
const candidates = { tokens: [{ id: 1, text: "a" }, { id: 2, text: "b" }], positions: [] };
const after = (...events) => events.reduce((looks, event) => Object.freeze(look(looks, event)), NO_LOOKS);
const speaker = { key: "at work 1", source: "trained", name: "", step: 5 };
const measured = { type: "measured", speaker, layers };

test("what was measured goes with its adapter; the layer that is open stays open", () => {
  const open = after(measured, { type: "inspected", layer: delta.name }, { type: "delta", delta });
  assert.deepEqual([open.speaker, open.layers, open.delta], [speaker, layers, delta]);
  for (const type of ["begun", "reset", "imported", "used", "lost"]) {
    const next = look(open, { type });
    assert.deepEqual([next.layers, next.speaker, next.delta, next.layer], [[], undefined, undefined, delta.name]);
  }
});

test("the answer about a layer that is closed again is not shown", () => {
  assert.equal(after({ type: "inspected", layer: "another" }, { type: "delta", delta }).delta, undefined);
});

test("the place stays inside the text: from the second token to what might come next", () => {
  const reading = after({ type: "read", key: "k", candidates, place: 1 });
  assert.deepEqual([-3, 0, 1, 2, 3, 99].map((place) => look(reading, { type: "place", place }).place), [1, 1, 1, 2, 2, 2]);
});

test("an event that is not about looking leaves the very same object", () => {
  assert.equal(look(NO_LOOKS, { type: "training" }), NO_LOOKS);
  assert.equal(reduce(INITIAL, { type: "dismissed" }).looks, NO_LOOKS);
});

test("a look that fails does not end the training", () => {
  const problem = { place: "inside", code: "internal", message: "no" };
  const state = reduce({ ...INITIAL, phase: "training" }, { type: "failed", problem });
  assert.deepEqual([state.phase, state.problem], ["training", problem]);
});

test("only a text that stands still is read: the adapter's if there is one and it is asked for", () => {
  const written = (text) => ({ ...INITIAL.before, prompt: "Once", text });
  const state = { ...INITIAL, phase: "done", before: written(" a"), after: written(" b") };
  assert.equal(readable(state).text, "Once b");
  assert.equal(readable({ ...state, looks: { ...NO_LOOKS, side: "before" } }).text, "Once a");
  assert.equal(readable({ ...state, after: INITIAL.after }).text, "Once a");
  assert.equal(readable({ ...state, phase: "training" }), undefined);
  assert.equal(readable({ ...state, after: { ...state.after, writing: true } }), undefined);
  assert.equal(readable(INITIAL), undefined);
  const stronger = { ...state, settings: { ...state.settings, strength: 2 } };
  assert.notEqual(readable(stronger).key, readable(state).key, "the adapter says something else at another strength");
});
