// A double of the wasm class and of a worker around it: the real engine/worker.js, over a MessagePort of this process, so that
// messages are cloned and transferred as they are between threads.
import { serve } from "../../www/engine/worker.js";

export const TRAP = "trap"; // as a prompt or a text: the engine traps, as after a panic in Rust

const coded = (code, message) => Object.assign(new Error(message), { code });

/** Gradients are numbers whose sum tells in which order they were added. */
class FakeSum {
  values = [0];
  count = 0;
  add(loss, values) {
    if (values.length !== 1) throw coded("config", "expected 1 number");
    this.values = [this.values[0] / 3 + values[0]];
    this.count += 1;
  }
}

/** Its one adapter weight counts the steps taken; its text is the prompt's letters, one token each. */
export class FakeLab {
  constructor(config, weights, tokenizer, options) {
    if (config === "not json") throw coded("format", "config.json: expected JSON");
    this.settings = { config, weights, tokenizer };
    this.full = options?.full ? { value: 0 } : undefined;
    this.all = new Map();
    this.strength = 1;
    this.enabled = true;
    this.merged = false;
  }
  info() {
    return { architecture: "gpt2", parameters: this.settings.weights.length, layers: [{ name: "h.0.attn.c_attn", in: 4, out: 12 }] };
  }
  plan({ rank = 8 }) {
    return { trainable: rank * 16, total: 100, layers: [{ name: "h.0.attn.c_attn", in: 4, out: 12, rank, parameters: rank * 16 }] };
  }
  attach(name, options) {
    if (this.all.has(name)) throw coded("name", `adapter ${name} exists`);
    this.all.set(name, { value: 0 });
    this.active = name;
    return this.plan(options);
  }
  adapters() {
    return [...this.all.keys()].map((name) => ({ name, active: name === this.active, trainable: 128, bytes: 512, rank: 8 }));
  }
  select(name) {
    if (!this.all.has(name)) throw coded("name", `no adapter ${name}`);
    this.active = name;
  }
  setEnabled(on) { this.enabled = on; }
  setStrength(strength) { this.strength = strength; }
  rename(from, to) {
    this.all.set(to, this.all.get(from));
    this.all.delete(from);
    if (this.active === from) this.active = to;
  }
  remove(name) {
    this.all.delete(name);
    if (this.active === name) this.active = undefined;
  }
  merge() { this.merged = true; }
  unmerge() { this.merged = false; }
  isMerged() { return this.merged; }
  exportAdapter(name = this.active) {
    return { safetensors: Uint8Array.of(this.all.get(name).value), config: JSON.stringify({ name }) };
  }
  importAdapter(name, safetensors, config) {
    JSON.parse(config);
    this.all.set(name, { value: safetensors[0] });
    this.active = name;
    return this.plan({});
  }
  beginTraining(text, { steps = 200, batchSize = 4 }) {
    this.run = { step: 0, steps, batchSize, trace: 0, text: typeof text === "string" ? text : text.join(" ") };
    this.runs = (this.runs ?? 0) + 1;
    return { tokens: this.run.text.length, trainTokens: 1, heldOutTokens: 1 };
  }
  position() {
    if (!this.run) throw coded("not-training", "expected beginTraining first");
    return { run: this.runs, step: this.run.step, sequences: this.run.batchSize, heldOutWindows: this.run.step % 2 ? 3 : 0 };
  }
  gradientSum() { return new FakeSum(); }
  gradients(from, to) {
    if (this.run.text === TRAP && this.run.step === 2) throw new WebAssembly.RuntimeError("unreachable");
    return Array.from({ length: to - from }, (_, i) => ({ loss: 1, values: Float32Array.of(Math.sin(from + i + this.run.step + this.run.trace)) }));
  }
  addGradients(from, to, sum) {
    for (const { loss, values } of this.gradients(from, to)) sum.add(loss, values);
  }
  update(sum) {
    if (sum.count !== this.run.batchSize) throw coded("config", `gradients: expected ${this.run.batchSize}, got ${sum.count}`);
    this.run.step += 1;
    this.run.trace = Math.fround(sum.values[0]);
    (this.full ?? this.all.get(this.active)).value = this.run.step;
    const done = this.run.step === this.run.steps;
    return { step: this.run.step, loss: 1 / this.run.step, learningRate: 0.1, gradNorm: 1, tokens: 512, done };
  }
  heldOutLosses(from, to) { return Float64Array.from({ length: to - from }, (_, i) => Math.cos(from + i + this.run.trace)); }
  values() { return Float32Array.of(this.run.trace); }
  follow(step, [trace]) { Object.assign(this.run, { step, trace }); }
  evaluate() { return 1; }
  isTraining() { return this.run !== undefined; }
  saveState() { return new TextEncoder().encode(JSON.stringify({ ...this.run, active: this.active })); }
  resume(bytes) {
    const { active, ...run } = JSON.parse(new TextDecoder().decode(bytes));
    // As a poisoned state would: only the run without it can be restored.
    if (run.text === "poison") throw new WebAssembly.RuntimeError("unreachable");
    this.run = run;
    this.runs = (this.runs ?? 0) + 1;
    this.all.set(active, { value: run.step });
    this.active = active;
    return { step: run.step, steps: run.steps };
  }
  reset() {
    this.all.get(this.active).value = 0;
    this.run = undefined;
  }
  beginGeneration(prompt, { maxTokens = 100 } = {}) {
    if (prompt === TRAP) throw new WebAssembly.RuntimeError("unreachable");
    this.generation = { letters: [...prompt], left: maxTokens };
  }
  nextToken() {
    const { letters } = this.generation;
    const text = String(letters.shift());
    letters.push(text);
    return { id: text.charCodeAt(0), text, done: --this.generation.left === 0 };
  }
  logits(ids) { return Float32Array.from(ids); }
  encode(text) { return Uint32Array.from(text, (letter) => letter.charCodeAt(0)); }
  decode(ids) { return String.fromCharCode(...ids); }
  baseDigest() { return this.settings.weights.join(""); }
  /** What trained is more surprised by it; the base alone is not. */
  loss(text) { return text.length + (this.run?.step ?? 0); }
  footprint() {
    const trainable = this.full ? this.settings.weights.length : 128;
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
        // terminate() of a real worker ends it in mid-sentence; here at least its sentences have to end.
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
