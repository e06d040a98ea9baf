// What the docs say about the element, in a page of somebody else: their snippets run, and what is for an embedder to set has its effect.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pageTest } from "./harness.js";
import { CORS, QUICK, WWW, html, theirSite } from "./sites.js";
import { serveFolder } from "./server.js";

const recipes = await readFile(new URL("../../docs/recipes.md", import.meta.url), "utf8");

/** Open a page of this content; what `pages` names lies beside it. */
async function embedded(visit, body, use, pages = {}) {
  const site = await serveFolder(WWW, { pages: { ...pages, "theirs.html": html(body, { script: "element.js" }) } });
  try {
    await visit.page.goto(`${site.url}theirs.html`);
    await use(site);
  } finally {
    await site.close();
  }
}

/** How an element is drawn. */
const style = (visit, selector, property) => visit.page.locator(selector).first().evaluate((node, property) => getComputedStyle(node)[property], property);

const snippets = [...recipes.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, source]) => source);

for (const source of snippets) {
  pageTest(`the recipe runs: ${source.split("\n").find((line) => line.includes("await"))?.trim()}`, async (visit) => {
    assert.match(source, /querySelector\("lora-lab"\)/);
    const letters = await readFile(join(WWW, "samples/robot.txt"), "utf8");
    await embedded(visit, `<lora-lab view="compact" ${QUICK}></lora-lab>`, async () => {
      await visit.page.evaluate(`(async () => { ${source} })()`);
      const { phase, run } = await visit.state();
      assert.ok(["training", "done"].includes(phase) || run.step === run.settings.steps, phase);
      assert.ok(run.heldOut < run.firstHeldOut);
      assert.deepEqual(visit.errors, []);
    }, { "letters.txt": letters });
  });
}

pageTest("the recipe for a notebook runs in a cell's output: the log below the element is the run's", async (visit) => {
  const { page } = visit;
  const [, cell] = recipes.match(/^HTML\("""\n([\s\S]*?)^"""\)/m);
  const ours = await serveFolder(WWW, { headers: CORS });
  const notebook = await theirSite({ "index.html": html('<div id="output"></div>') });
  try {
    await page.goto(notebook.url);
    // As Python reads the string.
    const output = cell.replaceAll("\\\\", "\\").replace("https://lab.example/", ours.url).replace('steps="60"', QUICK);
    await page.evaluate((output) => {
      const place = document.getElementById("output");
      place.innerHTML = output;
      // A script that came as text does not run: notebooks put a new one in its place.
      for (const script of place.querySelectorAll("script")) {
        const made = document.createElement("script");
        for (const { name, value } of script.attributes) made.setAttribute(name, value);
        made.textContent = script.textContent;
        script.replaceWith(made);
      }
    }, output);
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
    await visit.train();
    const { run } = await visit.state();
    const lines = run.log.map(({ step, loss, heldOutLoss = "" }) => `${step},${loss},${heldOutLoss}`);
    assert.equal(lines.length, 4);
    assert.equal(await page.locator("#log").textContent(), ["step,loss,unseen", ...lines].join("\n"));
    assert.deepEqual(visit.errors, []);
  } finally {
    await notebook.close();
    await ours.close();
  }
});

pageTest("a folder of texts and a folder of a model, as the recipes name them", async (visit) => {
  const [, markup] = recipes.match(/^```html\n(<lora-lab samples.*?<\/lora-lab>)/m);
  const tiny = async (name) => readFile(join(WWW, "models/tiny", name));
  const config = JSON.parse(await tiny("config.json"));
  const pages = {
    "texts/letters.txt": "Dear friend, it rains again, and I think of you. ".repeat(40),
    "mine/config.json": JSON.stringify({ ...config, n_ctx: 256 }),
    "mine/model.safetensors": await tiny("model.safetensors"),
    "mine/tokenizer.json": await tiny("tokenizer.json"),
  };
  await embedded(visit, markup.replace("<lora-lab", `<lora-lab ${QUICK} model="mine"`), async ({ url }) => {
    await visit.until((state) => state.phase === "ready" && state.corpus?.id === "letters");
    assert.match((await visit.state()).corpus.text, /^Dear friend/);
    assert.ok(visit.requests.includes(`${url}mine/model.safetensors`));
    assert.ok(!visit.requests.some((address) => address.includes("models/tiny")));
    await visit.page.evaluate(() => document.querySelector("lora-lab").setAttribute("model", "nowhere"));
    await visit.until((state) => state.phase === "broken" && state.problem.code === "fetch");
  }, pages);
});

pageTest("theme, custom properties and parts reach inside the element that they are set on, and no other", async (visit) => {
  const sheet = `<style>
    #mine { --lora-accent: rgb(0, 100, 90); --lora-serif: "Courier New"; --lora-min-height: 300px; }
    #mine::part(start) { text-transform: uppercase; }
    #mine::part(poster) { border-radius: 3px; }
  </style>`;
  const body = `${sheet}<lora-lab id="mine" start="click" theme="dark"></lora-lab><lora-lab id="other" start="click" theme="light"></lora-lab>`;
  await embedded(visit, body, async () => {
    await visit.page.locator("#other [part=start]").waitFor();
    const both = async (inside, property) => [await style(visit, `#mine ${inside}`.trim(), property), await style(visit, `#other ${inside}`.trim(), property)];
    assert.deepEqual(await both("", "colorScheme"), ["dark", "light"]);
    assert.deepEqual(await both("[part=start]", "backgroundColor"), ["rgb(0, 100, 90)", "rgb(185, 60, 23)"]);
    assert.deepEqual(await both("[part=start]", "textTransform"), ["uppercase", "none"]);
    const [card, otherCard] = await both("[part=poster]", "backgroundColor");
    assert.notEqual(card, otherCard);
    const [round, otherRound] = await both("[part=poster]", "borderRadius");
    assert.equal(round, "3px");
    assert.notEqual(otherRound, "3px");
    assert.match((await both("h2", "fontFamily"))[0], /Courier New/);
    assert.deepEqual(await both("", "minHeight"), ["300px", "720px"]);
    await visit.page.evaluate(() => document.getElementById("mine").setAttribute("theme", "light"));
    assert.equal(await style(visit, "#mine [part=poster]", "backgroundColor"), otherCard);
    await visit.page.evaluate(() => document.getElementById("mine").setAttribute("lang", "hi"));
    await visit.page.locator("#mine").getByRole("button", { name: "शुरू करें" }).waitFor();
    assert.equal(await visit.page.locator("#other").getByRole("button", { name: "Start" }).count(), 1);
    assert.deepEqual(visit.errors, []);
  });
});
