// Nothing keeps anybody out: axe-core looks at every view, in both languages, light and dark, on a desk and on a phone.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { DEVICES, LANGUAGES, QUICK, openAll, pageTest } from "./harness.js";
import { QUICK as ATTRIBUTES, WWW, html } from "./sites.js";
import { serveFolder } from "./server.js";

const axe = await readFile(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** All rules, the recommended ones included, over the page with its shadow roots and frames, light and dark. */
async function lookedAt(visit, what) {
  const { page } = visit;
  for (const colorScheme of ["light", "dark"]) {
    // Without motion no colour is caught half way.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await visit.drawn();
    for (const frame of page.frames()) await frame.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const said = violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${help}\n  ${JSON.stringify(target)}\n  ${failureSummary.replaceAll("\n", "\n  ")}`));
    assert.deepEqual(said, [], `${what}, ${colorScheme}:\n${said.join("\n")}`);
    assert.ok(passes.length > 10, `${what}: only ${passes.length} rules had anything to look at`);
  }
}

for (const [name, device] of Object.entries(DEVICES)) {
  for (const [lang, table] of Object.entries(LANGUAGES)) {
    const of = `on a ${name}, ${lang}`;

    pageTest(`${of}: the lab before, after training and with every chapter open`, async (visit) => {
      await visit.ready({ ...QUICK, lang });
      await lookedAt(visit, "before training");
      await visit.press(table["train.train"]);
      await visit.settled("done");
      await openAll(visit);
      await lookedAt(visit, "after training");
    }, { device, seconds: 120 });

    pageTest(`${of}: poster, compact card and comparison`, async (visit) => {
      const elements = ["compact", "compare"].map((view) => `<h2>${view}</h2><lora-lab view="${view}" ${ATTRIBUTES}></lora-lab>`).join("");
      const body = `<main><h1>Theirs</h1><h2>click</h2><lora-lab view="compact" start="click"></lora-lab>${elements}</main>`;
      const page = html(body, { script: "element.js" }).replace('lang="en"', `lang="${lang}"`).replace("<title>", '<meta name="color-scheme" content="light dark"><meta name="viewport" content="width=device-width"><title>');
      const site = await serveFolder(WWW, { pages: { "theirs.html": page } });
      try {
        await visit.page.goto(`${site.url}theirs.html`);
        for (const view of ["compact", "compare"]) await visit.page.locator(`[view=${view}]:not([start])`).scrollIntoViewIfNeeded();
        await visit.page.locator("[view=compact]:not([start])").getByRole("button", { name: table["train.train"], exact: true }).click();
        const finished = () => [...document.querySelectorAll("lora-lab:not([start])")].every(({ state }) => state?.phase === "done" && state.after.text && !state.after.writing);
        for (let tries = 0; !(await visit.page.evaluate(finished)); tries++) {
          assert.ok(tries < 600, "not both finished");
          await visit.page.waitForTimeout(50);
        }
        await lookedAt(visit, "embedded");
      } finally {
        await site.close();
      }
    }, { device, seconds: 90 });

    const tutorial = lang === "en" ? "tutorial.html" : `tutorial.${lang}.html`;
    for (const name of ["index.html", tutorial, "frame.html?view=compact&start=click"]) {
      pageTest(`${of}: embed/${name}`, async (visit) => {
        await visit.page.goto(`${visit.origin}/some/where/embed/${name}#lang=${lang}`);
        await visit.page.locator("lora-lab").first().scrollIntoViewIfNeeded();
        await visit.page.locator("lora-lab").first().locator("[part]").first().waitFor();
        if (name.startsWith("frame")) await visit.button(table["poster.start"]).waitFor();
        else await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing);
        await lookedAt(visit, name);
      }, { device, seconds: 90 });
    }
  }
}
