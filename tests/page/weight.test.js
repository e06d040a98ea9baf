// What the page costs before anything is trained, and that nothing jumps under whoever reads.
import assert from "node:assert/strict";
import { DEVICES, LANGUAGES, QUICK, pageTest } from "./harness.js";

/** Bytes on the wire before Train. The server of this test compresses nothing, as `cargo xtask serve` and some static hosts do not. */
const LIGHT = 250_000;
/** The bound of the Core Web Vitals is 0.1. */
const STILL = 0.05;

/** Not counted: the model, and the engine, which is the wasm with the glue that wasm-bindgen writes for it. The worker's own modules are. */
const HEAVY = /^pkg\/|^models\//;

function watchShifts() {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources, startTime } of list.getEntries()) {
      const moved = sources.map(({ node }) => node && `${node.nodeName} ${node.className ?? ""}`);
      window.shifts.push({ value, hadRecentInput, at: Math.round(startTime), moved });
    }
  }).observe({ type: "layout-shift", buffered: true });
}

for (const [device, viewport] of Object.entries(DEVICES)) {
  for (const [lang, table] of Object.entries(LANGUAGES)) {
    pageTest(`on a ${device}, ${lang}: nothing jumps from the first paint to the end of the training and through the chapters`, async (visit) => {
      await visit.ready({ ...QUICK, lang });
      await visit.button(table["train.train"]).click();
      await visit.settled("done");
      // Down through all chapters by the wheel, as a reader goes.
      await visit.page.mouse.move(viewport.width / 2, viewport.height / 2);
      const bottom = () => scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
      for (let turns = 0; turns < 400 && !(await visit.page.evaluate(bottom)); turns++) {
        await visit.page.mouse.wheel(0, 120);
        await visit.drawn();
      }
      await visit.page.locator("[part=further][data-built]").waitFor();
      const shifts = await visit.page.evaluate(() => window.shifts);
      // What a reader's own click has opened may move what is below it, as the standard has it.
      const sum = shifts.filter(({ hadRecentInput }) => !hadRecentInput).reduce((total, { value }) => total + value, 0);
      visit.t.diagnostic(`layout shift ${sum.toFixed(4)}`);
      assert.ok(sum <= STILL, `layout shift ${sum}, expected at most ${STILL}: ${JSON.stringify(shifts, null, 1)}`);
      assert.deepEqual(visit.errors, []);
    }, { viewport, init: watchShifts });
  }
}

pageTest("before Train the page weighs no more than 250 KB without engine and model, uncompressed", async (visit) => {
  const before = visit.sent.length;
  await visit.ready();
  const light = visit.sent.slice(before).filter(({ file }) => !HEAVY.test(file)).sort((a, b) => b.bytes - a.bytes);
  const total = light.reduce((sum, { bytes }) => sum + bytes, 0);
  visit.t.diagnostic(`${total} bytes in ${light.length} files before Train`);
  assert.ok(light.length > 20 && light.some(({ file }) => file === "worker.js"), "the modules and the worker's are counted");
  assert.ok(total <= LIGHT, `${total} bytes, expected at most ${LIGHT}:\n${light.map(({ file, bytes }) => `${bytes} ${file}`).join("\n")}`);
});
