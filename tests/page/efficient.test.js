// LoRA against full fine-tuning, started, watched and stopped as a reader does, with the real engine.
import assert from "node:assert/strict";
import hi from "../../www/i18n/hi.js";
import { DEVICES, QUICK, pageTest } from "./harness.js";

const race = async (visit) => (await visit.state()).race;
const OWN = "async (lab) => ({ adapter: [...(await lab.exportAdapter()).safetensors], base: await lab.baseDigest() })";
const rise = ({ before, now }) => now.stories - before.stories;

for (const [name, device] of Object.entries(DEVICES)) {
  pageTest(`on a ${name} both are trained by one press: curves, times, memory to scale, and what is forgotten`, async (visit) => {
    const { page } = visit;
    await visit.ready();
    await visit.press("Train");
    await visit.settled("done");
    const own = await visit.engine(OWN);
    const chapter = await visit.see("efficient");
    const cells = async (row) => chapter.getByRole("row", { name: row }).getByRole("cell").allTextContents();
    assert.deepEqual(await cells(/^Loss on unseen text/), ["–", "–"], "nothing is shown that was not measured");
    const start = chapter.getByRole("button", { name: "Train both", exact: true });
    await start.focus();
    await page.keyboard.press("Enter");
    await visit.until((state) => state.race.step >= 2);
    assert.equal(await start.isEnabled(), false);
    const above = page.locator("[part=train]");
    for (const name of ["Train", "Step"]) assert.equal(await above.getByRole("button", { name, exact: true }).isEnabled(), false, `${name} would falsify the times`);
    await above.getByText("Wait or stop them").waitFor();
    assert.equal(await chapter.getByRole("progressbar").getAttribute("aria-valuemax"), String(QUICK.steps));
    assert.equal(await chapter.getByRole("status").textContent(), "Training both");
    await visit.until((state) => state.race.phase === "done");
    await visit.workers(1);

    const { racers, points, step } = await race(visit);
    const { lora, full } = racers;
    assert.equal(step, QUICK.steps);
    assert.deepEqual(points.step, Array.from({ length: QUICK.steps + 1 }, (_, at) => at));
    assert.equal(points.loraLoss[1], points.fullLoss[1], "both begin at the base, on the same windows");
    assert.equal(lora.before.stories, full.before.stories);
    assert.ok(lora.before.stories > 1.5 && lora.before.stories < 2.8, `the base on its own stories: ${lora.before.stories}`);
    for (const racer of [lora, full]) {
      assert.ok(racer.now.heldOut < racer.before.heldOut, `${racer.now.heldOut} after ${racer.before.heldOut}`);
      assert.ok(rise(racer) > 0, "what is trained on pirates forgets stories");
      assert.equal(racer.seconds.length, QUICK.steps);
    }
    const { trainable } = await visit.engine("(lab, rank) => lab.plan({ rank })", QUICK.rank);
    assert.deepEqual([lora.now.footprint.trainable, full.now.footprint.trainable], [trainable, (await visit.state()).info.parameters]);
    assert.ok(lora.now.footprint.wasmBytes < full.now.footprint.wasmBytes);

    const two = (value) => value.toFixed(2);
    assert.deepEqual(await cells(/^Loss on unseen text/), [lora, full].map(({ before, now }) => `${two(before.heldOut)} → ${two(now.heldOut)}`));
    assert.deepEqual(await cells(/^What is forgotten/), [lora, full].map(({ before, now }) => `${two(before.stories)} → ${two(now.stories)}`));
    assert.ok((await cells(/^Time for a step/)).every((text) => /^[\d,]+ms$/.test(text)), `${await cells(/^Time for a step/)}`);
    const areas = await chapter.locator("svg.square").evaluateAll((squares) => squares.map((square) => {
      const { width, height } = square.querySelector(".moments").getBBox();
      return width * height;
    }));
    assert.ok(Math.abs(areas[0] / areas[1] - trainable / full.now.footprint.trainable) < 1e-3, `${areas}`);
    await chapter.getByRole("img", { name: new RegExp(`^Loss on unseen text after ${QUICK.steps} steps`) }).waitFor();
    assert.match(await chapter.getByRole("status").textContent(), new RegExp(`LoRA came to a loss of ${two(lora.now.heldOut)} on unseen text, all of the model to ${two(full.now.heldOut)}`));
    const inked = await chapter.locator("canvas").evaluate((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value, i) => i % 4 === 3 && value));
    assert.ok(inked, "the curves are drawn");

    const now = await visit.engine(OWN);
    assert.deepEqual(now, own, "the reader's own adapter and base are as they were");
    assert.equal((await visit.state()).phase, "done");
    await chapter.getByRole("button", { name: "Train both anew" }).waitFor();
    await page.getByLabel("Rank").fill("5");
    await chapter.getByText(/have changed since/).waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.deepEqual(visit.errors, []);
  }, { device, seconds: 120 });
}

pageTest("stopped, both are measured where they stand; a file that is missing is told, and the page goes on", async (visit) => {
  const { page } = visit;
  await visit.ready({ ...QUICK, steps: 500 });
  const chapter = await visit.see("efficient");
  await visit.press(chapter.getByRole("button", { name: "Train both" }));
  await visit.until((state) => state.race.step >= 2);
  // The parts are built anew in another language; the race goes on.
  await visit.page.evaluate(() => document.querySelector("lora-lab").setAttribute("lang", "hi"));
  await page.getByRole("heading", { name: hi["efficient.heading"] }).waitFor();
  await visit.until((state) => state.race.step >= 3);
  await visit.press((await visit.see("efficient")).getByRole("button", { name: hi["efficient.stop"] }));
  await visit.until((state) => state.race.phase === "stopped");
  await visit.workers(1);
  const { racers, step, judged } = await race(visit);
  assert.ok(judged && step < 500 && rise(racers.full) !== 0);
  await visit.page.evaluate(() => document.querySelector("lora-lab").setAttribute("lang", "en"));
  await page.getByRole("heading", { name: "Little memory to train" }).waitFor();
  const again = await visit.see("efficient");
  await again.getByText(`Stopped after step ${step} of 500`).waitFor();

  await visit.context.route("**/samples/base.txt", (route) => route.fulfill({ status: 404 }));
  await visit.press(again.getByRole("button", { name: "Train both anew" }));
  await again.getByRole("alert").getByText(/base\.txt/).waitFor();
  await visit.workers(1);
  assert.equal((await race(visit)).phase, "none");
  await visit.context.unroute("**/samples/base.txt");
  await visit.press(again.getByRole("button", { name: "Train both" }));
  await visit.until((state) => state.race.step >= 1 && !state.problem);
  await page.evaluate(() => document.querySelector("lora-lab").remove());
  await visit.workers(0);
}, { seconds: 120 });
