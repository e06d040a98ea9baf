/**
 * Spreads a step's sequences over workers. One worker, the leader, has the training; its helpers have the same base and a copy of the
 * adapter. Given the adapter's values, a helper returns the gradients (or the held-out losses) of some sequences. It holds no state that
 * could be lost, so it may join and leave between two messages; the leader itself computes the share of a helper that is lost.
 *
 * The leader adds up all gradients in the order of the sequences and clips the sum: the adapter is the same
 * bit for bit, however many there are. Leader and helper have a MessagePort between them that does not involve the page's main thread.
 */

import { buffers } from "./protocol.js";

/** @typedef {import("./types.js").Engine} Engine */
/** @typedef {import("./types.js").EngineOptions} EngineOptions */
/** @typedef {import("./types.js").GradientPart} GradientPart */
/** @typedef {import("./types.js").Step} Step */
/** @typedef {import("./types.js").WasmLab} WasmLab */

/**
 * What a helper loads: nothing is fetched or compiled a second time. The weights are a Blob, of which the browser may keep one copy for all.
 * @typedef {object} Equipment
 * @property {string} config
 * @property {Blob} weights
 * @property {string | undefined} tokenizer
 * @property {import("./types.js").ModelOptions} options
 * @property {EngineOptions} engine
 */

/**
 * @typedef {object} Task
 * @property {"gradients" | "heldOutLosses"} kind
 * @property {number} from the first sequence or held-out window
 * @property {number} to one past the last
 * @property {number} step
 * @property {Float32Array} values of all parameters
 * @property {Uint8Array | undefined} state the run, for a helper that has another one or none
 */

/** @typedef {{ parts: GradientPart[] | Float64Array | undefined, memory: number }} Report a helper's answer; without parts it is ready */

/**
 * @typedef {object} Member
 * @property {MessagePort} port
 * @property {boolean} ready
 * @property {number} run the number of the run whose state it has
 * @property {number} memory bytes
 * @property {((parts: any) => void)[]} asked callbacks of the tasks under way, oldest first; called with undefined if the helper is gone
 */

export class Leader {
  /** @type {Map<number, Member>} */
  #members = new Map();
  #equipment;

  /** @param {Equipment | undefined} equipment for helpers; undefined if there cannot be any */
  constructor(equipment) {
    this.#equipment = equipment;
  }

  /** Add a helper. It takes part from the first step that begins after it is ready. @param {number} index @param {MessagePort} port */
  join(index, port) {
    /** @type {Member} */
    const member = { port, ready: false, run: 0, memory: 0, asked: [] };
    port.onmessage = ({ data: { parts, memory } }) => {
      Object.assign(member, { ready: true, memory });
      if (parts) member.asked.shift()?.(parts);
    };
    this.#members.set(index, member);
    port.postMessage(this.#equipment, []);
  }

  /** Remove a helper that is gone. @param {number} index */
  leave(index) {
    const member = this.#members.get(index);
    this.#members.delete(index);
    member?.port.close();
    for (const tell of member?.asked ?? []) tell(undefined);
  }

  /** Bytes of memory of each helper, as of its latest answer. */
  memories() {
    return this.#ready().map(({ memory }) => memory);
  }

  /** One optimizer step. @param {WasmLab} lab @returns {Promise<Omit<Step, "tokensPerSecond">>} */
  async step(lab) {
    const { sequences, heldOutWindows } = lab.position();
    const sum = lab.gradientSum();
    const [own, ...others] = this.#spread(lab, "gradients", sequences);
    lab.addGradients(own.from, own.to, sum);
    for (const { from, to, answer } of others) {
      const parts = /** @type {GradientPart[] | undefined} */ (await answer);
      if (!parts) lab.addGradients(from, to, sum);
      for (const { loss, values } of parts ?? []) sum.add(loss, values);
    }
    const step = { ...lab.update(sum), workers: 1 + others.length };
    return heldOutWindows ? { ...step, heldOutLoss: await this.#heldOutLoss(lab, heldOutWindows) } : step;
  }

  /** @param {WasmLab} lab @param {number} windows */
  async #heldOutLoss(lab, windows) {
    const [own, ...others] = this.#spread(lab, "heldOutLosses", windows);
    const losses = [...lab.heldOutLosses(own.from, own.to)];
    for (const { from, to, answer } of others) {
      losses.push(.../** @type {Float64Array} */ ((await answer) ?? lab.heldOutLosses(from, to)));
    }
    return losses.reduce((sum, loss) => sum + loss, 0);
  }

  /**
   * Split the work and send the helpers their shares. The first share is the leader's own: the caller computes it meanwhile.
   * @param {WasmLab} lab
   * @param {Task["kind"]} kind
   * @param {number} count
   * @returns {{ from: number, to: number, answer?: Promise<unknown> }[]}
   */
  #spread(lab, kind, count) {
    const helpers = this.#ready();
    const [own, ...others] = shares(count, 1 + helpers.length);
    if (!others.length) return [own];
    const { run, step } = lab.position();
    const values = lab.values();
    const state = helpers.some((member) => member.run !== run) ? lab.saveState() : undefined;
    const asked = others.map((share, i) => {
      const member = helpers[i];
      /** @type {Task} */
      const task = { kind, ...share, step, values, state: member.run === run ? undefined : state };
      // The array is transferred to the last helper; the others get copies.
      member.port.postMessage(task, i + 1 === others.length ? [values.buffer] : []);
      member.run = run;
      return { ...share, answer: new Promise((resolve) => member.asked.push(resolve)) };
    });
    return [own, ...asked];
  }

  #ready() {
    return [...this.#members.values()].filter(({ ready }) => ready);
  }
}

/** Split `count` items into ranges as equal as possible, the larger ones first; none is empty. @param {number} count @param {number} workers */
export function shares(count, workers) {
  const number = Math.min(count, workers);
  const start = (/** @type {number} */ share) => Math.ceil((share * count) / number);
  return Array.from({ length: number }, (_, share) => ({ from: start(share), to: start(share + 1) }));
}

/**
 * Run as a helper: load the model, then answer tasks. Never resolves; rejects with the error that ends the helper.
 * @param {MessagePort} port to the leader
 * @param {(options: EngineOptions) => Promise<Engine>} loadEngine
 * @returns {Promise<never>}
 */
export function help(port, loadEngine) {
  /** @type {WasmLab} */
  let lab;
  /** @param {Equipment | Task} message @returns {Promise<Report>} */
  async function answer(message) {
    if ("kind" in message) return { parts: perform(lab, message), memory: lab.memory() };
    const [engine, weights] = await Promise.all([loadEngine(message.engine), message.weights.arrayBuffer()]);
    lab = new engine.Lab(message.config, new Uint8Array(weights), message.tokenizer, message.options);
    return { parts: undefined, memory: lab.memory() };
  }
  return new Promise((_, reject) => {
    let queue = Promise.resolve();
    port.onmessageerror = () => reject(new Error("a message from the leader could not be read"));
    port.onmessage = ({ data }) => {
      const told = queue.then(() => answer(data)).then((report) => port.postMessage(report, buffers(report)));
      queue = told.catch(reject);
    };
  });
}

/** @param {WasmLab} lab @param {Task} task */
function perform(lab, { kind, from, to, step, values, state }) {
  if (state) {
    lab.endTraining();
    for (const { name } of lab.adapters()) lab.remove(name);
    lab.resume(state);
  }
  lab.follow(step, values);
  if (kind === "heldOutLosses") return lab.heldOutLosses(from, to);
  // One by one: only one sequence's gradients are in the engine's memory.
  return Array.from({ length: to - from }, (_, i) => lab.gradients(from + i, from + i + 1)[0]);
}
