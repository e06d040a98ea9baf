/** The page's end of one worker: requests out, answers in, every promise settled. */

import { CODES, LabError, START, buffers } from "./protocol.js";

/** @typedef {import("./protocol.js").Answer} Answer */
/** @typedef {import("./protocol.js").Request} Request */

/**
 * As much of a Worker as is used here, so that tests (and Node) can bring their own.
 * @typedef {object} WorkerLike
 * @property {(message: any, transfer: any[]) => void} postMessage
 * @property {() => unknown} terminate
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onerror
 * @property {((event: any) => void) | null} onmessageerror
 */

/**
 * @typedef {object} Pending
 * @property {(answer: import("./protocol.js").Done) => void} resolve
 * @property {(error: unknown) => void} reject
 * @property {((note: import("./protocol.js").Note) => void) | undefined} onNote
 * @property {() => void} release removes the abort listener
 * @property {AbortSignal | undefined} signal
 */

/**
 * A worker from a blob: URL that imports the script. A worker fetched by URL ignores the page's `<meta>` Content-Security-Policy, and one
 * of another origin is refused; a blob inherits the policy and may import from wherever script-src allows. It is a classic worker, since
 * in a sandboxed iframe without allow-same-origin a module blob does not run. Bundlers would copy the script without its imports.
 * @param {string | URL} [script]
 * @returns {WorkerLike}
 */
export function blobWorker(script = new URL(/* @vite-ignore */ "worker.js", import.meta.url)) {
  const source = `import(${JSON.stringify(String(script))}).then(
    (script) => script.serve(self),
    (error) => postMessage({ id: ${START}, event: "failed", code: "${CODES.workerScript}", message: String(error), fatal: false }),
  );`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url);
  const terminate = worker.terminate.bind(worker);
  // Revoked no earlier than the worker ends: the browser has to fetch the URL first, and no event says when it has.
  worker.terminate = () => {
    URL.revokeObjectURL(url);
    terminate();
  };
  return worker;
}

export class Client {
  /** @type {WorkerLike} */
  #worker;
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #nextId = START + 1;
  /** @type {LabError | undefined} */
  #closed;

  /**
   * Called once, when the worker dies without close().
   * @type {((error: LabError) => void) | undefined}
   */
  onDeath;

  /** The error that closed the client, if it is closed. */
  get closed() {
    return this.#closed;
  }

  /** @param {WorkerLike} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#answer(data);
    worker.onerror = (event) => {
      event.preventDefault?.();
      this.#die(event.message || "an error in the worker");
    };
    worker.onmessageerror = () => this.#die("a message could not be read");
  }

  /**
   * A client whose worker runs.
   * @param {() => WorkerLike} createWorker
   * @param {AbortSignal} [signal]
   */
  static async start(createWorker, signal) {
    signal?.throwIfAborted();
    const client = new Client(createWorker());
    const abort = () => client.close(new LabError(CODES.aborted, "aborted while starting"));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await new Promise((resolve, reject) => client.#expect(START, { resolve, reject }));
      return client;
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      const failed = new LabError(CODES.workerScript, `the worker did not start: ${message}`, { cause: error });
      client.close(failed);
      throw signal?.aborted ? signal.reason : failed;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Ask the worker. The promise settles with the worker's one answer; an abort asks the worker to give up and
   * rejects with the signal's reason, unless the work was done by then.
   * @param {string} method
   * @param {unknown[]} args
   * @param {{ onNote?: (note: import("./protocol.js").Note) => void, signal?: AbortSignal, save?: import("./protocol.js").Saving }} [options]
   * @returns {Promise<import("./protocol.js").Done>}
   */
  async request(method, args, { onNote, signal, save } = {}) {
    if (this.#closed) throw this.#closed;
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const request = /** @type {Request} */ ({ id, method, args: owned(args) });
    if (save) request.save = save;
    return new Promise((resolve, reject) => {
      this.#expect(id, { resolve, reject, onNote, signal });
      try {
        this.#worker.postMessage(request, buffers(request.args));
      } catch (error) {
        // The message cannot be cloned (it holds a function, for example): the worker never gets it.
        this.#take(id)?.reject(error);
      }
    });
  }

  /** Tell the worker something that has no answer. @param {import("./protocol.js").Notice} notice */
  tell(notice) {
    if (!this.#closed) this.#worker.postMessage(notice, buffers(notice));
  }

  /**
   * End the worker; whatever is pending rejects with `error`, and so does every later request.
   * @param {LabError} error
   */
  close(error) {
    if (this.#closed) return;
    this.#closed = error;
    this.#worker.onmessage = this.#worker.onerror = this.#worker.onmessageerror = null;
    this.#worker.terminate();
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error);
  }

  /**
   * @param {number} id
   * @param {{ resolve: (done: any) => void, reject: (error: unknown) => void, onNote?: Pending["onNote"], signal?: AbortSignal }} pending
   */
  #expect(id, { resolve, reject, onNote, signal }) {
    const abort = () => this.#worker.postMessage({ id, abort: true }, []);
    signal?.addEventListener("abort", abort, { once: true });
    const release = () => signal?.removeEventListener("abort", abort);
    this.#pending.set(id, { resolve, reject, onNote, signal, release });
  }

  /** @param {number} id */
  #take(id) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.release();
    return pending;
  }

  /** @param {Answer} answer */
  #answer(answer) {
    if (answer.event === "done") return this.#take(answer.id)?.resolve(answer);
    if (answer.event !== "failed") return this.#pending.get(answer.id)?.onNote?.(answer);
    if (answer.fatal) return this.#die(answer.message, answer);
    const pending = this.#take(answer.id);
    const aborted = answer.code === CODES.aborted && pending?.signal?.aborted;
    pending?.reject(aborted ? pending.signal?.reason : new LabError(answer.code, answer.message));
  }

  /** @param {string} reason @param {unknown} [cause] the answer that reports it; without one, no request caused the death */
  #die(reason, cause) {
    if (this.#closed) return;
    const error = new LabError(CODES.workerDied, `the worker died (${reason}); another takes its place`, { cause });
    // Before close(): the owner has started the next worker by the time the pending requests reject.
    this.onDeath?.(error);
    this.close(error);
  }
}

/** The slice() of typed arrays copies; a Node Buffer's own returns a view. */
const { slice } = Object.getPrototypeOf(Uint8Array.prototype);

/**
 * The message with every typed array copied: the caller keeps its buffers, and a view does not carry its whole buffer along.
 * @template T
 * @param {T} value
 * @returns {T}
 */
function owned(value) {
  /** @param {any} item @returns {any} */
  const copy = (item) => {
    if (ArrayBuffer.isView(item)) return slice.call(item);
    if (Array.isArray(item)) return item.map(copy);
    if (item && Object.getPrototypeOf(item) === Object.prototype) {
      return Object.fromEntries(Object.entries(item).map(([key, part]) => [key, copy(part)]));
    }
    return item;
  };
  return copy(value);
}
