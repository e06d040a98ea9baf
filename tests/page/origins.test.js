// The element in pages of another origin, in sandboxed frames, and under the policies that such pages have.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { unzipSync } from "fflate";
import hi from "../../www/i18n/hi.js";
import { openAll, pageTest } from "./harness.js";
import { CORS, QUICK, WWW, docs, html, policy, theirSite } from "./sites.js";
import { serveFolder } from "./server.js";

/** Two servers, ours with these headers, and a page on the other. */
async function across(visit, headers, page, use, theirHeaders) {
  const ours = await serveFolder(WWW, { headers });
  const theirs = await theirSite({ "index.html": page(ours) }, theirHeaders);
  try {
    await visit.page.goto(theirs.url);
    await use(ours, theirs);
  } finally {
    await theirs.close();
    await ours.close();
  }
}

const element = `<lora-lab view="compact" ${QUICK}></lora-lab>`;

pageTest("from another origin it trains, in a page without a policy", async (visit) => {
  await across(visit, CORS, ({ url }) => html(element, { script: `${url}element.js` }), async (ours) => {
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
    await visit.train();
    const { run } = await visit.state();
    assert.equal(run.step, 4);
    assert.ok(run.heldOut < run.firstHeldOut, `${run.heldOut} after ${run.firstHeldOut}`);
    assert.ok(visit.requests.some((url) => url.startsWith(ours.url) && url.endsWith(".wasm")));
    assert.deepEqual(visit.errors, []);
  });
});

/** What a press makes the browser save. */
async function saved({ page }, press, count) {
  const files = [];
  const keep = (download) => files.push(download);
  page.on("download", keep);
  await press();
  for (let tries = 0; files.length < count; tries++) {
    assert.ok(tries < 400, `${files.length} of ${count} files were saved`);
    await page.waitForTimeout(50);
  }
  page.off("download", keep);
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file.suggestedFilename(), await readFile(await file.path())])));
}

pageTest("under the strict policy of the docs the whole lab works: training, its chart, the race, every chapter, and export", async (visit) => {
  const { page } = visit;
  const theirs = ({ url, origin }) => html(`<lora-lab ${QUICK}></lora-lab>`, { script: `${url}element.js`, policy: policy(origin) });
  await across(visit, CORS, theirs, async (ours) => {
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
    await visit.train();
    await page.locator(".train .uplot").waitFor();
    assert.ok(await page.evaluate(() => [...document.querySelector("lora-lab").shadowRoot.querySelectorAll("link")].every(({ sheet }) => sheet)), "the chart's sheet has come");
    await visit.see("efficient");
    await visit.press("Train both");
    await visit.until((state) => state.race.phase === "done" && state.race.judged);
    const { run, race } = await visit.state();
    assert.ok(run.heldOut < run.firstHeldOut, `${run.heldOut} after ${run.firstHeldOut}`);
    for (const { before, now } of Object.values(race.racers)) assert.ok(now.heldOut < before.heldOut);
    await openAll(visit);

    const adapter = await saved(visit, () => visit.press("Save adapter"), 2);
    assert.equal(JSON.parse(adapter["adapter_config.json"]).r, 4);
    const folder = await saved(visit, () => visit.press("Export the folder"), 1);
    const files = unzipSync(new Uint8Array(folder["lora-lab-run.zip"]));
    assert.deepEqual(Buffer.from(files["lora-lab-run/adapter/adapter_model.safetensors"]), adapter["adapter_model.safetensors"]);
    assert.deepEqual(visit.requests.filter((url) => ![ours.url, page.url(), "blob:", "data:"].some((start) => url.startsWith(start))), []);
    assert.deepEqual(visit.errors, []);
  });
}, { seconds: 120 });

pageTest("a page that is isolated by COOP and COEP may hold it, and has all of its sheets", async (visit) => {
  const full = `<lora-lab ${QUICK}></lora-lab>`;
  await across(visit, CORS, ({ url }) => html(full, { script: `${url}element.js` }), async () => {
    assert.equal(await visit.page.evaluate(() => crossOriginIsolated), true);
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
    await visit.train();
    await visit.page.waitForFunction(() => document.querySelector("lora-lab").shadowRoot.querySelector("link")?.sheet?.cssRules.length > 0);
    assert.deepEqual(visit.errors, []);
  }, { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" });
});

pageTest("a policy without the worker's line says so in the page instead of hanging", async (visit) => {
  const page = ({ url, origin }) => html(element, { script: `${url}element.js`, policy: policy(origin).replace(/worker-src [^;]*/, "worker-src 'none'") });
  await across(visit, CORS, page, async () => {
    await visit.until((state) => state.phase === "broken");
    assert.match(await visit.page.locator("[role=alert]:visible").textContent(), /engine/);
  });
});

/** The frame of the docs, as it stands there but for fewer steps. */
const framed = ({ url }) => docs.match(/<iframe[\s\S]*?<\/iframe>/)[0].replace("https://lab.example/", url).replace("steps=40", "steps=4&batch=2&block=32&length=12");
/** The policy that the docs give to whoever holds it. */
const framePolicy = (origin) => `default-src 'none'; ${docs.match(/^frame-src .*$/m)[0].replace("https://lab.example", origin)}`;

for (const strict of [false, true]) {
  pageTest(`the sandboxed frame of the docs trains without an origin of its own, ${strict ? "under their policy for who holds it" : "in a page without a policy"}`, async (visit) => {
    const { page } = visit;
    await across(visit, CORS, (ours) => html(framed(ours), { policy: strict ? framePolicy(ours.origin) : undefined }), async () => {
      const frame = page.frameLocator("iframe");
      await frame.locator("lora-lab").waitFor();
      const inside = page.frames()[1];
      assert.equal(await inside.evaluate(() => origin), "null");
      assert.equal(await inside.evaluate(() => { try { return String(localStorage); } catch (error) { return error.name; } }), "SecurityError");
      await frame.getByRole("button", { name: hi["train.train"], exact: true }).click({ timeout: 40_000 });
      await frame.getByRole("button", { name: hi["train.again"] }).waitFor({ timeout: 40_000 });
      const { corpus, run } = await inside.evaluate(() => document.querySelector("lora-lab").state);
      assert.deepEqual([corpus.id, run.step], ["recipes", 4]);
      assert.ok(run.heldOut < run.firstHeldOut);
      assert.deepEqual(visit.errors, []);
    });
  });
}

pageTest("a page whose policy names another host does not get the frame", async (visit) => {
  await across(visit, CORS, (ours) => html(framed(ours), { policy: framePolicy("https://lab.example") }), async (ours) => {
    await visit.page.waitForTimeout(500);
    assert.deepEqual(visit.requests.filter((url) => url.startsWith(ours.url)), []);
    assert.match(visit.errors.join(), /frame-src/);
  });
});
