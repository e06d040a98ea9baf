import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchBytes } from "../../www/engine/fetch.js";

function answering(chunks, { status = 200, headers = {}, breaksOff = false } = {}) {
  return async (_url, { signal }) => {
    const left = [...chunks];
    const body = new ReadableStream({
      pull(controller) {
        if (signal?.aborted) return controller.error(signal.reason);
        if (left.length) return controller.enqueue(Uint8Array.from(left.shift()));
        if (breaksOff) return controller.error(new TypeError("network error"));
        controller.close();
      },
    }, { highWaterMark: 0 });
    return new Response(body, { status, headers });
  };
}

test("the parts are put together in order, with progress after each", async () => {
  const seen = [];
  const fetch = answering([[1, 2], [], [3]], { headers: { "Content-Length": "3" } });
  const bytes = await fetchBytes("m", { fetch, onProgress: (...now) => seen.push(now) });
  assert.deepEqual(bytes, Uint8Array.of(1, 2, 3));
  assert.deepEqual(seen, [[0, 3], [2, 3], [2, 3], [3, 3]]);
});

test("a total that counts compressed bytes is no total", async () => {
  const seen = [];
  const fetch = answering([[1, 2, 3]], { headers: { "Content-Length": "2", "Content-Encoding": "gzip" } });
  await fetchBytes("m", { fetch, onProgress: (...now) => seen.push(now) });
  assert.deepEqual(seen.at(-1), [3, undefined]);
});

test("a missing file is an error that names it, or undefined where it is optional", async () => {
  const fetch = answering([[1]], { status: 404 });
  await assert.rejects(fetchBytes("a/config.json", { fetch }), { code: "fetch", message: /a\/config\.json.*404/ });
  assert.equal(await fetchBytes("a/tokenizer.json", { fetch, optional: true }), undefined);
  await assert.rejects(fetchBytes("x", { fetch: answering([], { status: 500 }), optional: true }), { code: "fetch" });
});

test("a transfer that breaks off, and a server that cannot be reached, have the code fetch", async () => {
  await assert.rejects(fetchBytes("m", { fetch: answering([[1, 2]], { breaksOff: true }) }), { code: "fetch", message: /after 2 bytes/ });
  await assert.rejects(fetchBytes("m", { fetch: () => Promise.reject(new TypeError("failed")) }), { code: "fetch", message: /could not be reached/ });
});

test("an abort rejects with the signal's reason", async () => {
  const controller = new AbortController();
  const fetch = answering([[1], [2], [3]]);
  const onProgress = (loaded) => loaded === 1 && controller.abort();
  await assert.rejects(fetchBytes("m", { fetch, signal: controller.signal, onProgress }), { name: "AbortError" });
});
