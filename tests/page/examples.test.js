// www/embed/: every example runs, under the page's strict policy, and the source beside it is the source that runs.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DEVICES, LANGUAGES, pageTest } from "./harness.js";
import { WWW } from "./sites.js";

const open = async (visit) => {
  await visit.page.goto(`${visit.origin}/some/where/embed/index.html`);
  await visit.page.waitForFunction(() => [...document.querySelectorAll("[data-source]")].every((place) => place.textContent));
};

/** One of the page's frames, once it is loaded: as a locator, and as what can be evaluated in. */
async function framed({ page }, selector) {
  await page.locator(selector).scrollIntoViewIfNeeded();
  const frame = page.frameLocator(selector);
  await frame.locator("lora-lab").waitFor();
  return { frame, inside: await (await page.locator(selector).elementHandle()).contentFrame() };
}

pageTest("what stands beside an example is its source, letter for letter", async (visit) => {
  await open(visit);
  const shown = await visit.page.evaluate(() => [...document.querySelectorAll("[data-source]")].map((place) => [place.dataset.source, place.textContent]));
  assert.ok(shown.length >= 3);
  const html = await readFile(join(WWW, "embed/index.html"), "utf8");
  for (const [name, text] of shown) {
    if (name.endsWith(".js")) {
      assert.equal(text, (await readFile(join(WWW, "embed", name), "utf8")).trimEnd());
      continue;
    }
    const at = html.indexOf(`<!-- ${name} -->`);
    for (const line of text.split("\n")) assert.ok(html.indexOf(line.trim(), at) > at, line);
    assert.ok(text.startsWith("<"), text);
  }
  const three = shown.find(([name]) => name === "three")[1];
  assert.equal(three.split("\n").length, 3);
  const engine = shown.find(([name]) => name === "engine.js")[1];
  assert.ok(engine.split("\n").length <= 20);
  assert.deepEqual(visit.errors, []);
});

pageTest("the three lines train", async (visit) => {
  await open(visit);
  await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing);
  await visit.page.evaluate(() => Object.assign(document.querySelector("lora-lab"), { steps: 4 }));
  await visit.until((state) => state.settings.steps === 4 && state.corpus.id === "robot");
  await visit.page.locator("lora-lab").getByRole("button", { name: "Train", exact: true }).click();
  await visit.until((state) => state.phase === "done" && state.after.text && !state.after.writing);
  const { run, settings } = await visit.state();
  assert.equal(settings.rank, 4);
  assert.ok(run.heldOut < run.firstHeldOut);
  assert.deepEqual(visit.errors, []);
});

pageTest("the frame waits for its click and then compares, with the parameters of its address", async (visit) => {
  const { page } = visit;
  await open(visit);
  const { frame, inside } = await framed(visit, "iframe:not([sandbox])");
  await frame.getByRole("button", { name: "Start" }).waitFor();
  assert.equal(await inside.evaluate(() => document.querySelector("lora-lab").state), undefined);
  // The same in less time: steps are a parameter as well.
  await inside.evaluate(() => document.querySelector("lora-lab").setAttribute("steps", "3"));
  await frame.getByRole("button", { name: "Start" }).click();
  await frame.getByText(/with the adapter, 3 steps/).waitFor({ timeout: 40_000 });
  const { settings, corpus } = await inside.evaluate(() => document.querySelector("lora-lab").state);
  assert.deepEqual([settings.prompt, corpus.id, settings.steps], ["Mix the", "recipes", 3]);
  assert.equal(await inside.evaluate(() => document.querySelector("lora-lab").theme), "dark");
  assert.deepEqual(visit.errors, []);
});

pageTest("the sandboxed frame has no origin, trains all the same, and its shelf is in memory", async (visit) => {
  await open(visit);
  const { frame, inside } = await framed(visit, "iframe[sandbox]");
  assert.equal(await visit.page.locator("iframe[sandbox]").getAttribute("sandbox"), "allow-scripts");
  assert.equal(await inside.evaluate(() => origin), "null");
  await inside.evaluate(() => Object.assign(document.querySelector("lora-lab"), { steps: 3 }));
  await frame.getByRole("button", { name: "Start" }).click();
  await frame.getByRole("button", { name: "Train", exact: true }).click({ timeout: 40_000 });
  await frame.getByText(/with the adapter, 3 steps/).waitFor({ timeout: 40_000 });
  // A shelf belongs to the view with chapters.
  await inside.evaluate(() => document.querySelector("lora-lab").setAttribute("view", "full"));
  await frame.locator("[part=storage]").scrollIntoViewIfNeeded();
  await frame.getByText(LANGUAGES.en["shelf.memory"]).waitFor();
  assert.deepEqual(visit.errors, []);
}, { seconds: 90 });

pageTest("the engine alone trains and writes, and ends its worker", async (visit) => {
  const { page } = visit;
  await open(visit);
  await page.evaluate(() => document.querySelector("lora-lab").remove());
  await visit.workers(0);
  await page.locator("#run").focus();
  await page.keyboard.press("Enter");
  const said = page.locator("#said");
  await page.waitForFunction(() => !document.getElementById("run").disabled && /step 20/.test(document.getElementById("said").textContent), undefined, { timeout: 120_000 });
  const text = await said.textContent();
  const losses = [...text.matchAll(/^step \d+: loss on unseen text ([\d.]+)$/gm)].map(([, loss]) => Number(loss));
  assert.equal(losses.length, 4);
  assert.ok(losses[3] < losses[0], String(losses));
  assert.ok(text.split("step 20")[1].trim().length > 40, text);
  await visit.workers(0);
  assert.deepEqual(visit.errors, []);
}, { seconds: 150 });

for (const [name, device] of Object.entries(DEVICES)) {
  pageTest(`on a ${name} a press turns the examples to Hindi and back, frames too, without loading them anew; it is remembered`, async (visit) => {
    const { page } = visit;
    await open(visit);
    const both = await Promise.all(["iframe:not([sandbox])", "iframe[sandbox]"].map((selector) => framed(visit, selector)));
    await page.evaluate(() => (window.stayed = true));
    for (const { inside } of both) await inside.evaluate(() => (window.stayed = true));
    await visit.press("हिन्दी");
    const { hi, en } = LANGUAGES;
    await page.getByRole("heading", { name: hi["examples.three.heading"] }).waitFor();
    await page.locator("lora-lab").getByRole("button", { name: hi["train.train"], exact: true }).waitFor();
    for (const { frame, inside } of both) {
      await frame.getByRole("button", { name: hi["poster.start"] }).waitFor();
      assert.deepEqual(await inside.evaluate(() => [window.stayed, document.documentElement.lang]), [true, "hi"]);
    }
    assert.deepEqual([await page.title(), await page.locator("html").getAttribute("lang")], [hi["examples.title"], "hi"]);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
    await open(visit);
    await page.getByRole("heading", { name: hi["examples.three.heading"] }).waitFor();
    await visit.press("English");
    await page.getByRole("heading", { name: en["examples.three.heading"] }).waitFor();
    assert.deepEqual(visit.errors, []);
  }, { device });
}

pageTest("the examples speak Hindi to whoever comes by a link that says so, and nothing is wider than a phone", async (visit) => {
  await visit.page.goto(`${visit.origin}/some/where/embed/index.html#lang=hi`);
  await visit.page.getByRole("heading", { name: "तीन लाइनें" }).waitFor();
  await visit.page.locator("lora-lab").getByRole("button", { name: "ट्रेन करें", exact: true }).waitFor();
  assert.ok((await visit.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
  assert.deepEqual(visit.errors, []);
}, { device: DEVICES.phone });
