// The engine's build and its number of workers, chosen as a reader does.
import assert from "node:assert/strict";
import { QUICK, everyReader, pageTest } from "./harness.js";

everyReader("the fast build and more workers take over what was trained, and go on", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  assert.deepEqual(await visit.state().then(({ lanes }) => lanes), "simd128");
  await visit.train();
  const logits = "async (lab) => [...(await lab.logits(await lab.encode('Once upon a time')))]";
  const before = await visit.engine(logits);
  await visit.press(page.getByText(word("train.more")));
  const fast = page.getByRole("checkbox", { name: word("train.fast") });
  await visit.press(fast);
  await visit.until((state) => state.lanes === "relaxed-simd" && !state.after.writing && !state.digest.checking);
  await page.getByText(word("train.engine", { lanes: "relaxed-simd", count: 1 })).waitFor();
  const after = await visit.engine(logits);
  assert.ok(after.every((value, i) => Math.abs(value - before[i]) < 1e-2), "the same adapter, rounded otherwise");
  await page.getByLabel(word("train.workers")).fill("2");
  await page.keyboard.press("Enter");
  await visit.until((state) => state.workers === 2);
  await visit.press(word("train.reset"));
  await visit.train();
  const { run, digest } = await visit.state();
  assert.equal(run.step, QUICK.steps);
  assert.ok(digest.now === digest.first);
  assert.match(page.url(), /workers=2&fast=1/);
  await visit.press(fast);
  await visit.until((state) => state.lanes === "simd128");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(visit.errors, []);
});

pageTest("a number of workers that is changed twice at once, and a press on Train right after, are all done", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  await visit.press(page.getByText(word("train.more")));
  const workers = page.getByLabel(word("train.workers"));
  for (const number of ["8", "2"]) {
    await workers.fill(number);
    await page.keyboard.press("Enter");
  }
  await visit.press(word("train.train"));
  await visit.until((state) => state.phase === "done" && state.after.text && !state.after.writing);
  const { workers: now, problem, run } = await visit.state();
  assert.deepEqual([now, problem, run.step], [2, undefined, QUICK.steps]);
  assert.deepEqual(visit.errors, []);
});

pageTest("a link chooses both before anything is loaded, and a browser without relaxed SIMD takes the other build", async (visit) => {
  await visit.ready({ ...QUICK, workers: 2, fast: 1 });
  const { lanes, workers } = await visit.state();
  assert.deepEqual([lanes, workers], ["relaxed-simd", 2]);
  assert.ok(visit.requests.some((url) => url.endsWith("pkg/relaxed/lora_lab_bg.wasm")));
  assert.ok(!visit.requests.some((url) => url.endsWith("pkg/lora_lab_bg.wasm")));
  await visit.page.addInitScript(() => {
    const { validate } = WebAssembly;
    // The probe of relaxed SIMD is the longer one.
    WebAssembly.validate = (bytes) => bytes.length < 40 && validate.call(WebAssembly, bytes);
  });
  await visit.page.reload();
  await visit.until((state) => state.phase === "ready");
  assert.equal((await visit.state()).lanes, "simd128");
  await visit.press(visit.page.getByText("More settings"));
  assert.ok(await visit.page.getByRole("checkbox", { name: /^Fast build/ }).isDisabled());
  await visit.page.getByText("this browser has no relaxed SIMD").waitFor();
  assert.deepEqual(visit.errors, []);
});

pageTest("in the browser one, two and three workers train the same adapter bit for bit, in either build", async (visit) => {
  await visit.ready();
  const results = await visit.page.evaluate(async () => {
    const { LoraLab } = await import(new URL("lora-lab.js", document.baseURI).href);
    const text = document.querySelector("lora-lab").state.corpus.text.slice(0, 6000);
    const runs = [];
    for (const fast of [false, true]) {
      for (const workers of [1, 2, 3]) {
        const lab = await LoraLab.load({ workers, fast });
        await lab.attach({ rank: 4, seed: 7, dropout: 0.1 });
        await lab.beginTraining({ text, steps: 3, batchSize: 3, blockSize: 32, heldOut: 0.2, learningRate: 0.01, seed: 3 });
        while ((await lab.memories()).length < workers) await new Promise((resolve) => setTimeout(resolve, 10));
        const losses = [];
        for await (const { loss } of lab.train()) losses.push(loss);
        const { safetensors } = await lab.exportAdapter();
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", safetensors));
        runs.push({ lanes: lab.lanes, workers: lab.workers, losses, digest: [...digest].join() });
        await lab.dispose();
      }
    }
    return runs;
  });
  assert.deepEqual(results.map(({ lanes, workers }) => [lanes, workers]), ["simd128", "relaxed-simd"].flatMap((lanes) => [1, 2, 3].map((workers) => [lanes, workers])));
  const [exact, , , fused] = results;
  for (const [i, { losses, digest }] of results.entries()) {
    const first = i < 3 ? exact : fused;
    assert.deepEqual([losses, digest], [first.losses, first.digest], `run ${i}`);
  }
  fused.losses.forEach((loss, i) => assert.ok(Math.abs(loss - exact.losses[i]) < 1e-4, `${loss}, ${exact.losses[i]}`));
  assert.notEqual(fused.digest, exact.digest, "fused, it rounds differently: else it is not the other build");
  assert.deepEqual(visit.errors, []);
}, { seconds: 120 });
