// www/embed/: every example runs, under the page's strict policy, and the source beside it is the source that runs.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DEVICES, pageTest } from "./harness.js";
import { WWW } from "./sites.js";

const open = async (visit) => {
  await visit.page.goto(`${visit.origin}/some/where/embed/index.html`);
  await visit.page.waitForFunction(() => [...document.querySelectorAll("[data-source]")].every((place) => place.textContent));
};

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
  await page.locator("iframe").scrollIntoViewIfNeeded();
  const frame = page.frameLocator("iframe");
  await frame.getByRole("button", { name: "Start" }).waitFor();
  const inside = page.frames().find((one) => one.url().includes("frame.html"));
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

pageTest("the examples speak Hindi to whoever reads it, and nothing is wider than a phone", async (visit) => {
  await visit.page.goto(`${visit.origin}/some/where/embed/index.html#lang=hi`);
  await visit.page.getByRole("heading", { name: "तीन लाइनें" }).waitFor();
  await visit.page.locator("lora-lab").getByRole("button", { name: "ट्रेन करें", exact: true }).waitFor();
  assert.ok((await visit.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
  assert.deepEqual(visit.errors, []);
}, { device: DEVICES.phone });
