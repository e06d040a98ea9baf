// dist/ with and without its server: what the service worker keeps, and how the next version takes its place.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { QUICK, pageTest } from "../page/harness.js";
import { serveFolder } from "../page/server.js";

const SITE = fileURLToPath(new URL("../../dist/", import.meta.url));
const settings = `#${new URLSearchParams(QUICK)}`;

const ready = (visit) => visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);

/** The worker is there and has kept everything. */
const kept = (visit) => visit.page.evaluate(async () => {
  await navigator.serviceWorker.ready;
  const names = await caches.keys();
  return Promise.all(names.map(async (name) => [name, (await (await caches.open(name)).keys()).length]));
});

/** Wait until the page's registration, or its absence, is as wanted. Not by waitForFunction, which the page's policy forbids. */
async function registration(visit, wanted) {
  for (let tries = 0; ; tries++) {
    const found = await visit.page.evaluate(async () => {
      const { active, waiting, installing } = (await navigator.serviceWorker.getRegistration()) ?? {};
      return Object.entries({ active, waiting, installing }).filter(([, worker]) => worker).map(([name]) => name).join();
    });
    if (found === wanted) return;
    assert.ok(tries < 400, `expected "${wanted}", got "${found}"`);
    await visit.page.waitForTimeout(50);
  }
}

async function listed() {
  const text = await readFile(join(SITE, "sw-files.js"), "utf8");
  return JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
}

pageTest("after one visit everything works without the server, training and another text included", async (visit) => {
  const { page } = visit;
  const site = await serveFolder(SITE);
  await page.goto(site.url + settings);
  await ready(visit);
  const { files, version } = await listed();
  assert.deepEqual(await kept(visit), [[`lora-lab ${site.url} ${version}`, Object.keys(files).length]]);
  await site.close();
  // For the test's own sake: without the worker nothing would answer now.
  await assert.rejects(fetch(site.url));
  await page.goto("about:blank");
  await page.goto(site.url + settings);
  await ready(visit);
  await visit.train();
  const { run } = await visit.state();
  assert.ok(run.heldOut < run.firstHeldOut, `${run.heldOut} after ${run.firstHeldOut}`);
  await page.getByRole("radio", { name: /robot/i }).check();
  await visit.until((state) => state.corpus.id === "robot");
  await page.goto(`${site.url}embed/frame.html?view=compact&start=click`);
  await page.getByRole("button", { name: "Start" }).waitFor();
  assert.deepEqual(visit.errors, []);
}, { seconds: 90 });

pageTest("a new version is taken on the next visit; what has not changed is not fetched again", async (visit) => {
  const { page } = visit;
  const first = await serveFolder(SITE);
  await page.goto(first.url + settings);
  await ready(visit);
  await kept(visit);
  await first.close();

  const { files } = await listed();
  const words = (await readFile(join(SITE, "i18n/en/first.js"), "utf8")).replace('"train.train": "Train"', '"train.train": "Train now"');
  files["i18n/en/first.js"] = createHash("sha256").update(words).digest("hex");
  const asked = [];
  const options = {
    port: first.port,
    pages: { "i18n/en/first.js": words, "sw-files.js": `self.LORA_LAB = ${JSON.stringify({ version: "next", files })};` },
    override: (file) => void asked.push(file),
  };
  const second = await serveFolder(SITE, options);
  try {
    await page.goto("about:blank");
    await page.goto(second.url + settings);
    await visit.until((state) => state.phase === "ready");
    assert.equal(await visit.button("Train").isVisible(), true, "the visit under way keeps the version it began with");
    await page.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
    await registration(visit, "active,waiting");
    await page.goto("about:blank");
    await page.waitForTimeout(500);
    await page.goto(second.url + settings);
    await visit.button("Train now").waitFor();
    await registration(visit, "active");
    assert.deepEqual((await kept(visit)).map(([name]) => name), [`lora-lab ${second.url} next`]);
    assert.deepEqual(asked.filter((file) => /\.wasm|\.safetensors|index\.html/.test(file)), []);
    assert.deepEqual(visit.errors, []);
  } finally {
    await second.close();
  }
}, { seconds: 90 });

pageTest("a version of which a file is another than it says is not taken", async (visit) => {
  const { page } = visit;
  const { files } = await listed();
  const lying = { version: "half", files: { ...files, "lab/plan.js": files["lab/hash.js"] } };
  const asked = [];
  const pages = { "sw-files.js": `self.LORA_LAB = ${JSON.stringify(lying)};` };
  const site = await serveFolder(SITE, { pages, override: (file) => void asked.push(file) });
  try {
    await page.goto(site.url + settings);
    await ready(visit);
    // Once by the page, and once more by what fills the cache.
    while (asked.filter((file) => file === "lab/plan.js").length < 2) await page.waitForTimeout(20);
    await registration(visit, "");
  } finally {
    await site.close();
  }
});

pageTest("what `serve` serves registers nothing", async (visit) => {
  await visit.ready();
  await visit.page.waitForTimeout(300);
  assert.equal(await visit.page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length), 0);
  assert.ok(!visit.requests.some((url) => /sw|offline\.js/.test(new URL(url).pathname.split("/").pop())));
});
