// What the page costs before anything is trained, and that nothing jumps under whoever reads.
import assert from "node:assert/strict";
import { DEVICES, LANGUAGES, QUICK, pageTest } from "./harness.js";
import { assertStill, readOn, watchShifts } from "./shifts.js";

/** Bytes on the wire before Train, in each language. The server of this test compresses nothing, as `cargo xtask serve` and some static hosts do not. */
const LIGHT = 250_000;
/** Not counted: the model, and the engine, which is the wasm with the glue that wasm-bindgen writes for it. The worker's own modules are. */
const HEAVY = /^pkg\/|^models\//;

for (const [name, device] of Object.entries(DEVICES)) {
  for (const [lang, table] of Object.entries(LANGUAGES)) {
    pageTest(`on a ${name}, ${lang}: nothing jumps from the first paint to the end of the training and through the chapters`, async (visit) => {
      await visit.ready({ ...QUICK, lang });
      await visit.press(table["train.train"]);
      await visit.settled("done");
      await readOn(visit);
      await visit.page.locator("[part=further][data-built]").waitFor();
      await assertStill(visit);
      assert.deepEqual(visit.errors, []);
    }, { device, init: watchShifts });
  }
}

for (const lang of Object.keys(LANGUAGES)) {
  pageTest(`before Train the page weighs no more than ${LIGHT / 1000} KB in ${lang}, without engine and model, uncompressed`, async (visit) => {
    const before = visit.sent.length;
    await visit.ready({ ...QUICK, lang });
    const sent = visit.sent.slice(before).sort((a, b) => b.bytes - a.bytes);
    const light = sent.filter(({ file }) => !HEAVY.test(file));
    const sum = (files) => files.reduce((total, { bytes }) => total + bytes, 0);
    const [total, glue] = [sum(light), sum(sent.filter(({ file }) => /^pkg\/.*\.js$/.test(file)))];
    visit.t.diagnostic(`${lang}: ${total} bytes in ${light.length} files before Train, of ${LIGHT}; the engine's glue beside them has ${glue}`);
    const files = light.map(({ file }) => file);
    assert.ok(files.length > 20 && files.includes("engine/worker.js") && files.includes(`i18n/${lang}/first.js`), "the modules, the worker's and the words are counted");
    assert.deepEqual(files.filter((file) => /^i18n\/.*\//.test(file)), [`i18n/${lang}/first.js`], "no words but those that are read now");
    assert.ok(total <= LIGHT, `${total} bytes, expected at most ${LIGHT}:\n${light.map(({ file, bytes }) => `${bytes} ${file}`).join("\n")}`);
  });
}
