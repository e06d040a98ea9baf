// The chapter on the code: what is pointed at is lit on both sides, and the numbers are those of the page.
import assert from "node:assert/strict";
import en from "../../www/i18n/en.js";
import hi from "../../www/i18n/hi.js";
import { QUICK, everyReader, pageTest } from "./harness.js";

/** The names of what is lit, by the numbers at their lines and steps. */
const lit = (chapter) => chapter.evaluate((root) => {
  const piece = [...root.querySelectorAll(".piece")].findIndex((one) => one.querySelector("[data-lit]"));
  const [one] = [root.querySelectorAll(".piece")[piece]];
  return one && {
    piece,
    lines: [...one.querySelectorAll(".python [data-lit]")].map((line) => line.querySelector("span").textContent),
    steps: [...one.querySelectorAll(".told-steps > li")].flatMap((step, index) => (step.hasAttribute("data-lit") ? [index + 1] : [])),
  };
});

everyReader("a line that is pointed at, focused or pressed is lit with its explanation and its Rust", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  const chapter = await visit.see("code");
  assert.equal(await lit(chapter), undefined);
  const a = { piece: 0, lines: ["a = torch.empty(in_dim, rank)", "nn.init.kaiming_uniform_(a, a=5**0.5)", "self.A = nn.Parameter(a)"], steps: [2] };
  const number = (number, line) => chapter.getByRole("button", { name: word("code.step", { number, line }) });
  const mark = number(2, "a = torch.empty(in_dim, rank)");
  if (visit.device.hasTouch) {
    // A finger does not point: it presses a line, and that stays lit until it presses again.
    const line = chapter.getByText("self.A = nn.Parameter(a)");
    await visit.press(line);
    assert.deepEqual(await lit(chapter), a);
    assert.equal(await mark.getAttribute("aria-pressed"), "true");
    assert.ok(await chapter.locator(".told-steps > li[data-lit]").evaluate((step) => step.getBoundingClientRect().top < innerHeight), "the explanation comes into view");
    await visit.press(mark);
    assert.equal(await mark.getAttribute("aria-pressed"), "false");
  } else {
    await chapter.getByText("self.A = nn.Parameter(a)").hover();
    assert.deepEqual(await lit(chapter), a);
    // From the explanation back to the lines.
    await chapter.locator(".told-steps > li").nth(4).hover();
    assert.deepEqual(await lit(chapter), { piece: 0, lines: ["return self.alpha * (x @ self.A @ self.B)"], steps: [5] });
    await page.mouse.move(0, 0);
    assert.equal(await lit(chapter), undefined);
  }
  // By keyboard: a number is a button, and what it is pressed for stays lit.
  await mark.focus();
  assert.deepEqual(await lit(chapter), a);
  await page.keyboard.press("Enter");
  assert.equal(await mark.getAttribute("aria-pressed"), "true");
  await page.keyboard.press("Tab");
  assert.deepEqual((await lit(chapter)).steps, [3]);
  await number(3, "self.B = nn.Parameter(torch.zeros(rank, out_dim))").blur();
  assert.deepEqual(await lit(chapter), a);
  await mark.press("Enter");
  assert.equal(await mark.getAttribute("aria-pressed"), "false");
  assert.deepEqual(visit.errors, []);
});

pageTest("the numbers beside the code are those of the page, and the engine's", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, rank: 8, alpha: 16, block: 64 });
  const chapter = await visit.see("code");
  const now = (piece, step) => chapter.locator(".piece").nth(piece).locator(".told-steps > li").nth(step).locator(".now").textContent();
  const { layers } = (await visit.state()).info;
  const first = layers[0];
  assert.equal(await now(0, 4), `(64, ${first.in}) · (${first.in}, 8) → (64, 8) · (8, ${first.out}) → (64, ${first.out})`);
  assert.match(await now(0, 3), /^alpha \/ r = 16 \/ 8 = 2 in this page; the textbook: 16; rsLoRA: 5\.657$/);
  await page.getByLabel("Rank").first().fill("32");
  await visit.until((state) => state.settings.rank === 32);
  assert.match(await now(0, 3), /^alpha \/ r = 16 \/ 32 = 0\.5 in/);
  const plan = await visit.engine("(lab) => lab.plan({ rank: 32 })");
  assert.ok((await now(2, 0)).startsWith(`${plan.trainable.toLocaleString("en")} of `), await now(2, 0));
  assert.equal(await now(2, 2), `${plan.layers.length} of ${layers.length} linear layers adapted, ${layers.length - plan.layers.length} left as they are`);
  assert.deepEqual(visit.errors, []);
});

for (const width of [360, 1280]) {
  pageTest(`the code fits a screen of ${width} pixels in both languages`, async (visit) => {
    const { page } = visit;
    await visit.ready({ ...QUICK, lang: "hi" });
    for (const [lang, table] of Object.entries({ hi, en })) {
      await page.evaluate((lang) => (location.hash = `#lang=${lang}`), lang);
      await page.getByRole("heading", { name: table["code.heading"] }).waitFor();
      const chapter = await visit.see("code");
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      const cut = await chapter.evaluate((root) => [...root.querySelectorAll(".code-line, p, h3, figcaption")].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent));
      assert.deepEqual(cut, []);
      const met = await chapter.evaluate((root) => {
        const boxes = [...root.querySelectorAll(".mark")].map((mark) => mark.getBoundingClientRect());
        return boxes.filter(({ bottom }, index) => index + 1 < boxes.length && boxes[index + 1].top < bottom && boxes[index + 1].bottom > bottom).length;
      });
      assert.equal(met, 0, "no mark meets the next");
      if (process.env.SHOTS) await chapter.screenshot({ path: `${process.env.SHOTS}/code-${lang}-${width}.png` });
    }
    assert.deepEqual(visit.errors, []);
  }, { device: { viewport: { width, height: 800 } } });
}
