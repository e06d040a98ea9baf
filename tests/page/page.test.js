// The whole page in headless Chromium, used as a reader uses it.
import assert from "node:assert/strict";
import { CHAPTERS } from "../../www/element/view/chapters.js";
import { DEVICES, LANGUAGES, QUICK, everyReader, pageTest } from "./harness.js";

everyReader("a reader trains: unseen loss falls, the voice changes, the base does not, and nothing leaves the origin", async (visit) => {
  const { page } = visit;
  await visit.ready();
  const baseText = (await visit.state()).before.text;
  await visit.train();
  const { run, before, after, digest, adapter, baseBytes } = await visit.state();
  assert.ok(run.heldOut < run.firstHeldOut, `${run.heldOut} after ${run.firstHeldOut}`);
  assert.equal(run.points.step.length, QUICK.steps + 1);
  assert.equal(before.text, baseText);
  assert.notEqual(after.text, baseText);
  assert.match(digest.now, /^[0-9a-f]{64}$/);
  assert.equal(digest.now, digest.first);
  assert.ok(adapter.bytes < baseBytes / 10, `${adapter.bytes} of ${baseBytes}`);
  await visit.see("proof");
  await page.getByText(visit.word("proof.match", { count: digest.checks })).waitFor();

  const off = await visit.engine(`async (lab, prompt) => {
    const greedy = { temperature: 0, maxTokens: 30 };
    await lab.setEnabled(false);
    const disabled = await lab.generate(prompt, greedy);
    await lab.setEnabled(true);
    const [off, on] = [await lab.generate(prompt, { ...greedy, adapter: false }), await lab.generate(prompt, greedy)];
    return [[...disabled.ids], [...off.ids], [...on.ids]];
  }`, "Once upon a time");
  assert.deepEqual(off[0], off[1]);
  assert.notDeepEqual(off[2], off[1]);

  assert.deepEqual(await page.evaluate(() => window.engines), [], "no engine on the main thread");
  assert.equal(page.workers().length, 1);
  const strangers = visit.requests.filter((url) => !url.startsWith(`${visit.origin}/some/where/`) && !url.startsWith("blob:"));
  assert.deepEqual(strangers, []);
  assert.ok(visit.requests.some((url) => url.endsWith(".wasm")), "requests of the worker are seen as well");
  assert.deepEqual(visit.errors, []);
  visit.t.diagnostic(`longest task on the main thread: ${await page.evaluate(() => window.longestTask)} ms (0: none over 50)`);
});

everyReader("pause acts within one step, and training goes on from there", async (visit) => {
  const { page, word } = visit;
  await visit.ready({ ...QUICK, steps: 500 });
  await visit.press(word("train.train"));
  await visit.until((state) => state.run?.step >= 3);
  // Which step it is when the press arrives, only the page knows.
  await page.evaluate(() => addEventListener("click", () => (window.at = document.querySelector("lora-lab").state.run.step), { capture: true, once: true }));
  await visit.press(word("train.pause"));
  const at = await page.evaluate(() => window.at);
  await visit.settled("paused");
  const stood = (await visit.state()).run.step;
  assert.ok(stood <= at + 1, `${stood} after a pause at ${at}`);
  await visit.press(word("train.step"));
  await visit.until(`(state) => state.phase === "paused" && state.run.step === ${stood + 1}`);
  await visit.press(word("train.resume"));
  await visit.until(`(state) => state.run.step >= ${stood + 3}`);
  await visit.press(word("train.pause"));
  await visit.settled("paused");
  const { points } = (await visit.state()).run;
  assert.deepEqual(points.step, points.step.map((_, index) => index));
  await visit.press(word("train.reset"));
  await visit.until((state) => state.phase === "ready" && !state.run && !state.adapter);
  assert.deepEqual(visit.errors, []);
});

everyReader("settings come from the link and go back into it", async (visit) => {
  const { page, word } = visit;
  const sample = (id) => page.getByRole("radio", { name: word(`sample.${id}`) });
  const rank = page.getByLabel(word("train.rank")).first();
  await visit.ready({ ...QUICK, sample: "robot", rank: 5, targets: "attn.c_attn", seed: 7, prompt: "The cat", "text-seed": 9 });
  const { settings, corpus } = await visit.state();
  assert.deepEqual([settings.sample, settings.rank, settings.targets, settings.seed, settings.prompt], ["robot", 5, ["attn.c_attn"], 7, "The cat"]);
  assert.match(corpus.text, /LOG/);
  assert.equal(await rank.inputValue(), "5");
  assert.equal(await sample("robot").isChecked(), true);
  assert.equal(await page.getByLabel(word("compare.prompt")).inputValue(), "The cat");
  await visit.slide(rank, 11);
  await visit.press(sample("recipes"));
  await visit.until(() => ["rank=11", "sample=recipes", "seed=7"].every((part) => location.hash.includes(part)));
  // A second reader opens the link.
  const link = page.url();
  await page.goto("about:blank");
  await page.goto(link);
  await visit.until((state) => state.phase === "ready" && state.settings.rank === 11 && state.corpus?.id === "recipes");
  // And pastes another one into the same page.
  await page.evaluate(() => (location.hash = "#rank=2&sample=names"));
  await visit.until((state) => state.settings.rank === 2 && state.corpus?.id === "names");
  assert.deepEqual(visit.errors, []);
});

everyReader("the link that is copied has the settings of this moment, and says what it leaves behind", async (visit) => {
  const { page, word } = visit;
  await visit.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  const told = page.getByRole("status").filter({ hasText: word("page.copied") });
  await visit.ready();
  await visit.slide(page.getByLabel(word("train.rank")).first(), 11);
  await visit.press(word("page.copy"));
  await told.waitFor();
  assert.match(await copied(), /[#&]rank=11&/);
  assert.ok((await copied()).startsWith(`${visit.origin}/some/where/#`));
  await told.waitFor({ state: "detached" });
  // At once, which no driver's hand is: the address bar follows a moment later.
  const behind = await page.evaluate(() => {
    const rank = document.querySelector("lora-lab").shadowRoot.querySelector("input[name=rank]");
    rank.value = "12";
    rank.dispatchEvent(new Event("input"));
    document.getElementById("copy").click();
    return location.hash;
  });
  assert.match(behind, /[#&]rank=11&/, "this test looks between change and address");
  await told.waitFor();
  assert.match(await copied(), /[#&]rank=12&/);
  assert.ok(!(await told.textContent()).includes(word("data.own.link")));

  await visit.press(page.getByRole("radio", { name: word("sample.own") }));
  await page.locator(".own").getByText(word("data.own.link")).waitFor();
  await visit.press(word("page.copy"));
  await told.getByText(word("data.own.link")).waitFor();
  assert.match(await copied(), /[#&]sample=own&/);
  await page.keyboard.press("Escape");
  await told.waitFor({ state: "detached" });
  assert.deepEqual(visit.errors, []);
});

everyReader("where the clipboard refuses, the link is there to be taken by hand", async (visit) => {
  const { page, word } = visit;
  await visit.ready({ ...QUICK, rank: 7 });
  await visit.press(word("page.copy"));
  const field = page.getByRole("textbox", { name: word("page.copy.link") });
  await page.getByRole("status").getByText(word("page.copy.refused")).waitFor();
  assert.match(await field.inputValue(), /[#&]rank=7&/);
  assert.equal(await page.evaluate(() => getSelection().toString()), await field.inputValue(), "selected as a whole");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/refused-${visit.lang}.png` });
  await page.keyboard.press("Escape");
  await field.waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "copy");
  assert.deepEqual(visit.errors, []);
}, { init: () => Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new DOMException("refused", "NotAllowedError")) } }) });

pageTest("the count of what learns follows the rank at once", async (visit) => {
  const { page } = visit;
  await visit.ready();
  const shown = async () => Number((await page.locator(".parameters .small").textContent()).split(" ")[0].replaceAll(",", ""));
  for (const rank of [1, 16, 64]) {
    await page.getByLabel("Rank").fill(String(rank));
    await visit.until(`() => document.querySelector("lora-lab").shadowRoot.querySelector(".slider output").textContent === "${rank}"`);
    const plan = await visit.engine("(lab, rank) => lab.plan({ rank })", rank);
    assert.equal(await shown(), plan.trainable);
  }
  await visit.press(page.getByText("More settings"));
  await visit.press(page.getByRole("checkbox", { name: /c_attn/ }));
  await visit.until((state) => Array.isArray(state.settings.targets));
  const { settings } = await visit.state();
  const plan = await visit.engine("(lab, options) => lab.plan(options)", { rank: 64, targets: settings.targets });
  assert.equal(await shown(), plan.trainable);
});

pageTest("the same link and seed give the same adapter and the same texts", async (visit) => {
  const once = async () => {
    await visit.ready();
    await visit.train();
    const { before, after, run } = await visit.state();
    const bytes = await visit.engine("async (lab) => [...(await lab.exportAdapter()).safetensors]");
    return { before: before.text, after: after.text, loss: run.points.loss, bytes: Buffer.from(bytes).toString("base64") };
  };
  const first = await once();
  await visit.page.goto("about:blank");
  assert.deepEqual(await once(), first);
});

everyReader("the strength moves the voice: at 0 it is the base's", async (visit) => {
  await visit.ready();
  await visit.train();
  const { before, after } = await visit.state();
  assert.notEqual(after.text, before.text);
  const strength = (value) => visit.slide(visit.page.getByLabel(visit.word("compare.strength")), value);
  await strength(0);
  await visit.until((state) => state.after.text === state.before.text && !state.after.writing);
  await strength(1);
  await visit.until(`(state) => state.after.text === ${JSON.stringify(after.text)} && !state.after.writing`);
  // And another seed, another text; on both sides.
  await visit.press(visit.word("compare.another"));
  await visit.until(`(state) => state.settings.textSeed === 2 && state.before.text !== ${JSON.stringify(before.text)} && state.after.key && !state.after.writing`);
  assert.deepEqual(visit.errors, []);
});

pageTest("it works by keyboard alone", async (visit) => {
  const { page } = visit;
  await visit.ready();
  const focused = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.textContent ?? "");
  for (let tabs = 0; (await focused()) !== "Train"; tabs++) {
    assert.ok(tabs < 30, "Train cannot be reached");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await visit.settled("done");
  assert.equal(await focused(), "Train anew", "the focus stays where it was");
  await page.getByRole("radio", { name: /Pirate/ }).focus();
  await page.keyboard.press("ArrowDown");
  await visit.until((state) => state.settings.sample === "robot");
  await page.locator("[part=train]").getByLabel("Rank").focus();
  await page.keyboard.press("ArrowRight");
  await visit.until((state) => state.settings.rank === 5);
  await page.locator("[part=compare]").getByLabel("Prompt").focus();
  await page.keyboard.press("End");
  await page.keyboard.type(" there");
  await page.keyboard.press("Enter");
  await visit.until((state) => state.before.key.includes("Once upon a time there") && !state.before.writing);
  // Every chapter is passed, though none was near the window before.
  const chapter = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.closest(".chapter")?.getAttribute("part"));
  const passed = new Set();
  for (let tabs = 0; (await page.evaluate(() => !document.activeElement.closest("footer"))); tabs++) {
    assert.ok(tabs < 400, "the footer cannot be reached");
    await page.keyboard.press("Tab");
    passed.add(await chapter());
  }
  assert.deepEqual(CHAPTERS.map(({ name }) => name).filter((name) => !passed.has(name)), []);
});

for (const [name, device] of Object.entries({ ...DEVICES, tablet: { ...DEVICES.phone, viewport: { width: 820, height: 1180 } } })) {
  pageTest(`on a ${name} nothing is wider than the screen, before and after training`, async (visit) => {
    const wider = () => visit.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await visit.ready();
    assert.ok((await wider()) <= 0);
    await visit.press(visit.page.getByText("More settings"));
    await visit.train();
    assert.ok((await wider()) <= 0);
    assert.deepEqual(visit.errors, []);
  }, { device });
}

for (const lang of Object.keys(LANGUAGES)) {
  pageTest(`on a phone, ${lang}, what to learn from and the button that trains are in the first window`, async (visit) => {
    const { page, word } = visit;
    await visit.ready();
    const last = page.getByRole("radio", { name: word("sample.own") });
    for (const control of [page.getByRole("radio", { name: word("sample.pirate") }), last, visit.button(word("train.train"))]) {
      const { y, height } = await control.boundingBox();
      assert.ok(y >= 0 && y + height <= 844, `${await control.evaluate((one) => one.outerHTML)} ends at ${y + height}`);
    }
    assert.equal(await page.evaluate(() => scrollY), 0);
    const excerpt = page.locator(".excerpt");
    assert.ok((await excerpt.textContent()).startsWith("Arr, me hearties!") && (await excerpt.boundingBox()).height < 30, "one line of the text");
  }, { device: { ...DEVICES.phone, viewport: { width: 390, height: 844 } }, lang });
}

pageTest("every control has a name", async (visit) => {
  await visit.ready();
  const nameless = await visit.page.evaluate(() => {
    const root = document.querySelector("lora-lab").shadowRoot;
    return [...root.querySelectorAll("input, textarea, button, progress")]
      .filter((control) => !control.labels?.length && !control.getAttribute("aria-label") && !control.textContent.trim())
      .map((control) => control.outerHTML);
  });
  assert.deepEqual(nameless, []);
});
