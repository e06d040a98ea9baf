// A question to a worker and its answer: what contenders need, and no more.

/** In the worker: answers with the method of that name. @param {Record<string, (...args: any[]) => unknown>} methods */
export function serve(methods) {
  self.onmessage = async ({ data: { id, method, args } }) => {
    try {
      self.postMessage({ id, result: await methods[method](...args) });
    } catch (error) {
      self.postMessage({ id, error: String(/** @type {any} */ (error)?.stack ?? error) });
    }
  };
  self.postMessage({ id: 0 });
}

/**
 * In the page: a worker whose methods are asked for by name. Whatever it cannot answer is an error here.
 * @param {string | URL} url
 * @param {WorkerOptions} [options]
 */
export async function connect(url, options = { type: "module" }) {
  const worker = new Worker(url, options);
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const open = new Map();
  const wait = (/** @type {number} */ id) => new Promise((resolve, reject) => open.set(id, { resolve, reject }));
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = /** @type {any} */ (open.get(id));
    open.delete(id);
    if (error) reject(new Error(`${url}: ${error}`));
    else resolve(result);
  };
  worker.onerror = ({ message }) => {
    for (const { reject } of open.values()) reject(new Error(`${url}: ${message || "cannot be started"}`));
  };
  await wait(0);
  let last = 0;
  return {
    /** @param {string} method @param {...unknown} args @returns {Promise<any>} */
    ask(method, ...args) {
      worker.postMessage({ id: ++last, method, args });
      return wait(last);
    },
    close: () => worker.terminate(),
  };
}
