// Nothing jumps in the other pages either: the tutorial, the examples, and somebody's text around an element that begins by itself.
import assert from "node:assert/strict";
import { DEVICES, LANGUAGES, pageTest } from "./harness.js";
import { serveFolder } from "./server.js";
import { assertStill, readOn, watchShifts } from "./shifts.js";
import { QUICK, WWW, docs, html } from "./sites.js";

const told = (state) => state.phase === "ready" && state.before.text && !state.before.writing;
/** The room that the docs tell an embedder to keep, for each view. */
const [, rule, compact, compare, full] = docs.match(/^(lora-lab \{.* min-height: (\d+)px; \}) .* (\d+)px for `compare`, (\d+)px for `full`/m);
const ROOM = Object.entries({ compact, compare, full });
const words = `<p>${"Words of theirs, above and below. ".repeat(12)}</p>`;

for (const [name, device] of Object.entries(DEVICES)) {
  for (const lang of Object.keys(LANGUAGES)) {
    const of = `on a ${name}, ${lang}, nothing jumps`;
    const tutorial = lang === "en" ? "tutorial.html" : `tutorial.${lang}.html`;
    for (const file of [tutorial, "index.html"]) {
      pageTest(`${of}: embed/${file}, read to its end`, async (visit) => {
        await visit.page.goto(`${visit.origin}/some/where/embed/${file}#lang=${lang}`);
        // What is far below has been fetched by the time that a reader gets there.
        await visit.page.locator("lora-lab").first().scrollIntoViewIfNeeded();
        await visit.until(told);
        await readOn(visit);
        await assertStill(visit);
        assert.deepEqual(visit.errors, []);
      }, { device, init: watchShifts });
    }
  }

  for (const [view, height] of ROOM) {
    pageTest(`on a ${name} nothing jumps around the view ${view}, which begins by itself`, async (visit) => {
      const body = `${words}<lora-lab view="${view}" ${QUICK}></lora-lab>${words}`;
      const page = html(body, { script: "element.js" }).replace("<title>", `<style>${rule.replace(compact, height)}</style><title>`);
      const site = await serveFolder(WWW, { pages: { "theirs.html": page } });
      try {
        await visit.page.goto(`${site.url}theirs.html`);
        if (view === "compare") await visit.settled("done");
        else {
          await visit.until(told);
          await visit.train();
        }
        await assertStill(visit);
        assert.deepEqual(visit.errors, []);
      } finally {
        await site.close();
      }
    }, { device, init: watchShifts });
  }
}
