/**
 * Keeps the page, the engine, the model and the texts, so that a second visit works offline. Used only in what `cargo xtask dist`
 * makes: there sw-files.js lists the files, each with the SHA-256 of its content, and the pages register this worker.
 *
 * A cache's name is a hash of all contents. A new version fills a cache of its own beside the old one, taking over whatever has
 * not changed, and is used from the next visit on; then the old cache is deleted.
 */

/** @typedef {{ version: string, files: Record<string, string> }} Listed */
/** As much of a service worker's scope as is used here. @typedef {{ LORA_LAB: Listed, registration: { scope: string }, addEventListener: (type: string, listener: (event: any) => void) => void }} Scope */

const scope = /** @type {Scope} */ (/** @type {unknown} */ (self));
/** @type {(script: string) => void} */ (/** @type {any} */ (self).importScripts)("sw-files.js");
const { version, files } = scope.LORA_LAB;
const folder = scope.registration.scope;
/** Other pages on this origin may have caches too, or another copy of this one under another path. */
const ours = `lora-lab ${folder} `;
const cacheName = ours + version;

/** A file's cache key. It contains the hash, so that a later version finds what has not changed. @param {string} file */
const key = (file) => `${new URL(file, folder)}?sha256=${files[file]}`;

/** The file that an address leads to, if it is one of ours. @param {string} address */
function fileAt(address) {
  const { origin, pathname } = new URL(address);
  const path = origin + pathname;
  if (!path.startsWith(folder)) return undefined;
  const file = path.slice(folder.length).replace(/(^|\/)$/, "$1index.html");
  return Object.hasOwn(files, file) ? file : undefined;
}

/** @param {string} file */
async function keep(file) {
  const cache = await caches.open(cacheName);
  const known = await caches.match(key(file));
  if (known) return cache.put(key(file), known);
  const response = await fetch(new URL(file, folder), { cache: "no-cache" });
  if (!response.ok) throw new Error(`${file}: expected a file, got status ${response.status}`);
  const bytes = await response.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  // The host may be changing to another version at this moment: a mixture of both would not work.
  if (hash !== files[file]) throw new Error(`${file}: expected the content ${files[file]}, got ${hash}`);
  // A new Response: the fetched one may be marked as compressed or redirected, but `bytes` is neither.
  const headers = new Headers(response.headers);
  headers.delete("Content-Encoding");
  headers.set("Content-Length", String(bytes.byteLength));
  return cache.put(key(file), new Response(bytes, { headers }));
}

async function tidy() {
  const old = (await caches.keys()).filter((other) => other.startsWith(ours) && other !== cacheName);
  await Promise.all(old.map((other) => caches.delete(other)));
}

/** @param {Request} request @param {string} file */
async function answer(request, file) {
  const cache = await caches.open(cacheName);
  return (await cache.match(key(file))) ?? fetch(request);
}

scope.addEventListener("install", (event) => event.waitUntil(Promise.all(Object.keys(files).map(keep))));
scope.addEventListener("activate", (event) => event.waitUntil(tidy()));
scope.addEventListener("fetch", (event) => {
  const file = event.request.method === "GET" ? fileAt(event.request.url) : undefined;
  if (file !== undefined) event.respondWith(answer(event.request, file));
});
