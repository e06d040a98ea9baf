// What each view costs whoever embeds it, beside engine and model: the table in docs/embedding.md, measured.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { openAll, pageTest } from "./harness.js";
import { serveFolder } from "./server.js";
import { QUICK, WWW, docs, html } from "./sites.js";

const [, table] = docs.match(/<!-- views -->\n([\s\S]*?)<!-- end of views -->/);
const told = Object.fromEntries([...table.matchAll(/^\| (.*) \| (\d+) \| (\d+) \| (\d+) \|$/gm)].map(([, name, ...numbers]) => [name, numbers.map(Number)]));
/** Sizes are told to a tenth: a table that had to follow each change would only teach to change it without looking. */
const NEAR = 0.1;

const ready = (visit) => visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);

/** A row's name, what the page holds, and what is done there. */
const ROWS = [
  ['any, with `start="click"`, before the click', `<lora-lab start="click" ${QUICK}></lora-lab>`, (visit) => visit.button("Start").waitFor()],
  ["`compact`, until the base has told its story", `<lora-lab view="compact" ${QUICK}></lora-lab>`, ready],
  ["`compare`, trained", `<lora-lab view="compare" ${QUICK}></lora-lab>`, (visit) => visit.settled("done")],
  ["`full`, until the base has told its story", `<lora-lab ${QUICK}></lora-lab>`, ready],
  ["`full`, trained and read to the end", `<lora-lab ${QUICK}></lora-lab>`, async (visit) => {
    await ready(visit);
    await visit.train();
    await openAll(visit);
  }],
];

for (const [name, body, use] of ROWS) {
  pageTest(`the docs tell what is downloaded: ${name}`, async (visit) => {
    const site = await serveFolder(WWW, { pages: { "theirs.html": html(body, { script: "element.js" }) } });
    try {
      await visit.page.goto(`${site.url}theirs.html`);
      await use(visit);
      const files = [...new Set(site.sent.map(({ file }) => file))].filter((file) => !/^(pkg|models)\/|^theirs/.test(file));
      const contents = await Promise.all(files.map((file) => readFile(join(WWW, file))));
      const sum = (of) => contents.reduce((total, content) => total + of(content).length, 0);
      const is = [files.length, sum((content) => content), sum((content) => gzipSync(content, { level: 9 }))];
      visit.t.diagnostic(`| ${name} | ${is.join(" | ")} |`);
      assert.ok(name in told, `docs/embedding.md has no row | ${name} | ${is.join(" | ")} |`);
      for (const [index, value] of is.entries()) {
        assert.ok(Math.abs(told[name][index] / value - 1) <= NEAR, `docs/embedding.md has ${told[name]} for ${name}, expected about ${is}`);
      }
    } finally {
      await site.close();
    }
  });
}
