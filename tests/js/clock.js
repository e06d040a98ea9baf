// A simulated clock. Whatever takes time in a page (messages between threads, fetches, a store, a broadcast) takes it on this clock:
// a delay costs nothing, and the same delays give the same order of events. run() replaces Node's globals by those of the clock and
// restores them at its end.
import { serve } from "../../www/engine/worker.js";
import { fakeEngine } from "./fake.js";

/** Numbers from a seed (mulberry32), each in [0, 1). */
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** As a message between threads: its own copy of everything but ports and blobs. A function cannot be sent. */
function copied(value) {
  if (typeof value === "function") throw new DOMException("a function could not be cloned", "DataCloneError");
  if (ArrayBuffer.isView(value)) return value.slice();
  if (Array.isArray(value)) return value.map(copied);
  if (value instanceof Map) return new Map(value);
  if (value && Object.getPrototypeOf(value) === Object.prototype) return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, copied(part)]));
  return value;
}

/** More events than any script has: a script has some thousands. */
const MOST = 100_000;

export class Clock {
  now = 0;
  #due = [];
  #count = 0;
  #seed;
  #lines = 0;
  #left = MOST;
  /** Broadcast channels that are open. */
  channels = new Set();

  /** @param {number} seed of all delays */
  constructor(seed) {
    this.#seed = seed;
  }

  /** @param {number} delay @param {() => void} task */
  after(delay, task) {
    this.#at(this.now + delay, task);
  }

  #at(time, task) {
    const item = { time, order: this.#count++, task };
    let [low, high] = [0, this.#due.length];
    // Sorted backwards: the next one is the last.
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#due[middle].time > time) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, item);
  }

  wait(delay) {
    return new Promise((resolve) => this.after(delay, resolve));
  }

  /** Messages from one place to another: each takes its time, and none overtakes another. @param {(message: any) => void} deliver @param {number} [slowest] */
  line(deliver, slowest = 6) {
    const random = numbers(Math.imul(this.#seed + 1, 7919) + this.#lines++);
    let last = 0;
    return (message) => {
      // Most are quick, some are slow.
      const delay = Math.floor(slowest * random() ** 3);
      last = Math.max(last, this.now + delay);
      this.#at(last, () => deliver(message));
    };
  }

  /** Until nothing is due any more, or up to a time. */
  async run(until = Infinity) {
    await turn();
    while (this.#due.length && this.#due.at(-1).time <= until) {
      if (this.#left-- <= 0) throw new Error(`after ${MOST} events there is no end of them`);
      const { time, task } = this.#due.pop();
      this.now = time;
      task();
      await turn();
    }
    if (until !== Infinity) this.now = Math.max(this.now, until);
  }

  /**
   * With the globals of this clock.
   * @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async within(work) {
    const clock = this;
    const names = ["MessageChannel", "MessagePort", "BroadcastChannel", "Blob", "setTimeout", "setInterval"];
    const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
    const clocks = Object.getOwnPropertyDescriptor(performance, "now");
    const refused = (name) => () => {
      throw new Error(`${name}: no module of the engine or of the lab is expected to use a timer`);
    };
    const put = { MessageChannel: class extends Ports { constructor() { super(clock); } }, MessagePort: Port, BroadcastChannel: broadcasting(clock), Blob: AtHand, setTimeout: refused("setTimeout"), setInterval: refused("setInterval") };
    for (const name of names) Object.defineProperty(globalThis, name, { value: put[name], configurable: true, writable: true });
    Object.defineProperty(performance, "now", { value: () => clock.now, configurable: true, writable: true });
    try {
      return await work();
    } finally {
      names.forEach((name, index) => Object.defineProperty(globalThis, name, before[index]));
      if (clocks) Object.defineProperty(performance, "now", clocks);
      else delete performance.now;
    }
  }

  /**
   * What createWorker makes: workers in this thread.
   * @param {(options: any) => Promise<any>} [loadEngine]
   */
  workers(loadEngine = fakeEngine) {
    const made = [];
    const createWorker = () => {
      const ports = [];
      const worker = {
        terminated: false,
        onmessage: null,
        onerror: null,
        onmessageerror: null,
        /** The first that was asked: load of a leader, help of a helper. */
        asked: undefined,
        postMessage: (message) => {
          worker.asked ??= message.method;
          if (!worker.terminated) toWorker(copied(message));
        },
        terminate() {
          this.terminated = true;
          // A thread takes its ports along when it ends.
          for (const port of ports) port.close();
        },
        /** As after an error that nobody caught. */
        die: () => worker.onerror?.({ message: "killed" }),
      };
      const scope = {
        onmessage: null,
        postMessage(message) {
          // terminate() stops a real worker at once; here the next text that it sends throws, which ends the request.
          if (worker.terminated && message.event === "text") throw new Error("terminated");
          if (!worker.terminated) toPage(copied(message));
        },
      };
      const toPage = this.line((data) => !worker.terminated && worker.onmessage?.({ data }));
      const toWorker = this.line((data) => {
        if (worker.terminated) return;
        ports.push(...[data.port, ...(data.args ?? [])].filter((item) => item instanceof Port));
        scope.onmessage({ data });
      });
      made.push(worker);
      serve(scope, (options) => loadEngine(options, worker));
      return worker;
    };
    return { made, createWorker };
  }
}

/** Waits for Node's next turn: promises that are settled, and imports of loaded modules, are done by then. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

class Port {
  onmessage = null;
  closed = false;
  #send;
  connect(clock, other) {
    this.#send = clock.line((data) => !this.closed && !other.closed && other.onmessage?.({ data }), 2);
  }
  postMessage(message) {
    if (!this.closed) this.#send(copied(message));
  }
  close() {
    this.closed = true;
  }
}

class Ports {
  port1 = new Port();
  port2 = new Port();
  constructor(clock) {
    this.port1.connect(clock, this.port2);
    this.port2.connect(clock, this.port1);
  }
}

/** A Blob whose bytes are available without a wait. */
class AtHand extends Blob {
  #parts;
  constructor(parts = [], options) {
    super(parts, options);
    this.#parts = parts;
  }
  async arrayBuffer() {
    return this.#parts.every((part) => part instanceof Uint8Array) ? Uint8Array.from(this.#parts.flatMap((part) => [...part])).buffer : super.arrayBuffer();
  }
}

const broadcasting = (clock) => class {
  onmessage = null;
  #lines = new Map();
  constructor(name) {
    this.name = name;
    clock.channels.add(this);
  }
  postMessage(data) {
    for (const other of clock.channels) {
      if (other === this || other.name !== this.name) continue;
      if (!this.#lines.has(other)) this.#lines.set(other, clock.line((data) => clock.channels.has(other) && other.onmessage?.({ data })));
      this.#lines.get(other)(data);
    }
  }
  close() {
    clock.channels.delete(this);
  }
};
