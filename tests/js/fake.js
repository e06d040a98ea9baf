// A double of the wasm class and of a worker around it: the real engine/worker.js, over a MessagePort of this process, so that
// messages are cloned and transferred as they are between threads. contract.test.js holds the double to the real class.
import { serve } from "../../www/engine/worker.js";

export const TRAP = "trap"; // as a prompt or a text: the engine traps, as after a panic in Rust
export const POISON = "poison"; // as a text: a run on it traps when it is restored

const coded = (code, message) => Object.assign(new Error(message), { code });
const order = (what, needs) => coded("order", `${what} needs ${needs} first`);
const trap = () => {
  throw new WebAssembly.RuntimeError("unreachable");
};

const LAYER = { name: "h.0.attn.c_attn", in: 4, out: 12 };
/** Settings by their type, which serde looks at in Rust. */
const whole = (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 53;
const number = (value) => typeof value === "number";
const flag = (value) => typeof value === "boolean";
const oneOf = (...words) => (value) => words.includes(value);
const list = (of) => (value) => Array.isArray(value) && value.every(of);
const string = (value) => typeof value === "string";
const layers = (value) => string(value) || list(string)(value);
const pattern = (of) => (value) => typeof value === "object" && !Array.isArray(value) && value !== null && Object.values(value).every(of);
const LORA = {
  rank: whole, alpha: number, scaling: oneOf("rank", "sqrt-rank", "textbook"), targets: layers, exclude: layers, rankPattern: pattern(whole),
  alphaPattern: pattern(number), layersToTransform: list(whole), dropout: number, seed: whole,
};
const TRAINING = {
  steps: whole, batchSize: whole, blockSize: whole, learningRate: number, minLearningRateRatio: number, schedule: oneOf("cosine", "constant"),
  warmupSteps: whole, weightDecay: number, beta1: number, beta2: number, epsilon: number, gradientClip: number, accumulation: whole,
  heldOut: number, evaluateEvery: whole, evaluationWindows: whole, seed: whole,
};
const GENERATION = { maxTokens: whole, temperature: number, topK: whole, topP: number, repetitionPenalty: number, seed: whole, stopAtEnd: flag };

function known(options = {}, types) {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(types, name)) throw coded("config", `setting "${name}" is ${JSON.stringify(value)}: unknown field`);
    if (!types[name](value)) throw coded("config", `setting "${name}" is ${JSON.stringify(value)}: invalid type`);
  }
  return options;
}

/** Gradients are numbers whose sum shows in which order they were added. */
class FakeSum {
  values = [0];
  count = 0;
  add(loss, values) {
    if (values.length !== 1) throw coded("config", "expected 1 number");
    this.values = [this.values[0] / 3 + values[0]];
    this.count += 1;
  }
}

/** An adapter's numbers: the steps that it has taken, and what tells it from others, its seed and what it was trained on. */
const fresh = (seed = 0) => ({ steps: 0, seed, trace: 0 });
const toBytes = ({ steps, seed, trace }) => Uint8Array.of(steps, seed, ...new Uint8Array(Float32Array.of(trace).buffer));
function fromBytes([steps, seed = 0, ...rest]) {
  return { steps, seed, trace: new Float32Array(Uint8Array.from({ length: 4 }, (_, i) => rest[i] ?? 0).buffer)[0] };
}
/** By how much an adapter's numbers move each letter: a fresh adapter's, or one of no strength, by nothing. */
const shift = ({ steps, seed, trace }, strength = 1) => (steps && strength ? 1 + ((steps + 7 * seed + Math.abs(Math.round(1000 * trace))) % 60) : 0);
/** Along the printable letters of ASCII. */
const moved = (letter, by) => (by ? String.fromCharCode(32 + ((letter.charCodeAt(0) - 32 + by) % 95)) : letter);

/**
 * What the double writes: the prompt's letters over and over, moved by an adapter. `files` are those of the adapter that speaks;
 * without them it is the base.
 * @param {string} prompt @param {number} length @param {{ safetensors: Uint8Array }} [files] @param {number} [strength]
 */
export function told(prompt, length, files, strength) {
  const by = files ? shift(fromBytes(files.safetensors), strength) : 0;
  return Array.from({ length }, (_, i) => moved(prompt[i % prompt.length], by)).join("");
}

const json = (value) => new TextEncoder().encode(JSON.stringify(value));
const parsed = (bytes) => {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw coded("format", "the saved state cannot be read");
  }
};

/** As serde leaves out what is None. */
const of = (adapter) => (adapter === undefined ? {} : { adapter });

/** Its adapters are a few numbers, its text is the prompt's letters, one token each. */
export class FakeLab {
  constructor(config, weights, tokenizer, options) {
    if (config === "not json") throw coded("format", "config.json: expected JSON");
    this.settings = { config, weights, tokenizer };
    this.full = options?.full ? fresh() : undefined;
    /** By name: { config, values, start } */
    this.all = new Map();
    this.strength = 1;
    this.enabled = true;
    this.runs = 0;
  }
  info() {
    return { architecture: "gpt2", parameters: this.settings.weights.length, vocabulary: 256, contextLength: 1024, hasTokenizer: true, layers: [LAYER] };
  }

  #notMerged(what) {
    if (this.merged !== undefined) throw coded("merged", `${what} is not possible while the adapter is merged`);
  }
  #notFull(what) {
    if (this.full) throw coded("unsupported", `${what} is not supported: the model was loaded for full fine-tuning`);
  }
  #named(name) {
    if (!this.all.has(name)) throw coded("no-adapter", `there is no adapter called "${name}"`);
    return this.all.get(name);
  }
  /** The adapter's name that a request gave, or the active one. */
  #chosen(name, what) {
    if (name !== undefined) return this.#named(name), name;
    if (this.active === undefined) throw order(what, "an attached adapter");
    return this.active;
  }
  /** Who answers: undefined is the base. */
  #speaker(adapter = true) {
    const name = typeof adapter === "string" ? adapter : adapter && this.enabled ? this.active : undefined;
    if (typeof adapter === "string") this.#named(name);
    if (this.merged !== undefined && name !== this.merged) throw coded("merged", "not possible while another is merged");
    return name;
  }
  #voice(name) {
    return name === undefined ? (this.full ?? fresh()) : this.#named(name).values;
  }
  #running(what) {
    if (!this.run) throw order(what, "beginning a training run");
    return this.run;
  }
  #stepping(what) {
    this.#notMerged(what);
    return this.#running(what);
  }

  plan(options) {
    const { rank = 8, targets = "all-linear" } = known(options, LORA);
    if (!(rank >= 1)) throw coded("config", `setting "rank" is ${rank}, expected at least 1`);
    const fits = Array.isArray(targets) ? targets.some((end) => LAYER.name.endsWith(end)) : targets === "all-linear" || new RegExp(`^(${targets})$`).test(LAYER.name);
    if (!fits) throw coded("no-target", `no linear layer matches the targets ${targets}`);
    return { trainable: rank * 16, total: 100, layers: [{ ...LAYER, rank, parameters: rank * 16 }] };
  }
  attach(name, options) {
    known(options, LORA);
    this.#notFull("attaching an adapter");
    this.#notMerged("attaching an adapter");
    return this.#adopt(name, options, fresh(options?.seed));
  }
  #adopt(name, config, values) {
    const plan = this.plan(config);
    if (this.all.has(name)) throw coded("adapter-exists", `an adapter called "${name}" is attached already`);
    this.all.set(name, { config, values, start: { ...values } });
    this.active = name;
    return plan;
  }
  adapters() {
    return [...this.all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { config: { rank = 8, alpha = 16 } = {} }]) => (
      { name, active: name === this.active, training: this.run?.adapter === name, trainable: 16 * rank, bytes: 64 * rank, rank, alpha, layers: 1 }));
  }
  select(name) {
    this.#notMerged("selecting an adapter");
    this.#named(name);
    this.active = name;
  }
  setEnabled(on) {
    this.#notMerged("switching the adapter");
    this.enabled = on;
  }
  setStrength(strength) {
    if (!Number.isFinite(Math.fround(strength))) throw coded("config", `setting "strength" is ${strength}, expected a finite number`);
    this.#notMerged("changing the strength");
    this.strength = strength;
  }
  rename(from, to) {
    const kept = this.#named(from);
    if (this.all.has(to)) throw coded("adapter-exists", `an adapter called "${to}" is attached already`);
    this.all.delete(from);
    this.all.set(to, kept);
    if (this.active === from) this.active = to;
    if (this.merged === from) this.merged = to;
    if (this.run?.adapter === from) this.run.adapter = to;
    if (this.generation?.speaker === from) this.generation.speaker = to;
  }
  remove(name) {
    this.#notMerged("removing an adapter");
    this.#named(name);
    if (this.run?.adapter === name && this.run.step < this.run.steps) throw coded("in-use", `adapter "${name}" is being trained: end its training first`);
    this.#forget(name);
  }
  #forget(name) {
    this.all.delete(name);
    if (this.run?.adapter === name) this.run = undefined;
    if (this.generation?.speaker === name) this.generation = undefined;
    if (this.active === name) this.active = undefined;
  }
  merge(name) {
    this.#notMerged("merging");
    const chosen = this.#chosen(name, "merging");
    if (name === undefined && !this.enabled) throw order("merging", "switching the adapter on");
    this.merged = chosen;
    this.generation = undefined;
  }
  unmerge() {
    if (this.merged === undefined) throw order("unmerging", "merging");
    this.merged = this.generation = undefined;
  }
  isMerged() { return this.merged !== undefined; }
  exportAdapter(name) {
    const { config: { rank = 8, alpha = 16 } = {}, values } = this.#named(this.#chosen(name, "exporting"));
    return { safetensors: toBytes(values), config: JSON.stringify({ peft_type: "LORA", r: rank, lora_alpha: alpha }) };
  }
  importAdapter(name, safetensors, config) {
    this.#notFull("importing an adapter");
    this.#notMerged("importing an adapter");
    const { r: rank = 8, lora_alpha: alpha = 16 } = parsed(new TextEncoder().encode(config));
    if (!safetensors.length) throw coded("format", "adapter_model.safetensors cannot be read");
    return this.#adopt(name, { rank, alpha }, fromBytes(safetensors));
  }

  beginTraining(text, options, name) {
    const { steps = 200, batchSize = 4 } = known(options, TRAINING);
    this.#notMerged("training");
    if (this.full && name !== undefined) this.#notFull("training an adapter");
    const adapter = this.full ? undefined : this.#chosen(name, "training");
    for (const [setting, value] of Object.entries({ steps, batchSize })) {
      if (!(value >= 1)) throw coded("config", `setting "${setting}" is ${value}, expected at least 1`);
    }
    const words = typeof text === "string" ? text : text.join(" ");
    if (!words.length) throw coded("too-short", "the text has 0 tokens");
    const { steps: from, trace } = this.#voice(adapter);
    const read = [...words].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 1000, 0) / 1000;
    this.#begin({ adapter, step: 0, steps, batchSize, from, trace: Math.fround(trace + read), text: words });
    return { tokens: words.length, trainTokens: 1, heldOutTokens: 1 };
  }
  #begin(run) {
    this.run = run;
    this.runs += 1;
  }
  endTraining() { this.run = undefined; }
  position() {
    const { adapter, step, batchSize } = this.#running("a step");
    return { run: this.runs, ...of(adapter), step, sequences: batchSize, heldOutWindows: step % 2 ? 3 : 0 };
  }
  gradientSum() {
    this.#running("a step");
    return new FakeSum();
  }
  gradients(from, to) {
    const { text, step, trace } = this.#stepping("gradients");
    if (text === TRAP && step === 2) trap();
    return Array.from({ length: to - from }, (_, i) => ({ loss: 1, values: Float32Array.of(Math.sin(from + i + step + trace)) }));
  }
  addGradients(from, to, sum) {
    for (const { loss, values } of this.gradients(from, to)) sum.add(loss, values);
  }
  update(sum) {
    const run = this.#stepping("a step");
    if (sum.count !== run.batchSize) throw coded("config", `gradients: expected ${run.batchSize}, got ${sum.count}`);
    run.step += 1;
    run.trace = Math.fround(sum.values[0]);
    Object.assign(this.#voice(run.adapter), { steps: (run.from + run.step) % 256, trace: run.trace });
    return { step: run.step, loss: 1 / run.step, learningRate: 0.1, gradNorm: 1, tokens: 512, done: run.step >= run.steps };
  }
  heldOutLosses(from, to) { return Float64Array.from({ length: to - from }, (_, i) => Math.cos(from + i + this.#stepping("evaluating").trace)); }
  values() { return Float32Array.of(this.#running("reading values").trace); }
  follow(step, [trace]) { Object.assign(this.#stepping("following"), { step, trace }); }
  evaluate() {
    const { adapter } = this.#running("evaluating");
    if (this.merged !== undefined && this.merged !== adapter) throw coded("merged", "evaluating is not possible while another is merged");
    return 1;
  }
  isTraining() { return this.run !== undefined; }
  reset(name) {
    this.#notFull("resetting the adapter");
    this.#notMerged("resetting the adapter");
    const chosen = this.#chosen(name, "resetting");
    const kept = this.#named(chosen);
    kept.values = { ...kept.start };
    if (this.run?.adapter === chosen) this.run = undefined;
    if (this.generation?.speaker === chosen) this.generation = undefined;
  }

  saveAdapters() { return json({ all: [...this.all], full: this.full }); }
  defaults() {
    const { active = null, enabled, strength, merged = null } = this;
    return { active, enabled, strength, merged };
  }
  saveState() {
    const run = this.#running("saving the state");
    return json({ ...run, kept: run.adapter === undefined ? this.full : this.#named(run.adapter) });
  }
  resume(bytes) {
    this.#notMerged("resuming");
    const { kept, ...run } = parsed(bytes);
    // A poisoned state: only what is not the run can be restored.
    if (run.text === POISON) trap();
    if ((run.adapter === undefined) !== Boolean(this.full)) throw coded("unsupported", "resuming the other kind of training is not supported");
    if (this.full) {
      this.full = kept;
    } else {
      this.#forget(run.adapter);
      this.all.set(run.adapter, kept);
      this.active = run.adapter;
    }
    this.#begin(run);
    return { ...of(run.adapter), step: run.step, steps: run.steps };
  }
  restore(adapters, defaults, run) {
    if (this.all.size || this.run) throw order("restoring", "a lab without adapters or a run");
    const { all, full } = parsed(adapters);
    try {
      this.all = new Map(all);
      if (this.full) this.full = full;
      if (run) this.resume(run);
      const { active, enabled, strength, merged } = defaults;
      if (active !== null) this.#named(active);
      Object.assign(this, { active: active ?? undefined, enabled, strength });
      if (merged !== null) this.merge(merged);
    } catch (error) {
      for (const name of [...this.all.keys()]) this.#forget(name);
      Object.assign(this, { enabled: true, strength: 1 });
      throw error;
    }
  }

  beginGeneration(prompt, options, adapter) {
    if (prompt === TRAP) trap();
    const { maxTokens = 100, temperature = 0, topP = 1, repetitionPenalty: penalty = 1 } = known(options, GENERATION);
    const wrong = Object.entries({ temperature: temperature >= 0, topP: topP > 0 && topP <= 1, repetitionPenalty: Math.fround(penalty) > 0 && Math.fround(penalty) < Infinity });
    for (const [setting, fits] of wrong) if (!fits) throw coded("config", `setting "${setting}" is ${options[setting]}`);
    const speaker = this.#speaker(adapter);
    const letters = typeof prompt === "string" ? [...prompt] : Array.from(prompt, (id) => String.fromCharCode(id));
    this.generation = { letters: letters.length ? letters : ["."], left: maxTokens, speaker };
  }
  nextToken() {
    if (!this.generation) throw order("a token", "beginning a generation");
    const { letters, speaker } = this.generation;
    const letter = letters.shift();
    letters.push(letter);
    const text = moved(letter, shift(this.#voice(speaker), speaker === undefined ? 1 : this.strength));
    const done = --this.generation.left <= 0;
    if (done) this.generation = undefined;
    return { id: text.charCodeAt(0), text, done };
  }
  logits(ids, adapter) {
    const by = shift(this.#voice(this.#speaker(adapter)), this.strength);
    return Float32Array.from(ids, (id) => id + by);
  }
  candidates(prompt, options, adapter) {
    const { count = 5 } = known(options, { count: whole });
    this.#notMerged("asking base and adapter side by side");
    const speaker = this.#speaker(adapter);
    if (!(count >= 1 && count <= 256)) throw coded("config", `setting "count" is ${count}, expected 1 to 256`);
    const tokens = Array.from(typeof prompt === "string" ? this.encode(prompt) : prompt, (id) => ({ id, text: String.fromCharCode(id) }));
    const likeliest = (id, by) => Array.from({ length: count }, (_, i) => ({ id: (id + by + i) % 256, text: String.fromCharCode((id + by + i) % 256), p: 1 / 2 ** (i + 1) }));
    const by = shift(this.#voice(speaker), this.strength);
    return { tokens, positions: tokens.map(({ id }) => ({ base: likeliest(id, 0), adapter: speaker === undefined ? null : likeliest(id, by) })) };
  }
  deltas(name) {
    this.#notFull("looking at an adapter");
    const { config: { rank = 8 } = {}, values } = this.#named(this.#chosen(name, "looking at an adapter"));
    return [{ ...LAYER, rank, norm: shift(values), baseNorm: 100 }];
  }
  delta(layer, options, name) {
    const { rows = 48, columns = 48 } = known(options, { rows: whole, columns: whole });
    for (const [setting, cells] of Object.entries({ rows, columns })) {
      if (!(cells >= 1)) throw coded("config", `setting "${setting}" is ${cells}, expected at least 1`);
    }
    const [{ rank, norm }] = this.deltas(name);
    if (layer !== LAYER.name) throw coded("no-layer", `the adapter has no layer called "${layer}"`);
    const size = { rows: Math.min(rows, LAYER.in), columns: Math.min(columns, LAYER.out) };
    return { ...LAYER, rank, norm, ...size, singularValues: Float32Array.of(norm, 0), map: new Float32Array(size.rows * size.columns).fill(norm) };
  }
  encode(text) { return Uint32Array.from(text, (letter) => letter.charCodeAt(0)); }
  decode(ids) { return String.fromCharCode(...ids); }
  baseDigest() { return this.settings.weights.join(""); }
  /** The base's loss is the length of the text; each step of an adapter adds one. */
  loss(text, adapter) { return text.length + this.#voice(this.#speaker(adapter)).steps; }
  footprint(name) {
    const whose = () => (name === undefined && this.run ? this.run.adapter : this.#chosen(name, "a footprint"));
    const trainable = this.full && name === undefined ? this.settings.weights.length : 16 * (this.#named(whose()).config?.rank ?? 8);
    return { trainable, gradientBytes: 4 * trainable, optimizerBytes: 8 * trainable, wasmBytes: this.memory() };
  }
  memory() { return 65536; }
  free() {}
}

export const fakeEngine = async () => ({ Lab: FakeLab, lanes: () => "fake", module: () => undefined });

/** What createWorker makes: a worker in this thread, and how often it was asked. */
export function workers(loadEngine = fakeEngine) {
  const made = [];
  const createWorker = () => {
    const { port1, port2 } = new MessageChannel();
    const ports = [];
    const worker = {
      received: [],
      terminated: false,
      onmessage: null,
      onerror: null,
      onmessageerror: null,
      postMessage(message, transfer) {
        this.received.push(message);
        port1.postMessage(message, transfer);
      },
      terminate() {
        this.terminated = true;
        port1.close();
        // A thread takes its ports along when it ends.
        for (const port of ports) port.close();
      },
    };
    port1.onmessage = (event) => worker.onmessage?.(event);
    made.push(worker);
    const scope = {
      onmessage: null,
      postMessage(message, transfer) {
        // terminate() stops a real worker at once; here the next text that it sends throws, which ends the request.
        if (worker.terminated && message.event === "text") throw new Error("terminated");
        port2.postMessage(message, transfer);
      },
    };
    port2.onmessage = (event) => {
      ports.push(...[event.data.port, ...(event.data.args ?? [])].filter((item) => item instanceof MessagePort));
      scope.onmessage(event);
      if (worker.terminated) worker.terminate();
    };
    serve(scope, loadEngine);
    return worker;
  };
  return { made, createWorker };
}

export const MODEL = { config: "{}", weights: Uint8Array.of(1, 2, 3), tokenizer: "{}" };
