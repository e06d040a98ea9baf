// An argument of a wrong type rejects with an error that names it, and changes nothing. Against the double and the real engine.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { LabError, LoraLab } from "../../www/lora-lab.js";
import { LoraLab as InNode, threadWorker } from "../../www/node.js";
import { MODEL, workers } from "./fake.js";

const WWW = new URL("../../www/", import.meta.url);
const text = String(await readFile(new URL("samples/robot.txt", WWW)));

const ENGINES = {
  "the double": async () => {
    const { made, createWorker } = workers();
    return { lab: await LoraLab.load({ model: MODEL, createWorker, workers: 1 }), made };
  },
  "the real engine": async () => {
    const made = [];
    const createWorker = () => {
      made.push(threadWorker());
      return made.at(-1);
    };
    return { lab: await InNode.load({ createWorker, workers: 1 }), made };
  },
};

class Chat {
  role = "user";
}

/** Values of many types, to be given where another type is expected. */
const JUNK = {
  undefined,
  null: null,
  zero: 0,
  fraction: 1.5,
  NaN: NaN,
  infinity: Infinity,
  negative: -1,
  "2^32": 2 ** 32,
  bigint: 1n,
  true: true,
  "empty string": "",
  string: "nobody",
  symbol: Symbol("s"),
  function: () => 1,
  promise: Promise.resolve("text"),
  "empty array": [],
  ids: [1, 2, 3],
  "array of strings": ["Once", "upon"],
  "array with NaN": [1, NaN],
  "array of fractions": [0.5, 1.5],
  "array with a negative": [1, -1],
  "array with 2^32": [2 ** 32],
  "array with null": [1, null],
  "array with a hole": [1, , 2],
  "array of bigints": [1n],
  "array of booleans": [true],
  "nested array": [[1, 2]],
  "chat messages": [{ role: "user", content: "Hello" }],
  "empty object": {},
  object: { words: "Hello" },
  "object without a prototype": Object.assign(Object.create(null), { words: "Hello" }),
  instance: new Chat(),
  map: new Map([["text", "Hello"]]),
  date: new Date(0),
  "string object": new String("Hello"),
  "number object": new Number(1),
  "Uint32Array": Uint32Array.of(1, 2),
  "Uint8Array": Uint8Array.of(1, 2),
  "BigInt64Array": BigInt64Array.of(1n, 2n),
  "BigUint64Array": BigUint64Array.of(1n, 2n),
  "negative BigInt64Array": BigInt64Array.of(-1n),
  "too large BigUint64Array": BigUint64Array.of(2n ** 32n),
  "Float64Array of fractions": Float64Array.of(0.5),
  "Float32Array of whole numbers": Float32Array.of(1, 2),
  ArrayBuffer: new ArrayBuffer(2),
  SharedArrayBuffer: new SharedArrayBuffer(2),
  DataView: new DataView(new ArrayBuffer(2)),
  Blob: new Blob(["ab"]),
};

const STRINGS = ["empty string", "string"];
const LISTS = ["empty array", "ids", "Uint32Array", "Uint8Array", "BigInt64Array", "BigUint64Array", "Float32Array of whole numbers"];
const VIEWS = ["Uint32Array", "Uint8Array", "BigInt64Array", "BigUint64Array", "negative BigInt64Array", "too large BigUint64Array", "Float64Array of fractions", "Float32Array of whole numbers", "DataView"];

/** Which of these values have the type of a kind of argument: the JavaScript check lets them pass, and the Rust core decides. */
const TAKES = {
  text: STRINGS,
  name: STRINGS,
  ids: LISTS,
  textOrIds: [...STRINGS, ...LISTS],
  bytes: [...VIEWS, "ArrayBuffer", "Blob"],
  flag: ["true"],
  number: ["zero", "fraction", "NaN", "infinity", "negative", "2^32"],
  voice: [...STRINGS, "true"],
  options: ["empty object"],
  whole: ["zero", "2^32"],
  nothing: [],
};
/** An optional argument. */
const optional = (kind) => [...TAKES[kind], "undefined"];

/**
 * Every place for a value: method, the argument's name, what it takes, and a call with a value in that place. Nothing that is taken changes what is
 * trained: where it could, the rest of the arguments is what the core refuses.
 */
const PLACES = [
  ...["plan", "attach"].flatMap((method) => [
    [method, "argument", optional("options"), (lab, value) => lab[method](value)],
    [method, "name", optional("name"), (lab, value) => lab[method]({ name: value, targets: ["nothing"] })],
    [method, "rank", optional("whole"), (lab, value) => lab[method]({ rank: value, targets: ["nothing"] })],
    [method, "alpha", [...optional("number").filter((name) => !/NaN|infinity/.test(name))], (lab, value) => lab[method]({ alpha: value, targets: ["nothing"] })],
    [method, "targets", [...optional("text"), "array of strings", "empty array"], (lab, value) => lab[method]({ targets: value, rank: 0 })],
    [method, "rankPattern", [...optional("options")], (lab, value) => lab[method]({ rankPattern: value, targets: ["nothing"] })],
    [method, "Rank", TAKES.nothing, (lab, value) => lab[method]({ Rank: value ?? 1 })],
  ]),
  ["select", "name", TAKES.name, (lab, value) => lab.select(value)],
  ["rename", "from", TAKES.name, (lab, value) => lab.rename(value, "other")],
  ["rename", "to", TAKES.name, (lab, value) => lab.rename("missing", value)],
  ["remove", "name", TAKES.name, (lab, value) => lab.remove(value)],
  ["setEnabled", "on", TAKES.flag, (lab, value) => lab.setEnabled(value)],
  ["setStrength", "strength", TAKES.number, (lab, value) => lab.setStrength(value)],
  ["exportAdapter", "name", optional("name"), (lab, value) => lab.exportAdapter(value)],
  ["importAdapter", "argument", TAKES.nothing, (lab, value) => lab.importAdapter(value)],
  ["importAdapter", "safetensors", TAKES.bytes, (lab, value) => lab.importAdapter({ safetensors: value, config: "{", name: "x" })],
  ["importAdapter", "config", TAKES.text, (lab, value) => lab.importAdapter({ safetensors: new Uint8Array(), config: value, name: "x" })],
  ["importAdapter", "name", optional("name"), (lab, value) => lab.importAdapter({ safetensors: new Uint8Array(), config: "{", name: value })],
  ["importAdapter", "Name", TAKES.nothing, (lab, value) => lab.importAdapter({ safetensors: new Uint8Array(), config: "{", Name: value ?? 1 })],
  ...["beginTraining", "train"].flatMap((method) => {
    const call = (lab, options) => (method === "train" ? lab.train(options).next() : lab.beginTraining(options));
    const missing = { adapter: "missing" };
    return [
      // train() and train({}) go on: they are good.
      [method, "argument", TAKES.nothing, (lab, value) => call(lab, method === "train" && [undefined, JUNK["empty object"]].includes(value) ? null : value)],
      [method, "text", TAKES.text, (lab, value) => call(lab, { text: value ?? null, ...missing })],
      [method, "ids", TAKES.ids, (lab, value) => call(lab, { ids: value ?? null, ...missing })],
      [method, "adapter", TAKES.name, (lab, value) => call(lab, { text: "", adapter: value ?? null })],
      [method, "steps", optional("whole"), (lab, value) => call(lab, { text: "", steps: value, ...missing })],
      [method, "seed", optional("whole"), (lab, value) => call(lab, { text: "", seed: value, ...missing })],
      [method, "signal", ["undefined"], (lab, value) => call(lab, { text: "", signal: value, ...missing })],
      [method, "Steps", TAKES.nothing, (lab, value) => call(lab, { text, Steps: value ?? 1 })],
    ];
  }),
  ["train", "steps", TAKES.nothing, (lab, value) => lab.train({ steps: value ?? 1 }).next()],
  ["evaluate", "argument", optional("options"), (lab, value) => lab.evaluate(value)],
  ["evaluate", "signal", ["undefined"], (lab, value) => lab.evaluate({ signal: value })],
  ["resume", "bytes", TAKES.bytes, (lab, value) => lab.resume(value)],
  ["generate", "prompt", TAKES.textOrIds, (lab, value) => lab.generate(value, { maxTokens: 2 })],
  ["generate", "argument", optional("options"), (lab, value) => lab.generate("Once", value)],
  ["generate", "adapter", optional("voice"), (lab, value) => lab.generate("Once", { adapter: value, maxTokens: 2 })],
  ["generate", "maxTokens", ["undefined", "zero"], (lab, value) => lab.generate("Once", { maxTokens: value === 2 ** 32 ? null : value, adapter: "missing" })],
  ["generate", "temperature", ["undefined", "zero", "fraction", "2^32"], (lab, value) => lab.generate("Once", { temperature: value, maxTokens: 2, stopAtEnd: false })],
  ["generate", "onText", ["undefined", "function"], (lab, value) => lab.generate("Once", { onText: value, maxTokens: 2 })],
  ["generate", "signal", ["undefined"], (lab, value) => lab.generate("Once", { signal: value, maxTokens: 2 })],
  ["generate", "max_tokens", TAKES.nothing, (lab, value) => lab.generate("Once", { max_tokens: value ?? 1 })],
  ["logits", "ids", TAKES.ids, (lab, value) => lab.logits(value)],
  ["loss", "text", TAKES.textOrIds, (lab, value) => lab.loss(value)],
  ["candidates", "prompt", TAKES.textOrIds, (lab, value) => lab.candidates(value)],
  ["candidates", "count", ["undefined", "zero"], (lab, value) => lab.candidates("Once", { count: value })],
  ...["logits", "loss", "candidates"].flatMap((method) => [
    [method, "argument", optional("options"), (lab, value) => lab[method]([1, 2], value)],
    [method, "adapter", optional("voice"), (lab, value) => lab[method]([1, 2], { adapter: value })],
    [method, "signal", ["undefined"], (lab, value) => lab[method]([1, 2], { signal: value })],
    [method, "voice", TAKES.nothing, (lab, value) => lab[method]([1, 2], { voice: value ?? 1 })],
  ]),
  ["encode", "text", TAKES.text, (lab, value) => lab.encode(value)],
  ["decode", "ids", TAKES.ids, (lab, value) => lab.decode(value)],
  ["delta", "layer", TAKES.text, (lab, value) => lab.delta(value)],
  ["delta", "argument", optional("options"), (lab, value) => lab.delta("nothing", value)],
  ["delta", "rows", optional("whole"), (lab, value) => lab.delta("nothing", { rows: value })],
  ["delta", "adapter", optional("name"), (lab, value) => lab.delta("nothing", { adapter: value })],
  ...["deltas", "reset", "merge", "footprint"].flatMap((method) => [
    [method, "argument", optional("options"), (lab, value) => lab[method](value)],
    [method, "adapter", optional("name"), (lab, value) => lab[method]({ adapter: value })],
    [method, "name", TAKES.nothing, (lab, value) => lab[method]({ name: value ?? 1 })],
  ]),
  ["reload", "argument", TAKES.nothing, (lab, value) => lab.reload([undefined, JUNK["empty object"]].includes(value) ? null : value)],
  ["reload", "workers", TAKES.nothing, (lab, value) => lab.reload({ workers: value === 2 ** 32 ? 0 : (value ?? null) })],
  ["reload", "fast", TAKES.nothing, (lab, value) => lab.reload({ fast: value === true ? 1 : (value ?? null) })],
];

/** Codes of errors that are the caller's, as opposed to a bug of ours or a worker that died. */
const OURS = ["internal", "tensor", "worker-died", "unknown-method"];

/** A run of one adapter that stands after its second step, while another one is active. */
async function halfway(lab) {
  await lab.attach({ name: "learner", rank: 2, seed: 1 });
  for await (const { step } of lab.train({ text, steps: 4, batchSize: 1, blockSize: 16, seed: 2, evaluateEvery: 0 })) if (step === 2) break;
  await lab.attach({ name: "other", rank: 2 });
}

async function finished(lab) {
  const steps = [];
  for await (const { step, loss } of lab.train()) steps.push([step, loss]);
  return { steps, ...(await lab.exportAdapter("learner")) };
}

for (const [name, load] of Object.entries(ENGINES)) {
  test(`${name}: whatever stands in any place of any method, it is taken or refused by name, and the run goes on bit for bit`, { timeout: 120_000 }, async (t) => {
    const { lab: quiet } = await load();
    t.after(() => quiet.dispose());
    await halfway(quiet);
    const expected = await finished(quiet);

    const { lab, made } = await load();
    t.after(() => lab.dispose());
    await halfway(lab);
    let [taken, refused] = [0, 0];
    for (const [method, argument, takes, call] of PLACES) {
      for (const [kind, value] of Object.entries(JUNK)) {
        const what = `${method}, ${argument}: ${kind}`;
        let promise;
        assert.doesNotThrow(() => { promise = call(lab, value); }, what);
        const error = await promise.then(() => undefined, (error) => error);
        if (error) {
          assert.ok(error instanceof LabError, `${what}: ${error}`);
          assert.ok(!OURS.includes(error.code), `${what}: ${error.code}, ${error.message}`);
        }
        if (takes.includes(kind)) {
          taken += 1;
          if (method === "merge" && !error) await lab.unmerge();
          continue;
        }
        refused += 1;
        assert.equal(error?.code, "config", `${what}: ${error?.message ?? "was taken"}`);
        // For an object of options the error may name an entry.
        assert.match(error.message, argument === "argument" ? /argument|words|text|safetensors/ : new RegExp(argument), what);
      }
    }
    t.diagnostic(`${taken} taken, ${refused} refused`);
    assert.ok(taken > 200 && refused > 4000);
    assert.equal(made.length, 1, "no worker has died");
    assert.deepEqual(await finished(lab), expected);
  });
}

test("load() refuses by name what it cannot use, and starts nothing", async () => {
  const { made, createWorker } = workers();
  const good = { model: MODEL, createWorker, workers: 1 };
  const places = {
    model: ["string"],
    workers: ["2^32"],
    fast: ["true"],
    splitQkv: ["true"],
    full: ["true"],
    onProgress: ["function"],
    onRestart: ["function"],
    signal: [],
    createWorker: ["function"],
    saveEvery: TAKES.number,
    Workers: [],
  };
  const deep = { config: STRINGS, weights: TAKES.bytes, tokenizer: STRINGS };
  for (const [kind, value] of Object.entries(JUNK)) {
    if (value === undefined) continue;
    for (const Lab of [LoraLab, InNode]) {
      if (kind !== "empty object") await assert.rejects(Lab.load(value), { name: "LabError", code: "config" }, kind);
      for (const [name, takes] of Object.entries(places)) {
        if (takes.includes(kind) || (name === "model" && kind === "empty string")) continue;
        await assert.rejects(Lab.load({ ...good, [name]: value }), { name: "LabError", code: "config", message: new RegExp(name === "model" ? "model|config|weights|option" : name) }, `${name}: ${kind}`);
      }
      for (const [name, takes] of Object.entries(deep)) {
        if (takes.includes(kind)) continue;
        await assert.rejects(Lab.load({ ...good, model: { ...MODEL, [name]: value } }), { name: "LabError", code: "config", message: new RegExp(name) }, `${name}: ${kind}`);
      }
      await assert.rejects(Lab.load({ ...good, model: { ...MODEL, tokeniser: value } }), { code: "config", message: /tokeniser/ });
    }
  }
  await assert.rejects(LoraLab.load({ ...good, model: "http://" }), { code: "config", message: /model/ });
  await assert.rejects(InNode.load({ ...good, model: "file://elsewhere/folder" }), { code: "config", message: /model/ });
  assert.equal(made.length, 0);
});

test("ids and bytes are the same in whichever container they come", async (t) => {
  const { lab } = await ENGINES["the real engine"]();
  t.after(() => lab.dispose());
  const plain = [11, 12, 13];
  const expected = await lab.logits(plain);
  for (const array of [Uint32Array, Uint8Array, Int32Array, Float64Array]) assert.deepEqual(await lab.logits(array.from(plain)), expected, array.name);
  for (const array of [BigInt64Array, BigUint64Array]) assert.deepEqual(await lab.logits(array.from(plain, BigInt)), expected, array.name);
  const shared = new Uint32Array(new SharedArrayBuffer(12));
  shared.set(plain);
  assert.deepEqual(await lab.logits(shared), expected, "memory that is shared");

  await lab.attach({ rank: 2, seed: 4 });
  await lab.beginTraining({ ids: BigInt64Array.from({ length: 400 }, (_, i) => BigInt(i % 50)), steps: 2, blockSize: 16 });
  const state = await lab.saveState();
  const { safetensors, config } = await lab.exportAdapter();
  const { buffer } = Uint8Array.from(safetensors);
  const within = new Uint8Array(safetensors.length + 16);
  within.set(safetensors, 7);
  const containers = { ArrayBuffer: buffer, Blob: new Blob([safetensors]), DataView: new DataView(buffer), "a view of a part": within.subarray(7, 7 + safetensors.length), "a Buffer": Buffer.from(safetensors) };
  for (const [name, given] of Object.entries(containers)) {
    await lab.importAdapter({ safetensors: given, config, name });
    assert.deepEqual((await lab.exportAdapter(name)).safetensors, safetensors, name);
  }
  assert.equal(buffer.byteLength, safetensors.length, "what was given stays the caller's");
  // Reading a Blob takes a moment, and a later call has to wait for it.
  const [, , names] = await Promise.all([lab.resume(new Blob([state])), lab.rename("Blob", "blob"), lab.adapters()]);
  assert.ok(names.some(({ name }) => name === "blob"));
  assert.deepEqual(await lab.resume(state.buffer.slice(0)), { adapter: "default", step: 0, steps: 2 });
});

test("a model's weights may be bytes in any container", async () => {
  const file = (name) => readFile(new URL(`models/tiny/${name}`, WWW));
  const [config, weights] = [String(await file("config.json")), Uint8Array.from(await file("model.safetensors"))];
  const digests = new Set();
  for (const given of [weights, weights.buffer, new Blob([weights])]) {
    const lab = await InNode.load({ model: { config, weights: given }, workers: 2 });
    digests.add(await lab.baseDigest());
    await lab.dispose();
  }
  assert.equal(digests.size, 1);
});
