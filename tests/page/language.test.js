// English and Hindi: by click, by keyboard, by link, from memory; and room for both.
import assert from "node:assert/strict";
import hi from "../../www/i18n/hi.js";
import { DEVICES, QUICK, file, openAll, pageTest } from "./harness.js";

const heading = (page) => page.getByRole("heading", { level: 1 }).textContent();

/** Wait until page and element speak Hindi. */
async function inHindi({ page }) {
  await page.locator("html[lang=hi]").waitFor({ state: "attached" });
  await page.getByRole("heading", { name: hi["benefits.heading"] }).waitFor();
}

for (const [name, device] of Object.entries(DEVICES)) {
  pageTest(`on a ${name} a press turns the page to Hindi and back, and what has been trained stays`, async (visit) => {
    const { page } = visit;
    await visit.ready();
    assert.deepEqual(visit.requests.filter((url) => url.includes("/i18n/hi")), [], "only the language in use is fetched");
    await visit.train();
    const trained = await visit.state();
    await visit.press("हिन्दी");
    await inHindi(visit);
    assert.equal(await heading(page), hi["page.heading"]);
    assert.equal(await page.title(), hi["page.title"]);
    assert.equal(await page.locator("lora-lab").getAttribute("lang"), "hi");
    const { run, after, settings } = await visit.state();
    assert.deepEqual([run.points, after.text, settings], [trained.run.points, trained.after.text, { ...trained.settings, lang: "hi" }]);
    assert.equal(await page.locator(".adapted .written").textContent(), after.text);
    await visit.until(() => location.hash.endsWith("lang=hi"));
    // It can be used: one more comparison, with words and numbers of its own.
    await visit.press(hi["compare.another"]);
    await visit.until((state) => state.settings.textSeed === 2 && state.after.key && !state.after.writing);
    assert.match(await page.locator(".parameters").textContent(), /21,83,\d{3}|\d{1,2},\d{2},\d{3}/, "grouped by lakh");
    await visit.press("English");
    await page.locator("html[lang=en]").waitFor({ state: "attached" });
    await page.getByRole("heading", { name: "What LoRA gives" }).waitFor();
    assert.equal(await heading(page), "Teach a tiny GPT a new voice");
    assert.deepEqual(visit.errors, []);
  }, { device });
}

pageTest("the keyboard turns the page, during training too, and the focus stays", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, steps: 500 });
  await visit.press("Train");
  await visit.until((state) => state.run?.step >= 2);
  const focused = () => page.evaluate(() => document.activeElement.id);
  for (let tabs = 0; (await focused()) !== "language"; tabs++) {
    assert.ok(tabs < 30, "going back from the button, the control is reached");
    await page.keyboard.press("Shift+Tab");
  }
  await page.keyboard.press("Enter");
  await inHindi(visit);
  assert.equal(await focused(), "language");
  const { step } = (await visit.state()).run;
  await visit.until(`(state) => state.run.step > ${step}`);
  await visit.press(hi["train.pause"]);
  await visit.until((state) => state.phase === "paused");
  assert.deepEqual(visit.errors, []);
});

pageTest("Hindi comes by link and is remembered without one; a link that names a language wins", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, lang: "hi" });
  await inHindi(visit);
  assert.deepEqual(visit.requests.filter((url) => url.includes("/i18n/en")), [], "only the language in use is fetched");
  // Another link in the same page.
  await page.evaluate(() => (location.hash = "#lang=en"));
  await page.getByRole("heading", { name: "What LoRA gives" }).waitFor();
  await visit.press("हिन्दी");
  await inHindi(visit);
  await page.goto("about:blank");
  await page.goto(`${visit.origin}/some/where/`);
  await inHindi(visit);
  await page.goto("about:blank");
  await visit.open({ lang: "en" });
  await page.getByRole("heading", { name: "What LoRA gives" }).waitFor();
  assert.deepEqual(visit.errors, []);
});

pageTest("in Hindi, what the model and the engine write is not called Hindi", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, lang: "hi" });
  await inHindi(visit);
  await visit.press(hi["train.train"]);
  await visit.settled("done");
  await openAll(visit);
  await visit.drop(".data", file("binary.txt", "a\0b"));
  await page.locator(".data .problem .detail").waitFor();
  const marked = await page.evaluate(() => {
    const all = [...document.querySelector("lora-lab").shadowRoot.querySelectorAll("*")];
    // Whatever has a text of its own, or is typed into.
    const speaking = all.filter((element) => element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    const said = (element) => [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("");
    return {
      // Three words of Latin letters and none of Devanagari are a sentence in English.
      english: speaking.filter((element) => /[a-z]+ [a-z]+ [a-z]+/i.test(said(element)) && !/\p{Script=Devanagari}/u.test(said(element)) && element.matches(":lang(hi)")).map((element) => `${element.className}: ${said(element)}`),
      hindi: speaking.filter((element) => /\p{Script=Devanagari}/u.test(said(element)) && !element.matches(":lang(hi)")).map((element) => `${element.className}: ${said(element)}`),
      typed: all.filter((element) => element.matches(".prompt, .own textarea") && element.matches(":lang(hi)")).length,
      tokens: all.filter((element) => element.matches(".token, .voice .word") && /[a-z]/i.test(element.textContent) && element.matches(":lang(hi)")).length,
      seen: speaking.length,
    };
  });
  assert.ok(marked.seen > 100, `${marked.seen} texts`);
  assert.deepEqual({ ...marked, seen: 0 }, { english: [], hindi: [], typed: 0, tokens: 0, seen: 0 });
});

pageTest("without storage the switch works all the same", async (visit) => {
  const { page } = visit;
  await visit.open();
  await visit.press("हिन्दी");
  await inHindi(visit);
  assert.deepEqual(visit.errors, []);
}, { init: () => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("refused", "SecurityError"); } }) });

for (const width of [360, 768, 1280]) {
  pageTest(`in Hindi nothing is wider than a screen of ${width} pixels, and no text is cut`, async (visit) => {
    const { page } = visit;
    await visit.ready({ ...QUICK, lang: "hi" });
    await inHindi(visit);
    await visit.press(hi["train.train"]);
    await visit.settled("done");
    await page.evaluate(() => document.querySelector("lora-lab").shadowRoot.querySelectorAll("details").forEach((details) => (details.open = true)));
    const wide = await page.evaluate(() => {
      const inside = (root) => [...root.querySelectorAll("*")].flatMap((element) => [element, ...(element.shadowRoot ? inside(element.shadowRoot) : [])]);
      return inside(document)
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 || (element.matches("button, label:not(.sr), h1, h2, h3, dt, dd") && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline"))
        .map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`);
    });
    assert.deepEqual(wide, []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/hi-${width}.png`, fullPage: true });
  }, { device: { viewport: { width, height: 800 } } });
}
