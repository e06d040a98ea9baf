// What a reader presses while the page trains is answered, and the training goes on. How long an answer takes is told, not asserted: machines differ.
import assert from "node:assert/strict";
import { DEVICES, QUICK, pageTest } from "./harness.js";

function watchInteractions() {
  window.interactions = [];
  new PerformanceObserver((list) => {
    for (const { name, duration, interactionId } of list.getEntries()) if (interactionId) window.interactions.push({ name, duration });
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
}

for (const [name, device] of Object.entries(DEVICES)) {
  pageTest(`on a ${name} the page answers to presses and keys while it trains`, async (visit) => {
    const { page } = visit;
    await visit.ready({ ...QUICK, steps: 2000 });
    await visit.press("Train");
    await visit.until((state) => state.run?.step >= 3);
    const step = async () => (await visit.state()).run.step;
    const before = await step();
    const more = page.getByText("More settings");
    const alpha = page.getByLabel("Alpha");
    for (let turn = 0; turn < 4; turn++) {
      await visit.press(more);
      assert.equal(await alpha.isVisible(), turn % 2 === 0);
      assert.equal((await visit.state()).phase, "training");
    }
    const inside = await visit.see("inside");
    const layer = inside.getByRole("button", { name: /^Block 2, MLP out/ });
    await visit.press(layer);
    await visit.until((state) => state.looks.delta);
    assert.equal(await layer.getAttribute("aria-pressed"), "true");
    await layer.focus();
    await page.keyboard.press("Enter");
    await visit.until((state) => !state.looks.delta);
    assert.ok((await step()) > before, "it goes on meanwhile");
    await page.evaluate(() => scrollTo(0, 0));
    await visit.press("Pause");
    await visit.settled("paused");
    const interactions = await page.evaluate(() => window.interactions);
    const longest = interactions.reduce((most, { duration }) => Math.max(most, duration), 0);
    visit.t.diagnostic(`longest of the answers that took 16 ms or more: ${longest} ms, of ${interactions.length} events`);
    assert.deepEqual(visit.errors, []);
  }, { device, init: watchInteractions });
}
