// Benefit 1, fewer numbers to learn: the model to scale, used by mouse, keyboard and finger.
import assert from "node:assert/strict";
import { QUICK, everyReader, pageTest } from "./harness.js";

const cell = (visit, name) => visit.page.getByRole("checkbox", { name, exact: true });
const number = (text) => Number(text.replace(/[^\d]/g, ""));
/** What the page says learns, and what the engine plans for the settings as they are. */
const learns = async (visit) => {
  // Of the two numbers the smaller, wherever a language has it.
  const shown = Math.min(...(await visit.page.locator("[part=parameters] .totals .small").textContent()).match(/\d[\d,]*/g).map(number));
  const { rank, targets } = (await visit.state()).settings;
  return [shown, (await visit.engine("(lab, options) => lab.plan(options)", { rank, targets })).trainable];
};

everyReader("a linear is pressed to free it and again to adapt it, and every count follows", async (visit) => {
  const { word } = visit;
  const layer = (number, part) => cell(visit, word("model.layer", { number, part: word(`target.${part}`) }));
  await visit.ready();
  await visit.see("parameters");
  const all = await learns(visit);
  assert.equal(all[0], all[1]);
  await visit.press(layer(2, "attn.c_attn"));
  await visit.until((state) => Array.isArray(state.settings.targets));
  const { targets } = (await visit.state()).settings;
  assert.equal(targets.length, 15);
  assert.ok(targets.includes("transformer.h.0.attn.c_attn") && !targets.includes("transformer.h.1.attn.c_attn"));
  const fewer = await learns(visit);
  assert.equal(fewer[0], fewer[1]);
  assert.equal(all[0] - fewer[0], QUICK.rank * (192 + 576));
  await visit.press(layer(2, "attn.c_attn"));
  await visit.until((state) => state.settings.targets === "all-linear");
  await visit.press(word("model.attention"));
  await visit.until((state) => state.settings.targets.length === 2);
  assert.equal(await layer(3, "mlp.c_fc").isChecked(), false);
  const attention = await learns(visit);
  assert.equal(attention[0], attention[1]);
  assert.ok((await visit.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
  assert.deepEqual(visit.errors, []);
});

pageTest("the picture is to scale: rectangles have the matrices' sides, and the strips follow the rank at once", async (visit) => {
  const { page } = visit;
  await visit.ready();
  await visit.see("parameters");
  const sizes = (name) => cell(visit, name).evaluate((input) => Object.fromEntries([...input.parentElement.querySelectorAll("rect")]
    .map((rect, index) => ["W", "A", "B"][index]).map((name, index) => [name, input.parentElement.querySelectorAll("rect")[index].getBoundingClientRect()])
    .map(([name, { width, height }]) => [name, [width, height]])));
  const unit = (await sizes("Block 1, attention in")).W[1] / 192;
  const near = (got, want) => assert.ok(Math.abs(got / unit - want) < 0.005 * want + 0.1, `${got / unit} units for ${want}`);
  for (const [name, wide, high] of [["Block 1, attention in", 576, 192], ["Block 4, attention out", 192, 192], ["Block 2, MLP in", 768, 192], ["Block 2, MLP out", 768, 192], ["output head", 2048, 192]]) {
    const { W } = await sizes(name);
    near(W[0], wide);
    near(W[1], high);
  }
  for (const rank of [1, 64]) {
    await page.locator("[part=parameters] input[type=range]").fill(String(rank));
    await visit.until(`(state) => state.settings.rank === ${rank}`);
    const { A, B } = await sizes("Block 3, attention in");
    near(A[0], rank);
    near(A[1], 192);
    near(B[0], 576);
    near(B[1], rank);
    assert.equal(await page.locator("[part=parameters] .formula .lora").textContent(), `A and B: ${rank} × (192 + 576) = ${(rank * 768).toLocaleString("en")}`);
    assert.equal(await page.getByLabel("Rank", { exact: false }).first().inputValue(), String(rank), "the other slider is the same setting");
  }
});

pageTest("by keyboard a layer is reached, looked at and freed; the last one stays, and while training all rest", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, targets: "h.3.mlp.c_fc", steps: 400 });
  await visit.see("parameters");
  await cell(visit, "Block 4, MLP in").focus();
  await visit.until((state) => state.layer === "transformer.h.3.mlp.c_fc");
  await page.keyboard.press("Space");
  await visit.drawn();
  assert.equal(await cell(visit, "Block 4, MLP in").isChecked(), true, "without any layer there is nothing to train");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await visit.until((state) => state.settings.targets.length === 2 && state.settings.targets[1] === "transformer.h.3.mlp.c_proj");
  await page.getByText("Block 4, MLP out").waitFor();
  await visit.press("Train");
  await visit.until((state) => state.run?.step >= 1);
  assert.equal(await cell(visit, "Block 4, MLP in").isDisabled(), true);
  const { layers } = (await visit.engine("(lab) => lab.adapters()"))[0];
  assert.equal(layers, 2);
  await visit.press("Pause");
  await visit.settled("paused");
  assert.deepEqual(visit.errors, []);
});
