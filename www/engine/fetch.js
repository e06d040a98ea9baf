/** Fetching with progress. */

import { CODES, LabError } from "./protocol.js";

/**
 * The bytes at `url`; `undefined` on status 404 if it is `optional`.
 * @param {string | URL} url
 * @param {object} [options]
 * @param {(loaded: number, total: number | undefined) => void} [options.onProgress]
 * @param {AbortSignal} [options.signal]
 * @param {boolean} [options.optional]
 * @param {typeof globalThis.fetch} [options.fetch]
 * @returns {Promise<Uint8Array | undefined>}
 */
export async function fetchBytes(url, { onProgress, signal, optional = false, fetch = globalThis.fetch } = {}) {
  const response = await ask(url, signal, fetch);
  if (optional && response.status === 404) return undefined;
  if (!response.ok || !response.body) {
    throw new LabError(CODES.fetch, `${url}: expected a file, got status ${response.status} ${response.statusText}`.trim());
  }
  // Content-Length counts compressed bytes: with a Content-Encoding it is not what is read here.
  const length = Number(response.headers.get("Content-Length"));
  const total = length > 0 && !response.headers.get("Content-Encoding") ? length : undefined;
  /** @type {Uint8Array[]} */
  const chunks = [];
  let loaded = 0;
  onProgress?.(loaded, total);
  try {
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      chunks.push(part.value);
      loaded += part.value.length;
      onProgress?.(loaded, total);
    }
  } catch (error) {
    throw signal?.aborted ? error : new LabError(CODES.fetch, `${url}: broke off after ${loaded} bytes (${error})`, { cause: error });
  }
  const bytes = new Uint8Array(loaded);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/**
 * @param {string | URL} url
 * @param {AbortSignal | undefined} signal
 * @param {typeof globalThis.fetch} fetch
 */
async function ask(url, signal, fetch) {
  try {
    return await fetch(url, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new LabError(CODES.fetch, `${url}: could not be reached (${error})`, { cause: error });
  }
}
