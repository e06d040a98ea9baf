// The tutorial read and played as a reader does, in both languages.
import assert from "node:assert/strict";
import en from "../../www/i18n/en.js";
import hi from "../../www/i18n/hi.js";
import { DEVICES, pageTest } from "./harness.js";

/** Open it with a training that takes a moment; settles when the base has told its story. */
async function open(visit, name) {
  await visit.page.goto(`${visit.origin}/some/where/embed/${name}`);
  await visit.page.evaluate(() => {
    const lab = document.querySelector("lora-lab");
    for (const [attribute, value] of Object.entries({ steps: 6, batch: 2, block: 64, lr: 0.01, length: 24 })) lab.setAttribute(attribute, String(value));
  });
  // It begins when it comes into view, which on a phone takes a scroll where letters are wide.
  await visit.page.locator("lora-lab").scrollIntoViewIfNeeded();
  await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now && state.settings.steps === 6);
  await visit.page.locator("#fingerprint:enabled").waitFor();
}

const PAGES = { "tutorial.html": en, "tutorial.hi.html": hi };

for (const [name, table] of Object.entries(PAGES)) for (const [on, device] of Object.entries(DEVICES)) {
  pageTest(`${name} on a ${on}: what is between the paragraphs is alive, and nothing is wider than the screen`, async (visit) => {
    const { page } = visit;
    await open(visit, name);
    const shown = (what) => page.locator(`[data-show="${what}"]`).first().textContent();
    const number = async (what) => Number((await shown(what)).replace(/[^\d.]/g, ""));
    // The numbers are the engine's.
    const { info } = await visit.state();
    assert.equal(await number("total"), info.parameters);
    const { in: inputs, out } = info.layers[0];
    assert.deepEqual([await number("in"), await number("out"), await number("lora")], [inputs, out, 8 * (inputs + out)]);
    // The rank moves the picture at once, and the box's settings when the slider rests.
    await visit.slide(page.locator("#rank"), 4);
    assert.equal(await number("lora"), 4 * (inputs + out));
    assert.equal(await page.locator("#matrices .a").getAttribute("width"), "4");
    await visit.until((state) => state.settings.rank === 4);
    assert.equal(await page.locator("#strength").isDisabled(), true);
    await visit.press(page.locator("#fingerprint"));
    await page.locator("#fingerprints li").first().waitFor();

    await visit.press(table["train.train"]);
    await visit.until((state) => state.phase === "done" && state.after.text && !state.after.writing);
    await visit.press(page.locator("#fingerprint"));
    await page.locator("#fingerprints li").nth(1).waitFor();
    assert.equal(await page.locator("[data-when=same]").isVisible(), true);
    assert.equal(await page.locator("[data-when=differs]").isVisible(), false);
    const digests = await page.locator("#fingerprints code").allTextContents();
    assert.equal(new Set(digests).size, 1);
    assert.ok((await visit.engine("(lab) => lab.baseDigest()")).startsWith(digests[0].slice(0, 16)));

    // The strength: at 0 the base speaks, as the engine's own does.
    const voice = page.locator("#voice");
    await voice.filter({ hasText: /.{30}/s }).waitFor();
    const adapted = await voice.textContent();
    const { prompt, strength } = (await visit.state()).settings;
    const base = prompt + (await visit.engine("(lab, prompt) => lab.generate(prompt, { temperature: 0, maxTokens: 48, adapter: false })", prompt)).text;
    await visit.slide(page.locator("#strength"), 0);
    await voice.filter({ hasText: base }).waitFor();
    assert.notEqual(adapted, base);
    // The box has kept its own.
    const own = prompt + (await visit.engine("(lab, prompt) => lab.generate(prompt, { temperature: 0, maxTokens: 48 })", prompt)).text;
    assert.deepEqual([own, strength], [adapted, 1]);

    const files = [];
    page.on("download", (download) => files.push(download.suggestedFilename()));
    await visit.press(page.locator("#save"));
    for (let tries = 0; files.length < 2 && tries < 50; tries++) await page.waitForTimeout(50);
    assert.deepEqual(files.sort(), ["adapter_config.json", "adapter_model.safetensors"]);
    assert.deepEqual(visit.errors, []);
    const strangers = visit.requests.filter((url) => !url.startsWith(`${visit.origin}/some/where/`) && !url.startsWith("blob:"));
    assert.deepEqual(strangers, []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), device.viewport.width);
  }, { device });
}
