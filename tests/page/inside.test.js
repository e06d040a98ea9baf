// Looking inside, as a reader does: pressing layers, reading tokens.
import assert from "node:assert/strict";
import { QUICK, everyReader, pageTest } from "./harness.js";

const looks = async (visit) => (await visit.state()).looks;

everyReader("each layer warms up while the page trains, and shows its ΔW and singular values, which stop after the rank", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  const inside = await visit.see("inside");
  await inside.getByText(word("inside.empty")).waitFor();
  assert.equal(await inside.getByRole("button", { disabled: true }).count(), 16, "nothing to look at before training");
  await visit.press(word("train.train"));
  await visit.see("inside");
  await visit.until((state) => state.run?.step >= 1 && state.looks.layers.length === 16);
  await visit.settled("done");
  await visit.until((state) => state.looks.speaker?.step === state.run.step);
  const { layers } = await looks(visit);
  assert.ok(layers.every(({ norm, baseNorm }) => norm > 0 && norm < baseNorm));
  const first = inside.getByRole("button", { name: word("model.layer", { number: 1, part: word("target.attn.c_attn") }) });
  const shown = await first.getAttribute("aria-label");
  assert.ok(shown.includes(layers[0].norm.toFixed(2).replace(/0$/, "")), `${shown} for ${layers[0].norm}`);

  await first.focus();
  await page.keyboard.press("Enter");
  await visit.until((state) => state.looks.delta);
  assert.equal(await first.getAttribute("aria-pressed"), "true");
  const picture = inside.getByRole("img", { name: word("inside.map", { in: 192, out: 576 }).split("{most}")[0] });
  const painted = await picture.evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let [blue, orange] = [0, 0];
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 20) data[i] > data[i + 2] ? orange++ : blue++;
    return { width: canvas.width, height: canvas.height, blue, orange };
  });
  assert.deepEqual([painted.width, painted.height], [48, 48]);
  assert.ok(painted.blue > 100 && painted.orange > 100, JSON.stringify(painted));
  await inside.getByRole("img", { name: word("inside.values", { count: QUICK.rank, all: 16, total: 192 }).split("{largest}")[0] }).waitFor();
  const heights = await inside.locator(".singular rect").evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute("height"))));
  assert.ok(heights.slice(0, QUICK.rank).every((height) => height > 1) && heights.slice(QUICK.rank).every((height) => height === 1), `${heights}`);

  await page.keyboard.press("Enter");
  await visit.until((state) => state.looks.layer === "" && !state.looks.delta);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(visit.errors, []);
});

pageTest("what is measured follows the training, and goes with the adapter", async (visit) => {
  await visit.ready({ ...QUICK, steps: 500 });
  const inside = await visit.see("inside");
  await visit.press("Train");
  await visit.see("inside");
  await visit.until((state) => state.looks.layers.length && state.looks.speaker.step >= 1);
  const early = await looks(visit);
  await visit.press(inside.getByRole("button", { name: /^Block 2, MLP out/ }));
  await visit.until(`(state) => state.looks.speaker?.step >= ${early.speaker.step + 10} && state.looks.delta`);
  const later = await looks(visit);
  assert.notEqual(later.layers[3].norm, early.layers[3].norm);
  const { step } = later.speaker;
  await visit.until(`(state) => state.looks.speaker?.step > ${step}`);
  assert.notEqual((await looks(visit)).delta.norm, later.delta.norm, "the open layer is drawn anew");
  await visit.press("Pause");
  await visit.settled("paused");
  await visit.press("Reset");
  await visit.until((state) => state.phase === "ready" && !state.looks.layers.length && !state.looks.delta);
  await inside.getByText("Press Train. Each layer").waitFor();
  assert.deepEqual(visit.errors, []);
});

everyReader("a reader goes from token to token and sees what base and adapter would choose", async (visit) => {
  const { page, word } = visit;
  await visit.ready();
  const tokens = await visit.see("tokens");
  await visit.until((state) => state.looks.read);
  const list = tokens.getByRole("listbox");
  const written = await visit.state();
  assert.equal((await list.textContent()).replaceAll("↵", ""), `Once upon a time${written.before.text} …`);
  assert.equal(await tokens.locator(".voice:visible").count(), 1, "no adapter, no second opinion");
  assert.ok(await tokens.getByRole("radio", { name: word("compare.after") }).isDisabled());

  await visit.press(word("train.train"));
  await visit.see("tokens");
  await visit.settled("done");
  await visit.until((state) => state.looks.read?.candidates.positions[0].adapter);
  assert.equal(await tokens.locator(".voice:visible").count(), 2);
  assert.ok(await tokens.getByRole("radio", { name: word("compare.after") }).isChecked());
  const { looks: at } = await visit.state();
  await list.focus();
  await page.keyboard.press("ArrowRight");
  await visit.until(`(state) => state.looks.place === ${at.place + 1}`);
  const { candidates } = at.read;
  const chosen = candidates.positions[at.place];
  const shares = await tokens.locator(".voice.adapted .p").allTextContents();
  const percent = new Intl.NumberFormat(word("locale"), { style: "percent", maximumSignificantDigits: 2 });
  assert.deepEqual(shares, chosen.adapter.map(({ p }) => percent.format(p)));
  assert.deepEqual(await tokens.locator(".voice.base .p").allTextContents(), chosen.base.map(({ p }) => percent.format(p)));
  await page.keyboard.press("End");
  await tokens.getByText(word("tokens.next").split("{before}")[1]).waitFor();
  await page.keyboard.press("Home");
  await visit.until((state) => state.looks.place === 1);
  await visit.press(list.getByRole("option").nth(3));
  await visit.until((state) => state.looks.place === 3);

  await visit.press(tokens.getByRole("radio", { name: word("compare.before") }));
  await visit.until((state) => state.looks.side === "before" && state.looks.read);
  assert.equal((await list.textContent()).replaceAll("↵", ""), `Once upon a time${written.before.text} …`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(visit.errors, []);
});
