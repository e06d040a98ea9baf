import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../../www/engine/client.js";
import { LabError } from "../../www/engine/protocol.js";
import { serve } from "../../www/engine/worker.js";
import { MODEL, TRAP, workers } from "./fake.js";

async function started() {
  const { made, createWorker } = workers();
  const client = await Client.start(createWorker);
  await client.request("load", [MODEL]);
  return { client, worker: made[0], end: () => client.close(new LabError("disposed", "end of the test")) };
}

const code = (expected) => (error) => error instanceof LabError && error.code === expected;

test("a request is answered by its own id, whatever else is under way", async () => {
  const { client, end } = await started();
  const answers = await Promise.all(["a", "bc", "d"].map((text) => client.request("encode", [text])));
  assert.deepEqual(answers.map(({ result }) => result.length), [1, 2, 1]);
  end();
});

test("what fails carries the engine's code, and the worker goes on", async () => {
  const { client, end } = await started();
  await assert.rejects(client.request("step", []), code("order"));
  await assert.rejects(client.request("nonsense", []), code("unknown-method"));
  await assert.rejects(client.request("constructor", []), code("unknown-method"));
  assert.equal((await client.request("memory", [])).result, 65536);
  end();
});

test("a request before load says that load is missing", async () => {
  const client = await Client.start(workers().createWorker);
  await assert.rejects(client.request("memory", []), code("not-loaded"));
  client.close(new LabError("disposed", "end of the test"));
});

test("what cannot be cloned rejects at once and leaves nothing behind", async () => {
  const { client, end } = await started();
  await assert.rejects(client.request("plan", [{ rank: () => 8 }]), { name: "DataCloneError" });
  assert.equal((await client.request("memory", [])).result, 65536);
  end();
});

test("the caller's arrays stay the caller's, and only the viewed part travels", async () => {
  const { client, worker, end } = await started();
  // A Node Buffer is a view into a larger one, and its slice() is no copy.
  for (const [name, large] of Object.entries({ array: new Uint8Array(1000), buffer: Buffer.alloc(1000) })) {
    const view = large.subarray(10, 13);
    await client.request("importAdapter", [name, view, "{}"]);
    assert.equal(view.byteLength, 3);
    assert.equal(large.byteLength, 1000);
    assert.equal(worker.received.at(-1).args[1].byteLength, 0, "the copy was transferred");
  }
  end();
});

test("an aborted generation rejects with the signal's reason, after the text that came until then", async () => {
  const { client, end } = await started();
  const controller = new AbortController();
  let text = "";
  const onNote = ({ data }) => {
    text += data;
    if (text.length === 3) controller.abort(new Error("enough"));
  };
  await assert.rejects(client.request("generate", ["abc", { maxTokens: 1e9 }], { onNote, signal: controller.signal }), /enough/);
  assert.match(text, /^abc/);
  assert.equal((await client.request("memory", [])).result, 65536, "the worker goes on");
  end();
});

test("an abort reaches a request that still waits for its turn, and one that came too early", async () => {
  const { client, end } = await started();
  const long = new AbortController();
  const waiting = new AbortController();
  const first = client.request("generate", ["a", { maxTokens: 1e9 }], { signal: long.signal });
  const second = client.request("memory", [], { signal: waiting.signal });
  waiting.abort();
  long.abort();
  await assert.rejects(first, { name: "AbortError" });
  await assert.rejects(second, { name: "AbortError" });
  await assert.rejects(client.request("memory", [], { signal: AbortSignal.abort() }), { name: "AbortError" });
  end();
});

test("an abort that comes too late changes nothing, and its listener is let go", async () => {
  const { client, worker, end } = await started();
  const controller = new AbortController();
  await client.request("memory", [], { signal: controller.signal });
  const before = worker.received.length;
  controller.abort();
  assert.equal(worker.received.length, before);
  end();
});

test("a trap ends the worker and rejects everything that is pending", async () => {
  const { client, worker } = await started();
  const deaths = [];
  client.onDeath = (error) => deaths.push(error.code);
  const results = await Promise.allSettled([client.request("generate", [TRAP, {}]), client.request("memory", [])]);
  assert.deepEqual(results.map(({ reason }) => reason.code), ["worker-died", "worker-died"]);
  assert.deepEqual(deaths, ["worker-died"]);
  assert.ok(worker.terminated);
  await assert.rejects(client.request("memory", []), code("worker-died"));
});

test("an error event and an unreadable message are deaths as well", async () => {
  for (const happen of [(worker) => worker.onerror({ message: "boom" }), (worker) => worker.onmessageerror({})]) {
    const { client, worker } = await started();
    const pending = client.request("memory", []);
    happen(worker);
    await assert.rejects(pending, code("worker-died"));
  }
});

test("closing settles what is pending and what comes later", async () => {
  const { client, end } = await started();
  const pending = client.request("generate", ["a", { maxTokens: 1e9 }]);
  end();
  await assert.rejects(pending, code("disposed"));
  await assert.rejects(client.request("memory", []), code("disposed"));
});

test("a worker whose script cannot be loaded is a clear error", async () => {
  const worker = { postMessage() {}, terminate() {}, onmessage: null, onerror: null, onmessageerror: null };
  const starting = Client.start(() => worker);
  worker.onmessage({ data: { id: 0, event: "failed", code: "worker-script", message: "404", fatal: false } });
  await assert.rejects(starting, code("worker-script"));
});

test("starting can be aborted", async () => {
  const worker = { postMessage() {}, terminate() { this.ended = true; }, onmessage: null, onerror: null, onmessageerror: null };
  const controller = new AbortController();
  const starting = Client.start(() => worker, controller.signal);
  controller.abort();
  await assert.rejects(starting, { name: "AbortError" });
  assert.ok(worker.ended);
});

test("every request gets exactly one done or failed", async () => {
  const closed = new Map();
  const answers = [];
  const scope = {
    onmessage: null,
    postMessage(answer) {
      answers.push(answer);
      if (answer.event === "done" || answer.event === "failed") closed.set(answer.id, (closed.get(answer.id) ?? 0) + 1);
    },
  };
  const { fakeEngine } = await import("./fake.js");
  serve(scope, fakeEngine);
  const send = (id, method, ...args) => scope.onmessage({ data: { id, method, args } });
  send(1, "load", MODEL);
  send(2, "generate", "ab", { maxTokens: 5 });
  send(3, "generate", "ab", { maxTokens: 1e9 });
  send(4, "step");
  send(5, "nonsense");
  await new Promise((resolve) => setTimeout(resolve, 50));
  scope.onmessage({ data: { id: 3, abort: true } });
  scope.onmessage({ data: { id: 3, abort: true } });
  scope.onmessage({ data: { id: 99, abort: true } });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([...closed], [0, 1, 2, 3, 4, 5].map((id) => [id, 1]));
  const last = answers.findLastIndex(({ id }) => id === 3);
  assert.equal(answers[last].event, "failed", "nothing comes after the closing answer");
});
