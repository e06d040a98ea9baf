// Benefit 2 and 4 as a reader uses them: proof, strength, the shelf, links that hold an adapter.
import assert from "node:assert/strict";
import { DEVICES, QUICK, everyReader, file, pageTest } from "./harness.js";
import { serveFolder } from "./server.js";
import { CORS, WWW, html } from "./sites.js";

/** So few numbers that they fit into a link. */
const SMALL = { ...QUICK, rank: 1, targets: "attn.c_attn,attn.c_proj", lr: 0.05, steps: 12 };
const LOGITS = "async (lab) => [...(await lab.logits(await lab.encode('Once upon a time')))]";
const spoken = "(state) => state.after.text && !state.after.writing && !state.before.writing && !state.digest.checking";
const keep = async (visit, name) => {
  await visit.page.getByLabel(visit.word("shelf.keep.name")).fill(name);
  await visit.press(visit.word("shelf.keep"));
  await visit.until(`(state) => state.shelf.items.some(({ name }) => name === ${JSON.stringify(name)})`);
};
const voice = (visit, name) => visit.page.getByRole("radio", { name: visit.word("shelf.use", { name }) });

everyReader("two voices are kept, swapped, renamed, deleted, and are there after a reload", async (visit) => {
  const { page, word } = visit;
  /** What a screen reader is told. */
  const told = (key, values) => page.locator("lora-lab [aria-live=polite].sr").getByText(word(key, values), { exact: true }).last().waitFor({ state: "attached" });
  await visit.ready();
  await told("news.before");
  await visit.train();
  await told("news.after");
  await visit.see("storage");
  await keep(visit, "Salt");
  await told("news.kept", { name: "Salt" });
  const salt = await visit.engine(LOGITS);
  await visit.press(page.getByRole("radio", { name: word("sample.recipes") }));
  await visit.press(word("train.again"));
  await visit.until(`(state) => state.phase === "done" && state.run.settings.sample === "recipes" && (${spoken})(state)`);
  await keep(visit, "Broth");
  const broth = await visit.engine(LOGITS);
  assert.notDeepEqual(broth, salt);

  await page.evaluate(() => {
    // Of a polite region a reader hears what is added, be it still there or not.
    window.told = [];
    const hear = (records) => window.told.push(...records.flatMap(({ addedNodes }) => [...addedNodes].map((node) => node.textContent.trim())));
    for (const live of document.querySelector("lora-lab").shadowRoot.querySelectorAll(".status > [aria-live]")) new MutationObserver(hear).observe(live, { childList: true, subtree: true });
  });
  await visit.press(voice(visit, "Salt"));
  await visit.until(`(state) => state.shelf.using && state.after.speaker?.key.endsWith(state.shelf.using) && (${spoken})(state)`);
  assert.deepEqual(await page.evaluate(() => window.told), [word("news.used", { name: "Salt" }), word("news.after")], "not a word for each token");
  assert.deepEqual(await visit.engine(LOGITS), salt);
  const said = (await visit.state()).after.text;
  await page.locator("[part=compare]").getByText(word("compare.after.kept", { name: "Salt" })).waitFor();
  assert.ok((await page.locator(".heard").textContent()).includes(said.slice(0, 40)), "what it says is there where it was chosen");
  // From one to the other by the arrows, as in any group of radio buttons.
  await voice(visit, "Salt").focus();
  await page.keyboard.press("ArrowDown");
  await visit.until(`(state) => state.after.text !== ${JSON.stringify(said)} && (${spoken})(state)`);
  assert.deepEqual(await visit.engine(LOGITS), broth);

  await page.getByLabel(word("shelf.rename", { name: "Salt" })).fill("Sea salt");
  await page.keyboard.press("Enter");
  await visit.until((state) => state.shelf.items[0].name === "Sea salt");
  await told("news.renamed", { name: "Sea salt" });
  await visit.press(page.getByRole("button", { name: word("shelf.delete.one", { name: "Broth" }) }));
  assert.equal((await visit.state()).shelf.items.length, 2, "it is asked once more");
  await visit.press(page.getByRole("button", { name: word("shelf.delete.one", { name: "Broth" }) }));
  await visit.until((state) => state.shelf.items.length === 1 && state.shelf.using === undefined);
  await told("news.discarded", { name: "Broth" });

  await page.reload();
  await visit.ready();
  await visit.see("storage");
  await visit.press(voice(visit, "Sea salt"));
  await visit.until(`(state) => state.shelf.using && state.after.speaker?.key.endsWith(state.shelf.using) && (${spoken})(state)`);
  assert.deepEqual(await visit.engine(LOGITS), salt);
  await page.getByText(word("shelf.durable")).waitFor();
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
  assert.deepEqual(visit.errors, []);
}, { seconds: 90 });

everyReader("two elements of a page and a second tab have one shelf", async (visit) => {
  const { page, word, lang } = visit;
  const attributes = 'view="full" steps="4" batch="2" block="32" lr="0.01" rank="4" length="12"';
  const theirs = html(`<lora-lab id="one" lang="${lang}" ${attributes}></lora-lab><lora-lab id="two" lang="${lang}" ${attributes}></lora-lab>`, { script: "element.js" });
  const site = await serveFolder(WWW, { pages: { "theirs.html": theirs.replace("<head>", '<head><meta name="viewport" content="width=device-width">') } });
  /** An element with its shelf in view. */
  const lab = async (tab, id) => {
    const element = tab.locator(`#${id}`);
    await element.locator("[part=storage]").scrollIntoViewIfNeeded();
    const shelf = element.locator("[part=storage][data-built] .shelf");
    await shelf.waitFor();
    return { element, shelf, speaking: (name) => shelf.getByRole("radio", { name: word("shelf.use", { name }) }) };
  };
  const usual = (tab, id) => tab.waitForFunction((id) => { const { state } = document.getElementById(id); return state?.phase === "ready" && state.before.text && !state.before.writing; }, id);
  try {
    await page.goto(`${site.url}theirs.html`);
    await usual(page, "one");
    await page.locator("#two").scrollIntoViewIfNeeded();
    await usual(page, "two");
    const two = await lab(page, "two");
    await two.shelf.getByText(word("shelf.empty")).waitFor();
    await visit.press(page.locator("#one").getByRole("button", { name: word("train.train"), exact: true }));
    await page.waitForFunction(() => document.getElementById("one").state.phase === "done");
    const one = await lab(page, "one");
    await one.shelf.getByLabel(word("shelf.keep.name")).fill("Salt");
    await visit.press(one.shelf.getByRole("button", { name: word("shelf.keep") }));
    await one.speaking("Salt").waitFor();
    await two.speaking("Salt").waitFor();
    await visit.press(two.speaking("Salt"));
    await two.element.locator("[part=compare]").getByText(word("compare.after.kept", { name: "Salt" })).waitFor();

    const tab = await visit.context.newPage();
    await tab.goto(`${site.url}theirs.html`);
    await usual(tab, "one");
    const elsewhere = await lab(tab, "one");
    await elsewhere.shelf.getByLabel(word("shelf.rename", { name: "Salt" })).fill("Sea salt");
    await tab.keyboard.press("Enter");
    await one.speaking("Sea salt").waitFor();
    await two.element.locator("[part=compare]").getByText(word("compare.after.kept", { name: "Sea salt" })).waitFor();
    const discard = elsewhere.shelf.getByRole("button", { name: word("shelf.delete.one", { name: "Sea salt" }) });
    await visit.press(discard);
    await visit.press(discard);
    await one.speaking("Sea salt").waitFor({ state: "detached" });
    // It spoke there: now nobody does.
    await page.waitForFunction(() => { const { state } = document.getElementById("two"); return !state.shelf.items.length && state.shelf.using === undefined; });
    assert.deepEqual(await page.evaluate(async () => (await document.getElementById("two").lab.adapters()).length), 0);
    assert.deepEqual(visit.errors, []);
  } finally {
    await site.close();
  }
}, { seconds: 120 });

pageTest("a kept adapter is exported as PEFT's two files, which load again", async (visit) => {
  await visit.ready();
  await visit.train();
  await visit.see("storage");
  await keep(visit, "Salt");
  const before = await visit.engine(LOGITS);
  await visit.press("Reset");
  await visit.until((state) => !state.adapter);
  const downloads = [];
  visit.page.on("download", (download) => downloads.push(download));
  await visit.press(visit.page.getByRole("button", { name: "Export “Salt”" }));
  while (downloads.length < 2) await visit.page.waitForTimeout(20);
  const { readFile } = await import("node:fs/promises");
  const files = await Promise.all(downloads.map(async (download) => file(download.suggestedFilename(), await readFile(await download.path()))));
  await visit.choose("Load adapter", ...files);
  await visit.until(`(state) => state.adapter?.source === "file" && (${spoken})(state)`);
  assert.deepEqual(await visit.engine(LOGITS), before);
});

for (const [name, device] of Object.entries(DEVICES)) {
  pageTest(`on a ${name}, in a sandboxed frame without an origin, the shelf is kept in memory and says so`, async (visit) => {
    const { page } = visit;
    const query = new URLSearchParams({ view: "full", steps: 4, batch: 2, block: 32, length: 12, lr: 0.01 });
    const frame = html(`<iframe sandbox="allow-scripts" width="${device.viewport.width - 20}" height="${device.viewport.height - 20}" src="embed/frame.html?${query}"></iframe>`);
    const site = await serveFolder(WWW, { headers: CORS, pages: { "theirs.html": frame } });
    try {
      await page.goto(`${site.url}theirs.html`);
      const inside = page.frameLocator("iframe");
      await visit.press(inside.getByRole("button", { name: "Train", exact: true }));
      while (!(await page.frames()[1].evaluate(() => document.querySelector("lora-lab").state.phase === "done"))) await page.waitForTimeout(50);
      await inside.locator("[part=storage]").scrollIntoViewIfNeeded();
      await inside.getByText("This page may not store anything here").waitFor();
      await inside.getByLabel("Name on the shelf").fill("Salt");
      await visit.press(inside.getByRole("button", { name: "Keep on the shelf" }));
      await visit.press(inside.getByRole("radio", { name: "Let “Salt” speak" }));
      await inside.locator("[part=compare]").getByText("with “Salt”").waitFor();
      assert.deepEqual(visit.errors, []);
    } finally {
      await site.close();
    }
  }, { device });
}

pageTest("where the page may store nothing, the shelf says that it will not last", async (visit) => {
  await visit.ready();
  await visit.train();
  await visit.see("storage");
  await visit.page.getByText("This page may not store anything here").waitFor();
  await keep(visit, "Salt");
  await visit.press(voice(visit, "Salt"));
  await visit.until(`(state) => state.shelf.using && state.after.speaker?.key.endsWith(state.shelf.using) && (${spoken})(state)`);
  assert.deepEqual(visit.errors, []);
}, { init: () => Object.defineProperty(window, "indexedDB", { get() { throw new DOMException("denied", "SecurityError"); } }) });

everyReader("a small adapter travels in the link, and whoever opens it sees its text", async (visit) => {
  const { page, word } = visit;
  await visit.ready(SMALL);
  await visit.train();
  await visit.see("storage");
  const before = await visit.engine(LOGITS);
  await visit.press(word("link.copy"));
  await visit.until(() => location.hash.includes("adapter="));
  const link = page.url();
  assert.ok(link.split("#")[1].length <= 6000, `${link.length} characters`);
  await page.getByText(word("link.made", { numbers: 4608, bits: 7 }).split("{length}")[0]).waitFor();
  await page.goto("about:blank");
  // Somebody else's browser: nothing of ours is kept there.
  const devtools = await visit.context.newCDPSession(page);
  await devtools.send("Storage.clearDataForOrigin", { origin: visit.origin, storageTypes: "all" });
  await page.goto(link);
  await visit.until(`(state) => state.adapter?.source === "link" && (${spoken})(state)`);
  await page.locator("[part=compare]").getByText(word("compare.after.link")).waitFor();
  const { before: base, after, settings } = await visit.state();
  assert.notEqual(after.text, base.text);
  assert.deepEqual([settings.rank, settings.targets], [1, ["attn.c_attn", "attn.c_proj"]]);
  const close = await visit.engine(LOGITS);
  const off = await visit.engine("async (lab) => { await lab.setEnabled(false); const l = [...(await lab.logits(await lab.encode('Once upon a time')))]; await lab.setEnabled(true); return l; }");
  const distance = (a, b) => Math.hypot(...a.map((x, i) => x - b[i]));
  assert.ok(distance(close, before) < distance(off, before) / 5, `${distance(close, before)} from it, the base is ${distance(off, before)} away`);
  // The address still holds it: as the page has it, since the driver hears of a changed hash later.
  await visit.until(() => location.hash.includes("adapter="));
  // Another training makes another adapter: the address lets the old one go.
  await visit.press(word("train.train"));
  await visit.until(() => !location.hash.includes("adapter="));
  await visit.until((state) => state.phase === "done");
  assert.deepEqual(visit.errors, []);
});

pageTest("an adapter too large for a link is refused with the reason, and the file is beside it", async (visit) => {
  await visit.ready();
  await visit.train();
  await visit.see("storage");
  await visit.press("Copy link with it");
  await visit.page.getByText(/Too large for a link: 49,152 numbers, and 6,000 characters hold some \d,\d+/).waitFor();
  assert.ok(!visit.page.url().includes("adapter="));
  assert.equal(await visit.button("Save adapter").isEnabled(), true);
});

pageTest("a broken or hostile link says so and changes nothing", async (visit) => {
  const { page } = visit;
  for (const adapter of ["AAAA", "<img src=x>", "A".repeat(5000), "%00"]) {
    await page.goto("about:blank");
    await visit.open({ ...QUICK, adapter });
    await visit.until((state) => state.phase === "ready" && state.problem?.code === "link-format" && state.before.text && !state.before.writing && state.digest.now);
    await page.locator("[part=compare] [role=alert]").getByText("This link is broken").waitFor();
    const { adapter: held, settings } = await visit.state();
    assert.deepEqual([held, settings.rank], [undefined, QUICK.rank]);
    assert.deepEqual(await visit.engine("(lab) => lab.adapters()"), []);
  }
  await visit.train();
  assert.deepEqual(visit.errors, []);
});

everyReader("with the adapter off every token is the base's, and the strength moves the text from one to the other", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  await visit.train();
  await visit.see("proof");
  await page.getByText(word("proof.tokens", { count: 40 })).waitFor();
  const texts = () => page.locator("[part=proof] .answer .story").allTextContents();
  const [base, off, on] = await texts();
  assert.ok(base.startsWith("Once upon a time") && base.length > 60);
  assert.equal(off, base);
  assert.notEqual(on, base);
  assert.equal(await page.locator("[part=proof] .answer mark").last().textContent() !== "", true, "what differs is marked");
  const strength = page.getByLabel(word("proof.strength"));
  await visit.slide(strength, 0);
  await visit.until((state) => state.settings.strength === 0 && state.answers.on.text === state.answers.base.text && state.after.text === state.before.text && !state.after.writing);
  await visit.slide(strength, 2);
  await visit.until(`(state) => state.answers.on.text !== state.answers.base.text && state.after.text !== state.before.text && !state.after.writing && !state.digest.checking`);
  await visit.slide(strength, 1);
  await visit.until(`(state) => state.answers.on.text === ${JSON.stringify(on)}`);
  const { digest } = await visit.state();
  assert.equal(digest.now, digest.first);
  assert.deepEqual(visit.errors, []);
});
