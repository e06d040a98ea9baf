// The double of the wasm class that most tests use, and the real class behind the same API: one list of calls, orders and refusals, for
// which both have to give the same results. Numbers differ, since the double computes nothing; which call changes which adapter's does not.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { LoraLab } from "../../www/lora-lab.js";
import { LoraLab as InNode } from "../../www/node.js";
import { MODEL, workers } from "./fake.js";

const text = String(await readFile(new URL("../../www/samples/robot.txt", import.meta.url)));
const SMALL = { text, steps: 3, batchSize: 1, blockSize: 16, learningRate: 0.05, warmupSteps: 0, evaluateEvery: 0, heldOut: 0.2 };
const PROMPT = "Once upon a time";
const LONG = { maxTokens: 24, temperature: 0, stopAtEnd: false };

const load = {
  double: (options) => LoraLab.load({ model: MODEL, createWorker: workers().createWorker, workers: 1, ...options }),
  real: (options) => InNode.load({ workers: 1, ...options }),
};

const digits = (bytes) => Buffer.from(bytes).toString("base64");

/** All that is compared. Of numbers: which adapter's they are, and whether they have changed since the last time. */
class Observer {
  #bytes = new Map();
  #known = new Map();

  async look(lab) {
    const adapters = await lab.adapters();
    const files = await Promise.all(adapters.map(async ({ name }) => [name, digits((await lab.exportAdapter(name)).safetensors)]));
    const changed = files.filter(([name, bytes]) => this.#bytes.get(name) !== bytes).map(([name]) => name);
    this.#bytes = new Map(files);
    return {
      adapters: adapters.map(({ name, active, rank, alpha }) => [name, active, rank, alpha]),
      changed,
      merged: await lab.isMerged(),
      training: await lab.isTraining(),
      speaks: await this.#speaks(lab, adapters),
    };
  }

  /** Which adapters write when a request names none: the names of those whose text it is, or the base. */
  async #speaks(lab, adapters) {
    const heard = async (adapter) => lab.generate(PROMPT, { ...LONG, adapter }).then(({ text }) => text, ({ code }) => code);
    const voice = await heard(true);
    const named = [];
    for (const { name } of adapters) if ((await heard(name)) === voice) named.push(name);
    return [(await heard(false)) === voice, named];
  }
}

/** The outcome of a call: the part of its result that both have, or the code of its error. */
async function outcome(call, lab, kept) {
  try {
    return { gives: await call(lab, kept) };
  } catch (error) {
    return { code: error.code ?? String(error) };
  }
}

const steps = async (iterator) => {
  const seen = [];
  for await (const { step, done } of iterator) seen.push([step, done]);
  return seen;
};
const none = async (promise) => void (await promise);
const train = (options, stop = Infinity) => async (lab) => {
  const seen = [];
  for await (const { step, done } of lab.train(options)) {
    seen.push([step, done]);
    if (step === stop) break;
  }
  return seen;
};

/** In this order, on one lab. */
const CALLS = {
  "nothing yet: merge": (lab) => none(lab.merge()),
  "nothing yet: reset": (lab) => none(lab.reset()),
  "nothing yet: export": (lab) => none(lab.exportAdapter()),
  "nothing yet: deltas": (lab) => none(lab.deltas()),
  "nothing yet: footprint": (lab) => none(lab.footprint()),
  "nothing yet: begin": (lab) => none(lab.beginTraining(SMALL)),
  "nothing yet: train": train({}),
  "nothing yet: evaluate": (lab) => none(lab.evaluate()),
  "nothing yet: save": (lab) => none(lab.saveState()),
  "nothing yet: end": (lab) => lab.endTraining(),
  "nothing yet: unmerge": (lab) => lab.unmerge(),
  "nothing yet: select": (lab) => lab.select("a"),
  "nothing yet: speak by name": (lab) => none(lab.generate(PROMPT, { adapter: "a" })),
  "plan changes nothing": (lab) => none(lab.plan({ rank: 2 })),
  "attach a": (lab) => none(lab.attach({ name: "a", rank: 2, seed: 1 })),
  "attach a again": (lab) => none(lab.attach({ name: "a", rank: 4 })),
  "attach what cannot be": (lab) => none(lab.attach({ name: "z", rank: 0 })),
  "attach to nothing": (lab) => none(lab.attach({ name: "z", targets: ["nothing"] })),
  "attach b": (lab) => none(lab.attach({ name: "b", rank: 2, alpha: 8, seed: 2 })),
  "attach c": (lab) => none(lab.attach({ name: "c", rank: 4, seed: 3 })),
  "select b": (lab) => lab.select("b"),
  "begin with no steps": (lab) => none(lab.beginTraining({ ...SMALL, steps: 0 })),
  "begin with what is no setting": (lab) => none(lab.beginTraining({ ...SMALL, Steps: 1 })),
  "begin without a text": (lab) => none(lab.beginTraining({ steps: 1 })),
  "begin with an empty text": (lab) => none(lab.beginTraining({ ...SMALL, text: "" })),
  "begin an unknown one": (lab) => none(lab.beginTraining({ ...SMALL, adapter: "z" })),
  "train a for a step, b being active": train({ ...SMALL, adapter: "a" }, 1),
  "its memory is its own": async (lab) => [(await lab.footprint()).trainable === (await lab.footprint({ adapter: "a" })).trainable, (await lab.footprint({ adapter: "c" })).trainable > (await lab.footprint()).trainable],
  "go on with another": train({ adapter: "b" }),
  "go on with other settings": train({ steps: 9 }),
  "remove what is in training": (lab) => lab.remove("a"),
  "select c meanwhile": (lab) => lab.select("c"),
  "attach d meanwhile": (lab) => none(lab.attach({ name: "d", rank: 2, seed: 4 })),
  "rename what is in training": (lab) => lab.rename("a", "A"),
  "rename to one there is": (lab) => lab.rename("b", "c"),
  "rename what is not": (lab) => lab.rename("a", "x"),
  "a refused beginning": (lab) => none(lab.beginTraining({ ...SMALL, text: "", adapter: "b" })),
  "reset another": (lab) => lab.reset({ adapter: "b" }),
  "go on to the second step": train({}, 2),
  "save, and go on": async (lab, kept) => {
    kept.state = await lab.saveState();
    return steps(lab.train({ adapter: "A" }));
  },
  "train() after the last step": async (lab) => none(lab.evaluate()),
  "speak by each voice": async (lab) => {
    const voices = await Promise.all([false, true, "A", "b", "c", "d"].map((adapter) => lab.generate(PROMPT, { ...LONG, adapter })));
    return voices.map(({ text }) => voices.findIndex((other) => other.text === text));
  },
  "resume": (lab, kept) => lab.resume(kept.state),
  "which a removal refuses": (lab) => lab.remove("A"),
  "train b to the end": train({ ...SMALL, adapter: "b" }),
  "a run that is over holds nothing": (lab) => lab.remove("A"),
  "the run itself goes with its adapter": async (lab) => (await lab.remove("b"), lab.isTraining()),
  "resume what was removed": (lab, kept) => lab.resume(kept.state),
  "end it": (lab) => lab.endTraining(),
  "and then it may go": (lab) => lab.remove("A"),
  "resume again": (lab, kept) => lab.resume(kept.state),
  "reset ends it": async (lab) => (await lab.reset({ adapter: "A" }), lab.isTraining()),
  "resume what is no state": (lab) => none(lab.resume(new Uint8Array([1, 2, 3]))),
  "resume once more": (lab, kept) => lab.resume(kept.state),
  "switch off": (lab) => lab.setEnabled(false),
  "merge what is off": (lab) => lab.merge(),
  "a step, switched off": train({}, 3),
  "switch on": (lab) => lab.setEnabled(true),
  "no strength": (lab) => lab.setStrength(0),
  "a strength that is no number": (lab) => lab.setStrength(NaN),
  "full strength": (lab) => lab.setStrength(1),
  "merge d by name": (lab) => lab.merge({ adapter: "d" }),
  ...Object.fromEntries(Object.entries({
    merge: (lab) => lab.merge(),
    attach: (lab) => none(lab.attach({ name: "e" })),
    select: (lab) => lab.select("c"),
    remove: (lab) => lab.remove("c"),
    reset: (lab) => lab.reset({ adapter: "c" }),
    enable: (lab) => lab.setEnabled(false),
    strengthen: (lab) => lab.setStrength(2),
    begin: (lab) => none(lab.beginTraining(SMALL)),
    step: train({}),
    evaluate: (lab) => none(lab.evaluate()),
    resume: (lab, kept) => lab.resume(kept.state),
    candidates: (lab) => none(lab.candidates("Once")),
    base: (lab) => none(lab.loss(PROMPT, { adapter: false })),
    another: (lab) => none(lab.logits([1, 2], { adapter: "c" })),
    itself: (lab) => none(lab.logits([1, 2], { adapter: "d" })),
    rename: (lab) => lab.rename("d", "D"),
    export: (lab) => none(lab.exportAdapter("D")),
    save: (lab) => none(lab.saveState()),
    deltas: (lab) => none(lab.deltas({ adapter: "c" })),
  }).map(([name, call]) => [`while it is merged: ${name}`, call])),
  "a reload meanwhile": (lab) => lab.reload({ workers: 1 }),
  "unmerge": (lab) => lab.unmerge(),
  "a reload between": (lab) => lab.reload({ workers: 2 }),
  "select A": (lab) => lab.select("A"),
  "look inside": async (lab) => {
    const [{ name }] = await lab.deltas();
    const { map, rows, columns } = await lab.delta(name, { rows: 2, columns: 3 });
    return [map.length, rows, columns, (await lab.deltas()).some(({ norm }) => norm > 0), (await lab.deltas({ adapter: "D" })).some(({ norm }) => norm > 0)];
  },
  "look at what is not": (lab) => none(lab.delta("nothing")),
  "no cells": async (lab) => none(lab.delta((await lab.deltas())[0].name, { rows: 0 })),
  "candidates": async (lab) => {
    const [with_, without] = [await lab.candidates([65, 66], { count: 2 }), await lab.candidates([65, 66], { count: 2, adapter: false })];
    return [with_, without].map(({ tokens, positions }) => [tokens.map(({ id }) => id), positions.map(({ base, adapter }) => [base.length, adapter?.length ?? null])]);
  },
  "no candidates": (lab) => none(lab.candidates([65, 66], { count: 0 })),
  "import a copy": async (lab) => {
    await lab.importAdapter({ ...(await lab.exportAdapter("A")), name: "copy" });
    const [a, copy] = await Promise.all(["A", "copy"].map((adapter) => lab.generate(PROMPT, { ...LONG, adapter })));
    return a.text === copy.text;
  },
  "import it again": async (lab) => none(lab.importAdapter({ ...(await lab.exportAdapter("A")), name: "copy" })),
  "import what is none": (lab) => none(lab.importAdapter({ safetensors: new Uint8Array(), config: "not json", name: "x" })),
  "train the copy": train({ ...SMALL, ids: undefined }),
  "a copy goes back to what it was": async (lab) => {
    await lab.reset({ adapter: "copy" });
    const [a, copy] = await Promise.all(["A", "copy"].map((adapter) => lab.generate(PROMPT, { ...LONG, adapter })));
    return a.text === copy.text;
  },
  "settings of a text that make no sense": (lab) => none(lab.generate(PROMPT, { repetitionPenalty: 1e39 })),
  "a setting of a text that there is not": (lab) => none(lab.generate(PROMPT, { max_tokens: 3 })),
  "the loss by each voice": async (lab) => {
    const losses = await Promise.all([false, true, "copy", "A", "D"].map((adapter) => lab.loss(PROMPT, { adapter })));
    // An adapter that has learnt nothing goes through other kernels than the base alone: the last bits may differ.
    return losses.map((loss) => losses.findIndex((other) => Math.abs(other - loss) < 1e-4));
  },
  "remove the active one": (lab) => lab.remove("copy"),
  "then nothing is active": (lab) => lab.merge(),
};

/** The same of a lab that was loaded to train all weights. */
const FULL = {
  attach: (lab) => none(lab.attach()),
  import: (lab) => none(lab.importAdapter({ safetensors: new Uint8Array(), config: "{}" })),
  "begin an adapter's": (lab) => none(lab.beginTraining({ ...SMALL, adapter: "a" })),
  "train a step": train(SMALL, 1),
  "a reload": (lab) => lab.reload({ workers: 1 }),
  "save": async (lab, kept) => {
    kept.state = await lab.saveState();
  },
  "go on": train({}),
  resume: (lab, kept) => lab.resume(kept.state),
  "go on again": train({}),
  footprint: async (lab) => (await lab.footprint()).trainable === lab.info.parameters,
  reset: (lab) => lab.reset(),
  merge: (lab) => lab.merge(),
  end: (lab) => lab.endTraining(),
  step: train({}),
};

async function recorded(lab, calls) {
  const [observer, kept, seen] = [new Observer(), {}, []];
  for (const [name, call] of Object.entries(calls)) seen.push([name, await outcome(call, lab, kept), await observer.look(lab)]);
  return seen;
}

for (const [name, options, calls] of [["with adapters", {}, CALLS], ["loaded with full", { full: true }, FULL]]) {
  test(`double and engine give the same account of every call, ${name}`, { timeout: 120_000 }, async (t) => {
    const accounts = [];
    for (const loaded of Object.values(load)) {
      const lab = await loaded(options);
      t.after(() => lab.dispose());
      accounts.push(await recorded(lab, calls));
    }
    const [double, real] = accounts;
    for (const [index, account] of real.entries()) assert.deepEqual(double[index], account, account[0]);
    const refusals = new Set(real.map(([, { code }]) => code).filter(Boolean));
    t.diagnostic(`${real.length} calls; refused: ${[...refusals].join(", ")}`);
    for (const code of name === "with adapters" ? ["order", "no-adapter", "adapter-exists", "config", "merged", "in-use", "format", "too-short", "no-target", "no-layer"] : ["unsupported", "order"]) {
      assert.ok(refusals.has(code), `${code} is not among the refusals`);
    }
    assert.ok(!refusals.has("internal") && !refusals.has("worker-died"));
  });
}
