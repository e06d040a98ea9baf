// Whatever can be done with a session, in any order and at any moment, and what must hold whatever was done: a simple model of the page.
// play() performs a script, over the double of the engine on a clock of the test's own, or over the engine itself.
import assert from "node:assert/strict";
import { encodeAdapter } from "../../www/lab/adapter-link.js";
import { choose, useFile, useText } from "../../www/lab/corpus.js";
import { exportFolder } from "../../www/lab/export.js";
import { watchDeltas, watchTokens } from "../../www/lab/inspection.js";
import { recompute } from "../../www/lab/proof.js";
import { race, stopRace } from "../../www/lab/race.js";
import { isRacing } from "../../www/lab/race-state.js";
import { writeSafetensors } from "../../www/lab/safetensors.js";
import { Session } from "../../www/lab/session.js";
import { openShelf } from "../../www/lab/shelf.js";
import { canGoOn, rests, speaker, voice } from "../../www/lab/state.js";
import { compare, setStrength } from "../../www/lab/texts.js";
import { act, reset, step, train } from "../../www/lab/training.js";
import { files, importFiles, importLink } from "../../www/lab/imports.js";
import { discard, keep, makeLink, openShelf as seeShelf, rename, use } from "../../www/lab/voices.js";
import { LabError } from "../../www/lora-lab.js";

// What is imported late is here already: a file that is still being read is on no clock.
await Promise.all(["lab/adapters.js", "lab/adapter-link.js", "engine/restart.js", "vendor/fflate.js"].map((path) => import(new URL(`../../www/${path}`, import.meta.url).href)));

/**
 * What is played: JSON, so that a script that failed can be pasted among the cases.
 * @typedef {object} Script
 * @property {number} delays the seed of all delays
 * @property {number} saveEvery as LoraLab.load() takes it
 * @property {boolean} hasty whether the lab is closed in the midst of what is under way
 * @property {[number, string, ...any[]][]} actions milliseconds after the one before it, name, arguments
 */

/** Errors that are an answer. Another one is a mistake of ours. */
const EXPECTED = [
  "busy", "aborted", "disposed", "worker-died", "too-short", "text-empty", "name-empty", "not-kept", "fetch", "link-format", "format", "config", "storage", "race-died",
  "unsupported", "lost",
];

/** Perform a script; rejects with the first thing that does not hold. @param {Script} script @param {(play: Play) => any} makeWorld */
export async function play(script, makeWorld) {
  const played = new Play(script, makeWorld);
  const unhandled = (/** @type {unknown} */ error) => played.fault(`nobody handled ${error?.stack ?? error}`);
  process.on("unhandledRejection", unhandled);
  try {
    await played.world.within(() => played.all());
  } finally {
    process.off("unhandledRejection", unhandled);
  }
  const [first] = played.faults;
  if (first) throw new Error(`${first}\n${played.told()}`);
  return played;
}

export class Play {
  faults = [];
  /** What happened, and when. */
  history = [];
  /** Promises that have not settled yet, by what they are of. @type {Map<Promise<unknown>, string>} */
  pending = new Map();
  /** How many times Pause was pressed. */
  pauses = 0;
  closing = false;
  /** Of each adapter that was at work, by its number, what made it: a training's settings and text, or bytes. */
  made = new Map();
  /** What the import under way has read. */
  imported = undefined;
  /** Places where something failed since it was last in order. @type {Set<string>} */
  failed = new Set();
  watching = { deltas: undefined, tokens: undefined };
  /** Ids of kept adapters, and what is expected of each: its bytes and name. */
  kept = new Map();
  discarding = new Set();
  /** Bytes of those that are no longer kept. */
  discarded = new Map();
  storeFails = false;
  fetch = { ms: 0, fails: false };

  constructor(script, makeWorld) {
    this.script = script;
    this.world = makeWorld(this);
    this.session = new Session(
      {
        model: this.world.model,
        sampleText: (id) => this.fetched(id),
        load: (options) => this.world.load(options),
        openShelf: (_open, onChange) => openShelf(async () => this.world.store(this), onChange),
      },
      (state, event) => this.onEvent(state, event),
    );
  }

  fault(what) {
    this.faults.push(what);
    this.note(`FAULT ${what}`);
  }
  holds(condition, what) {
    if (!condition) this.fault(typeof what === "function" ? what() : what);
  }
  same(seen, right, what) {
    const [a, b] = [seen, right].map((value) => JSON.stringify(value instanceof Uint8Array ? [...value] : value));
    if (a !== b) this.fault(`${what}: ${a}, expected ${b}`);
  }
  /** @param {string | (() => string)} what written out only if it is wanted */
  note(what) {
    this.history.push([this.world.now(), what]);
  }
  told() {
    const lines = this.history.map(([now, what]) => `${String(Math.round(now)).padStart(6)} ${typeof what === "string" ? what : what()}`);
    const at = lines.findIndex((line) => line.includes("FAULT"));
    return lines.slice(Math.max(0, at - 60), at + 3).join("\n");
  }

  /** The text of a sample, when it comes. */
  async fetched(id) {
    const { ms, fails } = this.fetch;
    this.fetch = { ms: 0, fails: false };
    await this.world.wait(ms);
    if (fails) throw new LabError("fetch", `${id}: no network`);
    return this.world.sample(id);
  }

  async all() {
    const { session, script, world } = this;
    session.set(world.settings);
    this.fire("open", session.open());
    await world.quiet(this);
    this.other = await world.during(openShelf(async () => world.store(this, true), () => {}));
    this.fire("openShelf", session.do(seeShelf));
    for (const [gap, name, ...args] of script.actions) {
      await world.pass(gap);
      if (this.faults.length) break;
      this.note(`> ${name} ${JSON.stringify(args)}`);
      this.fire(name, ACTIONS[name].perform(this, ...args));
    }
    if (!script.hasty && !this.faults.length) {
      await world.quiet(this);
      // A worker that died while it started is replaced when somebody asks.
      this.fire("adapters", session.lab.adapters());
      await world.quiet(this);
      await this.rest();
      if (!this.faults.length && canGoOn(session.state)) await this.goOn();
    }
    await this.close();
  }

  /** Whatever was asked for settles, with an answer. */
  fire(name, promise) {
    if (!(promise instanceof Promise)) return;
    this.pending.set(promise, name);
    promise.then(
      () => this.pending.delete(promise),
      (error) => {
        this.pending.delete(promise);
        this.note(`! ${name}: ${error?.code} ${error?.message}`);
        this.holds(EXPECTED.includes(error?.code), () => `${name} failed with ${error?.code}: ${error?.stack ?? error}`);
      },
    );
  }

  onEvent(state, event) {
    const { type } = event;
    if (!["text", "progress"].includes(type)) this.note(() => `  ${type} ${told(event)} | ${state.phase}${state.busy ? ` (${state.busy.action})` : ""}`);
    const loop = ["train", "step"].includes(state.busy?.action ?? "");
    if (state.phase === "training" || state.phase === "starting") this.holds(loop, () => `phase ${state.phase} after "${type}" while no loop is under way`);
    switch (type) {
      case "busy":
        this.holds(!this.exclusive, () => `${event.action} was let in beside ${this.exclusive}`);
        this.exclusive = event.action;
        break;
      case "free":
        this.exclusive = undefined;
        this.holds(!["training", "starting"].includes(state.phase), () => `phase ${state.phase} after the loop`);
        break;
      case "failed":
        this.failed.add(event.problem.place);
        this.holds(EXPECTED.includes(event.problem.code), () => `shown: ${event.problem.place} ${event.problem.code} ${event.problem.message}`);
        this.holds(!this.closing, () => `shown after closing: ${event.problem.message}`);
        break;
      case "begun":
        this.made.set(state.adapter.number, { settings: event.settings, text: event.text });
        this.same(event.text, state.run.text, "the run's text");
        break;
      case "imported":
        this.made.set(state.adapter.number, { bytes: event.source === "link" ? this.linked : this.imported });
        break;
      case "step":
        this.stepped(state, event.step);
        break;
      case "writing":
        this.failed.delete("compare");
        break;
      case "written":
        if (event.whole) this.world.written?.(this, state, event.side);
        break;
      case "checking":
        this.failed.delete("proof");
        break;
      case "digest":
        this.world.answered?.(this, state);
        break;
      case "measured":
        this.failed.delete("inside");
        this.world.measured?.(this, state);
        break;
      case "delta":
        this.world.magnified?.(this, state);
        break;
      case "read":
        this.failed.delete("tokens");
        this.world.read?.(this, state);
        break;
      case "reset":
      case "lost":
        this.holds(type === "reset" || !event.adapter, "the adapter at work was lost");
    }
  }

  stepped(state, { step, done }) {
    this.holds(state.phase === "training", () => `a step while ${state.phase}`);
    this.holds(state.run?.step === step, () => `step ${step} is not the run's`);
    const { points, settings, log } = state.run;
    this.same(points.step, [...points.step.keys()], "the points of the curve");
    this.same(log.map(({ step }) => step), points.step.slice(1), "the log");
    this.same(done, step === settings.steps, `step ${step} of ${settings.steps} is the last`);
    if (this.loop) this.loop.steps += 1;
  }

  /** A training, watched: it resolves when its steps are taken, or when it was paused. */
  trained(action) {
    const { session } = this;
    const watched = async (/** @type {Session} */ lab) => {
      const loop = (this.loop = { steps: 0, pauses: this.pauses });
      await action.perform(lab);
      if (this.closing) return;
      const { run, phase } = session.state;
      const wasPaused = this.pauses > loop.pauses;
      const isOver = run?.step === run?.settings.steps;
      if (action === step) this.holds(loop.steps === 1 || (loop.steps === 0 && wasPaused), () => `step() resolved after ${loop.steps} steps`);
      else this.holds(isOver || wasPaused, () => `train() resolved at step ${run?.step} of ${run?.settings.steps}`);
      this.same(phase, isOver ? "done" : "paused", "the phase after a training");
    };
    return session.do({ ...action, perform: watched });
  }

  /** The id of a kept adapter: of those that the session sees. */
  idOf(index) {
    const { items } = this.session.state.shelf;
    return items.length ? items[index % items.length].id : `none ${index}`;
  }

  /** What must hold when nothing is under way. */
  async rest() {
    const { session } = this;
    const { state } = session;
    this.same([...this.pending.values()], [], "still pending at rest");
    this.same(state.busy, undefined, "busy at rest");
    this.holds(rests(state.phase), () => `phase ${state.phase} at rest`);
    this.holds(!isRacing(state.race), () => `a race at rest: ${state.race.phase}`);
    const { run, adapter } = state;
    const right = !run ? "ready" : run.step >= run.settings.steps ? "done" : "paused";
    this.same(state.phase, right, `the phase with ${run ? `a run at step ${run.step} of ${run.settings.steps}` : "no run"}`);
    if (run) this.same(adapter?.source, "trained", "whose run it is");
    this.same(state.shelf.items.map(({ id, name }) => [id, name]).sort(), [...this.kept].map(([id, { name }]) => [id, name]).sort(), "the shelf");
    this.holds(state.shelf.using === undefined || this.kept.has(state.shelf.using), "one speaks that is not on the shelf");
    this.labels(state);
    await this.world.atRest(this, state);
  }

  /** Texts, proof and looks are about the settings, the adapter that speaks and its step: whoever has failed says so instead. */
  labels(state) {
    const { settings, looks } = state;
    const whose = speaker(state);
    this.same(Boolean(whose), Boolean(voice(state)), "somebody speaks");
    if (!this.failed.has("compare")) {
      const { prompt, temperature, maxTokens, textSeed, strength } = settings;
      const key = (speaks) => JSON.stringify([prompt, { temperature, maxTokens, seed: textSeed }, speaks ? [speaks.key, speaks.step, strength] : []]);
      this.same([state.before.key, state.before.writing], [key(), false], "the base's text");
      this.same([state.after.key, state.after.writing], [whose ? key(whose) : "", false], "the adapter's text");
      this.same(state.after.speaker, whose, "whose text it is");
    }
    this.same(state.before.speaker, undefined, "whose text the base's is");
    this.same(state.digest.checking, false, "checking at rest");
    if (!this.failed.has("proof")) this.same(state.answers?.speaker, whose, "whose answer it is");
    if (this.watching.deltas && !this.failed.has("inside")) {
      this.same(looks.speaker, whose, "whose layers are shown");
      this.same(Boolean(looks.delta), Boolean(whose && looks.layer), "the layer that is looked at");
    }
    if (this.watching.tokens && !this.failed.has("tokens") && !this.failed.has("compare")) {
      this.same(looks.read?.speaker, whose, "by whom the text is read");
    }
  }

  /** A paused run can go on, without a gap, to its end. */
  async goOn() {
    const { session, world } = this;
    const { run } = session.state;
    this.note("> resume at rest");
    const deadly = world.isDeadly(run.text);
    this.fire("train", this.trained(train));
    await world.quiet(this);
    if (deadly) return;
    this.same(session.state.phase, "done", "the phase after resuming");
    this.same(session.state.run?.log.map(({ step }) => step), Array.from({ length: run.settings.steps }, (_, i) => i + 1), "the steps of the resumed run");
    this.same(this.made.get(session.state.adapter?.number)?.settings, run.settings, "the settings of the resumed run");
    await this.rest();
  }

  /** Nothing is left: no promise, no worker, no listener. */
  async close() {
    const { session, world } = this;
    this.closing = true;
    this.note("> close");
    for (const end of Object.values(this.watching)) end?.();
    this.fire("close", session.close());
    this.other?.close();
    await world.quiet(this);
    this.same([...this.pending.values()], [], "still pending after closing");
    const late = await session.do(compare).then(() => "done", ({ code }) => code);
    this.same(late, "disposed", "what is asked of a closed lab");
    await world.closed(this);
  }
}

/** An event in a line. */
function told({ type, ...event }) {
  const short = (key, value) => (ArrayBuffer.isView(value) || ["layers", "info", "items", "settings", "measured", "progress", "delta", "candidates"].includes(key) ? "…" : value);
  return JSON.stringify(event, short).slice(0, 160);
}

/** Text for a link with an adapter of any base of these layers. */
export function linkOf(layers, digest, seed) {
  const [layer] = layers;
  const values = (count) => Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i) / 8);
  const tensors = [["lora_A", [1, layer.in]], ["lora_B", [layer.out, 1]]].map(([kind, shape]) => (
    { name: `base_model.model.${layer.name}.${kind}.weight`, shape, values: values(shape[0] * shape[1]) }));
  const config = JSON.stringify({ peft_type: "LORA", r: 1, lora_alpha: 8 });
  return encodeAdapter({ safetensors: writeSafetensors(tensors), config }, { layers, digest }).text;
}

/**
 * What a person or an embedder can do. `args`: fast-check's arbitraries of the arguments.
 * @type {Record<string, { weight: number, args: (fc: any) => any[], perform: (play: Play, ...args: any[]) => unknown }>}
 */
export const ACTIONS = {
  train: { weight: 9, args: () => [], perform: (play) => play.trained(train) },
  step: { weight: 4, args: () => [], perform: (play) => play.trained(step) },
  act: {
    weight: 4,
    args: () => [],
    perform(play) {
      if (play.session.state.phase === "training") play.pauses += 1;
      return Promise.resolve(act(play.session));
    },
  },
  pause: {
    weight: 5,
    args: () => [],
    perform(play) {
      play.pauses += 1;
      play.session.training.pause();
    },
  },
  reset: { weight: 3, args: () => [], perform: ({ session }) => session.do(reset) },
  choose: {
    weight: 4,
    args: (fc) => [fc.constantFrom("pirate", "robot", "own"), ms(fc), rarely(fc)],
    perform(play, id, ms, fails) {
      play.fetch = { ms, fails };
      return play.session.do(choose, id);
    },
  },
  useText: { weight: 3, args: (fc) => [words(fc)], perform: (play, text) => play.session.do(useText, play.world.text(text)) },
  useFile: {
    weight: 2,
    args: (fc) => [words(fc), ms(fc), rarely(fc)],
    perform: (play, text, ms, fails) => play.session.do(useFile, async () => {
      await play.world.wait(ms);
      if (fails) throw new LabError("text-empty", "a file of nothing");
      return { text: play.world.text(text), name: "file.txt" };
    }),
  },
  set: {
    weight: 4,
    args: (fc) => [fc.oneof(
      fc.record({ rank: fc.constantFrom(1, 2) }), fc.record({ seed: fc.constantFrom(1, 2, 3) }), fc.record({ steps: fc.constantFrom(1, 3, 7) }), fc.record({ batchSize: fc.constantFrom(1, 3) }),
    )],
    perform: (play, settings) => play.session.set(settings),
  },
  workers: { weight: 2, args: (fc) => [fc.constantFrom(1, 2)], perform: (play, workers) => play.session.set({ workers: play.world.workers(workers) }) },
  compare: {
    weight: 3,
    args: (fc) => [fc.constantFrom("Once", "Ahoy", "Once upon a time", "trap")],
    perform(play, prompt) {
      play.session.set({ prompt: play.world.prompt(prompt) });
      return play.session.do(compare);
    },
  },
  setStrength: { weight: 2, args: (fc) => [fc.constantFrom(0, 1, 1.5)], perform: (play, strength) => play.session.do(setStrength, strength) },
  recompute: { weight: 1, args: () => [], perform: ({ session }) => session.do(recompute) },
  keep: {
    weight: 5,
    args: (fc) => [fc.constantFrom("Salt", "  Pepper ", "   ", "")],
    perform: (play, name) => play.session.do(keep, name).then(
      () => play.holds(name.trim(), "a name of nothing was taken"),
      (error) => {
        throw error;
      },
    ),
  },
  rename: { weight: 2, args: (fc) => [index(fc), fc.constantFrom("Thyme", " Sage ", " ")], perform: (play, index, name) => play.session.do(rename, play.idOf(index), name) },
  discard: {
    weight: 2,
    args: (fc) => [index(fc)],
    perform(play, index) {
      const id = play.idOf(index);
      play.discarding.add(id);
      return play.session.do(discard, id);
    },
  },
  use: { weight: 5, args: (fc) => [index(fc)], perform: (play, index) => play.session.do(use, play.idOf(index)) },
  useAtWork: { weight: 3, args: () => [], perform: ({ session }) => session.do(use, undefined) },
  importFiles: {
    weight: 3,
    args: (fc) => [fc.constantFrom("good", "good", "broken", "fails"), ms(fc), fc.constantFrom(40, 41)],
    perform: (play, kind, ms, seed) => play.session.do(importFiles, async () => {
      await play.world.wait(ms);
      if (kind === "fails") throw new LabError("format", "a file that cannot be read");
      const files = play.world.files(kind, seed);
      play.imported = files.safetensors;
      return files;
    }),
  },
  importLink: { weight: 1, args: (fc) => [fc.constantFrom("good", "broken")], perform: (play, kind) => play.session.do(importLink, play.world.link(play, kind)) },
  makeLink: { weight: 1, args: () => [], perform: ({ session }) => session.do(makeLink) },
  files: { weight: 1, args: (fc) => [index(fc)], perform: (play, index) => play.session.do(files, play.idOf(index)) },
  race: {
    weight: 2,
    args: (fc) => [ms(fc), rarely(fc)],
    perform: (play, ms, fails) => play.session.do(race, async () => {
      await play.world.wait(ms);
      if (fails) throw new LabError("fetch", "no stories");
      return "stories of long ago and far away";
    }),
  },
  stopRace: { weight: 1, args: () => [], perform: ({ session }) => stopRace(session) },
  exportFolder: { weight: 1, args: () => [], perform: (play) => play.session.do(exportFolder, "run").then((zip) => play.world.unpacked?.(play, zip)) },
  kill: { weight: 2, args: (fc) => [fc.constantFrom("leader", "leader", "helper")], perform: (play, role) => play.world.kill(role) },
  watchDeltas: { weight: 2, args: (fc) => [fc.boolean()], perform: (play, on) => watch(play, "deltas", on && watchDeltas) },
  watchTokens: { weight: 1, args: (fc) => [fc.boolean()], perform: (play, on) => watch(play, "tokens", on && watchTokens) },
  inspect: {
    weight: 2,
    args: (fc) => [fc.boolean()],
    perform: ({ session, world }, on) => session.dispatch({ type: "inspected", layer: on ? world.layer(session) : "" }),
  },
  side: { weight: 1, args: (fc) => [fc.constantFrom("before", "after")], perform: ({ session }, side) => session.dispatch({ type: "side", side }) },
  storeFails: { weight: 1, args: () => [], perform: (play) => void (play.storeFails = true) },
  // Another tab with the same shelf.
  elsewhereDiscard: {
    weight: 2,
    args: (fc) => [index(fc)],
    async perform({ other, discarding }, index) {
      await other.refresh();
      const items = other.items();
      if (!items.length) return;
      const { id } = items[index % items.length];
      discarding.add(id);
      await other.remove(id);
    },
  },
  elsewhereRename: {
    weight: 1,
    args: (fc) => [index(fc)],
    async perform({ other }, index) {
      await other.refresh();
      const items = other.items();
      if (items.length) await other.rename(items[index % items.length].id, "Elsewhere");
    },
  },
};

const ms = (fc) => fc.constantFrom(0, 0, 3, 30, 300);
const rarely = (fc) => fc.constantFrom(false, false, false, true);
const words = (fc) => fc.constantFrom("good", "other", "short", "empty", "trap", "poison");
const index = (fc) => fc.nat({ max: 2 });

function watch(play, what, begin) {
  play.watching[what]?.();
  play.watching[what] = begin ? begin(play.session) : undefined;
}

/** Scripts of 20 to 60 actions. @returns {any} */
export function scripts(fc, { least = 20, most = 60 } = {}) {
  const gap = fc.constantFrom(0, 0, 0, 1, 2, 4, 8, 15, 30, 60, 120, 400);
  const one = fc.oneof(...Object.entries(ACTIONS).map(([name, { weight, args }]) => ({ weight, arbitrary: fc.tuple(gap, fc.constant(name), ...args(fc)) })));
  return fc.record({
    delays: fc.nat({ max: 2 ** 20 }),
    saveEvery: fc.constantFrom(-1, 20, 2000),
    hasty: fc.constantFrom(false, false, false, true),
    actions: fc.array(one, { minLength: least, maxLength: most, size: "max" }),
  });
}

/**
 * The shortest script that still fails, found by leaving out and simplifying: fewer actions, no gaps, no delays.
 * @param {Script} script @param {(script: Script) => Promise<boolean>} fails
 */
export async function shrunk(script, fails) {
  let least = script;
  const attempt = async (/** @type {Script} */ simpler) => {
    if (JSON.stringify(simpler) === JSON.stringify(least) || !(await fails(simpler))) return false;
    least = simpler;
    return true;
  };
  for (let before = ""; before !== JSON.stringify(least); ) {
    before = JSON.stringify(least);
    for (let size = least.actions.length >> 1; size >= 1; size >>= 1) {
      for (let at = 0; at < least.actions.length; ) {
        const without = least.actions.toSpliced(at, size);
        if (!(await attempt({ ...least, actions: without }))) at += size;
      }
    }
    for (const simpler of [{ delays: 0 }, { delays: 1 }, { saveEvery: -1 }, { hasty: false }]) await attempt({ ...least, ...simpler });
    for (let at = 0; at < least.actions.length; at++) {
      const [gap, ...rest] = least.actions[at];
      for (const simpler of [0, 400]) if (![0, 400].includes(gap)) await attempt({ ...least, actions: least.actions.with(at, [simpler, ...rest]) });
    }
  }
  return least;
}
