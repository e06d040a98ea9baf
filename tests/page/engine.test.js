// The engine where it runs: in a worker, under the page's policy.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { walk, walkFull } from "../features.js";
import { QUICK, pageTest } from "./harness.js";

pageTest("every feature of the core is reachable from the page", async (visit) => {
  await visit.ready();
  const text = (await visit.state()).corpus.text.slice(0, 6000);
  const seen = await visit.engine(walk, text);
  visit.t.diagnostic(`${seen.length} features`);
  assert.ok(seen.length > 50);
  assert.deepEqual(visit.errors, []);
}, { seconds: 150 });

pageTest("full fine-tuning runs beside the page's own engine", async (visit) => {
  await visit.ready();
  const text = (await visit.state()).corpus.text.slice(0, 6000);
  const seen = await visit.page.evaluate(`(async () => {
    const { LoraLab } = await import(new URL("lora-lab.js", document.baseURI).href);
    const lab = await LoraLab.load({ full: true, workers: 1 });
    return (${walkFull})(lab, ${JSON.stringify(text)}).finally(() => lab.dispose());
  })()`);
  assert.ok(seen.length > 8);
  assert.deepEqual(visit.errors, []);
}, { seconds: 100 });

pageTest("the policy keeps the worker from every other origin", async (visit) => {
  const asked = [];
  const stranger = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { "Access-Control-Allow-Origin": "*" }).end("hello");
  });
  await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${stranger.address().port}/`;
  try {
    assert.equal(await (await fetch(`${url}control`)).text(), "hello");
    await visit.ready();
    const [worker] = visit.page.workers();
    const attempt = (target) => worker.evaluate(async (target) => {
      const refusals = [];
      addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => refusals.push(`${effectiveDirective} ${blockedURI}`));
      const answer = await fetch(target).then((response) => response.status, (error) => error.name);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return [answer, ...refusals];
    }, target);
    assert.deepEqual(await attempt(`${visit.origin}/some/where/index.html`), [200], "its own origin answers");
    assert.deepEqual(await attempt(`${url}worker`), ["TypeError", `connect-src ${url}worker`]);
    const model = await visit.page.evaluate(async (url) => {
      const { LoraLab } = await import(new URL("lora-lab.js", document.baseURI).href);
      return LoraLab.load({ model: `${url}model` }).then(() => "loaded", (error) => error.code);
    }, url);
    assert.equal(model, "fetch");
    assert.deepEqual(asked, ["/control"], "nothing reached the stranger");
  } finally {
    stranger.close();
  }
});

pageTest("a worker that dies is replaced, and training goes on from the last saved step", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, steps: 300 });
  await visit.button("Train").click();
  await visit.until((state) => state.run?.step >= 4);
  const [worker] = page.workers();
  await worker.evaluate(() => void setTimeout(() => { throw new Error("died in a test"); }));
  await visit.until((state) => state.phase === "paused" && state.problem?.code === "worker-died");
  await page.locator("[part=train] [role=alert]:visible").waitFor();
  await visit.until((state) => state.after.text && !state.after.writing && !state.digest.checking);
  assert.equal(page.workers().length, 1);
  await visit.button("Resume").click();
  await visit.until((state) => state.phase === "training" && state.run.step >= 6);
  await visit.button("Pause").click();
  await visit.settled("paused");
  const { digest, run } = await visit.state();
  assert.equal(digest.now, digest.first, "the new worker has the same base");
  assert.deepEqual(run.points.step, run.points.step.map((_, index) => index));
});

pageTest("the engine runs without any interface, several at once, and aborts when told", async (visit) => {
  await visit.ready();
  const result = await visit.page.evaluate(async () => {
    const { LoraLab } = await import(new URL("lora-lab.js", document.baseURI).href);
    const controller = new AbortController();
    const aborted = await LoraLab.load({ model: "models/tiny", signal: controller.signal, onProgress: () => controller.abort() }).then(() => "loaded", (error) => error.name);
    const missing = await LoraLab.load({ model: "models/none/" }).then(() => "loaded", (error) => error.code);
    const phases = new Set();
    const lab = await LoraLab.load({ model: "models/tiny", onProgress: ({ phase }) => phases.add(phase) });
    let text = "";
    const stop = new AbortController();
    const cut = await lab
      .generate("Once", { maxTokens: 1000, stopAtEnd: false, signal: stop.signal, onText: (part) => { text += part; stop.abort(); } })
      .then(() => "written", (error) => error.name);
    const { ids } = await lab.generate("Once", { maxTokens: 3, temperature: 0, stopAtEnd: false });
    await lab.dispose();
    const after = await lab.memory().catch((error) => error.code);
    return { aborted, missing, phases: [...phases].sort(), cut, short: text.length < 200, ids: ids.length, after };
  });
  assert.deepEqual(result, { aborted: "AbortError", missing: "fetch", phases: ["engine", "weights"], cut: "AbortError", short: true, ids: 3, after: "disposed" });
  await visit.workers(1);
  assert.deepEqual(await visit.page.evaluate(() => window.engines), []);
});

pageTest("a browser without SIMD gets a message that names those that have it", async (visit) => {
  await visit.open();
  await visit.until((state) => state.phase === "broken");
  const message = await visit.page.locator("[role=alert]:visible").textContent();
  for (const browser of ["Chrome", "91", "Firefox", "89", "Safari", "16.4"]) assert.ok(message.includes(browser), message);
  assert.equal(visit.page.workers().length, 0);
  assert.ok(!visit.requests.some((url) => url.endsWith(".wasm")), "nothing was downloaded for nothing");
  assert.deepEqual(visit.errors, []);
}, { init: () => { WebAssembly.validate = () => false; } });

pageTest("taken out of the page, the element ends its worker; put back, it starts again", async (visit) => {
  await visit.ready();
  await visit.page.evaluate(() => { window.kept = document.querySelector("lora-lab"); window.kept.remove(); });
  await visit.workers(0);
  await visit.page.evaluate(() => document.querySelector("main").append(window.kept));
  await visit.until((state) => state.phase === "ready" && state.digest.now);
  assert.equal(visit.page.workers().length, 1);
  assert.deepEqual(visit.errors, []);
});
