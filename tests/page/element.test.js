// <lora-lab> as somebody else puts it into a page: attributes, properties, methods, events, and no download before its time.
import assert from "node:assert/strict";
import { DEVICES, pageTest } from "./harness.js";
import { QUICK, WWW, html } from "./sites.js";
import { serveFolder } from "./server.js";

/** What a person does is done on each device. @type {typeof pageTest} */
const onEach = (name, body) => {
  for (const [on, device] of Object.entries(DEVICES)) pageTest(`on a ${on}, ${name}`, body, { device });
};

/** Open a page, beside ours, of this content. */
async function embedded(visit, body, use) {
  const site = await serveFolder(WWW, { pages: { "theirs.html": html(body, { script: "element.js" }) } });
  try {
    await visit.page.goto(`${site.url}theirs.html`);
    await visit.page.waitForFunction(() => Boolean(document.querySelector("lora-lab").shadowRoot?.childElementCount));
    await use(site);
  } finally {
    await site.close();
  }
}

const heavy = (visit) => visit.requests.filter((url) => /\.wasm$|\.safetensors$|worker\.js$/.test(url));

onEach("nothing heavy is downloaded before the element is in view, and then it is", async (visit) => {
  const { page } = visit;
  await embedded(visit, `<div style="height: 4000px"></div><lora-lab view="compact" ${QUICK}></lora-lab>`, async () => {
    await page.waitForTimeout(300);
    assert.deepEqual(heavy(visit), []);
    assert.equal(page.workers().length, 0);
    await page.locator("lora-lab").scrollIntoViewIfNeeded();
    await visit.until((state) => state.phase === "ready");
    assert.equal(heavy(visit).length > 2, true);
    assert.deepEqual(visit.errors, []);
  });
});

onEach("with start=click a key or a tap on the poster starts it, and nothing around it moves", async (visit) => {
  const { page } = visit;
  await embedded(visit, `<p>Before</p><lora-lab start="click" view="compact" ${QUICK}></lora-lab><p id="after">After</p>`, async () => {
    await page.evaluate(() => {
      window.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
    });
    await page.waitForTimeout(300);
    assert.deepEqual(heavy(visit), []);
    const start = visit.button("Start");
    assert.ok(await start.isVisible());
    if (visit.device.hasTouch) await start.tap();
    else {
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.textContent), "Start");
      await page.keyboard.press("Enter");
    }
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing);
    assert.ok(await page.evaluate(() => document.activeElement === document.querySelector("lora-lab")), "the focus stays in the element");
    await visit.train();
    assert.ok((await page.evaluate(() => window.shift)) < 0.05, `layout shift ${await page.evaluate(() => window.shift)}`);
    assert.deepEqual(visit.errors, []);
  });
});

pageTest("attributes are settings, properties reflect them, and a later change is followed", async (visit) => {
  const { page } = visit;
  await embedded(visit, `<lora-lab ${QUICK} sample="robot" alpha="6" targets="attn.c_attn,mlp.c_fc" seed="9" prompt="The cat" view="nonsense"></lora-lab>`, async () => {
    await visit.until((state) => state.phase === "ready" && state.corpus && !state.before.writing);
    const { settings, corpus } = await visit.state();
    const { rank, alpha, targets, seed, prompt, sample, steps, batchSize, learningRate } = settings;
    assert.deepEqual([rank, alpha, seed, prompt, sample, steps, batchSize, learningRate], [4, 6, 9, "The cat", "robot", 4, 2, 0.01]);
    assert.deepEqual(targets, ["attn.c_attn", "mlp.c_fc"]);
    assert.match(corpus.text, /LOG/);
    const element = page.locator("lora-lab");
    assert.deepEqual(await element.evaluate((e) => [e.rank, e.view, e.theme, e.start, e.link, e.targets, e.model]), [4, "full", "auto", "visible", false, ["attn.c_attn", "mlp.c_fc"], null]);
    await element.evaluate((e) => Object.assign(e, { rank: 2, sample: "recipes", targets: ["attn.c_proj"], theme: "dark", link: true }));
    assert.deepEqual(await element.evaluate((e) => ["rank", "sample", "targets", "theme", "link"].map((name) => e.getAttribute(name))), ["2", "recipes", "attn.c_proj", "dark", ""]);
    await visit.until((state) => state.settings.rank === 2 && state.corpus.id === "recipes" && state.settings.seed === 9);
    await element.evaluate((e) => e.setAttribute("rank", "many"));
    await visit.until((state) => state.settings.rank === 8);
    await element.evaluate((e) => (e.view = "compact"));
    await page.locator("[part=frame].brief").waitFor();
    await visit.until((state) => state.phase === "ready");
    // Set before the class is there, a property hides the accessor; it is handed over.
    const early = await page.evaluate(() => {
      const made = document.createElement("lora-lab");
      Object.defineProperty(made, "rank", { value: 3, writable: true, configurable: true, enumerable: true });
      made.hidden = true;
      document.body.append(made);
      return [made.getAttribute("rank"), Object.hasOwn(made, "rank"), made.rank];
    });
    assert.deepEqual(early, ["3", false, 3]);
    assert.deepEqual(visit.errors, []);
  });
});

pageTest("its methods do what its buttons do, tell what they did by events, and reject with a code", async (visit) => {
  const { page } = visit;
  await embedded(visit, `<lora-lab start="click" view="compact" ${QUICK}></lora-lab>`, async () => {
    const result = await page.evaluate(async () => {
      const element = document.querySelector("lora-lab");
      const events = [];
      for (const type of ["lora-ready", "lora-step", "lora-done", "lora-failed"]) {
        document.addEventListener(type, ({ detail, target }) => events.push([type, target === element, detail]));
      }
      const code = (promise) => promise.then(() => "kept", (error) => error.code);
      await element.open();
      const outside = await code(document.createElement("lora-lab").train());
      await element.step();
      const first = element.state.run.step;
      const whole = element.train();
      const busy = await code(new Promise((resolve) => setTimeout(resolve)).then(() => element.train()));
      const trained = await whole;
      const texts = await element.compare("The dog");
      const { text } = await element.generate("The dog", { maxTokens: 5 });
      const files = await element.exportAdapter();
      await element.reset();
      const without = element.state.adapter;
      await element.importAdapter(files);
      const imported = element.state.adapter.source;
      const bad = await code(element.importAdapter({ ...files, config: "{" }));
      await element.useText("A short one.");
      const short = await code(element.train());
      return { events, outside, first, busy, trained, texts, text, without, imported, bad, short };
    });
    assert.equal(result.outside, "not-connected");
    assert.equal(result.first, 1);
    assert.equal(result.busy, "busy");
    assert.equal(result.trained.step, 4);
    assert.ok(Number.isFinite(result.trained.heldOut));
    assert.ok(result.texts.before && result.texts.after && result.text);
    assert.deepEqual([result.without, result.imported, result.bad, result.short], [undefined, "file", "format", "too-short"]);
    const types = result.events.map(([type]) => type);
    assert.deepEqual(types, ["lora-ready", "lora-step", "lora-step", "lora-step", "lora-step", "lora-done", "lora-failed", "lora-failed"]);
    assert.ok(result.events.every(([, ours]) => ours));
    assert.ok(result.events[0][2].parameters > 0);
    assert.deepEqual(result.events.slice(1, 5).map(([, , { step }]) => step), [1, 2, 3, 4]);
    assert.deepEqual(visit.errors, []);
  });
});

onEach("several on one page train at once, and each as if it were alone", async (visit) => {
  const { page } = visit;
  const one = `<lora-lab id="one" start="click" view="compact" ${QUICK}></lora-lab>`;
  const two = `<lora-lab id="two" start="click" view="compact" ${QUICK} sample="robot" seed="5"></lora-lab>`;
  const trained = (id) => page.evaluate(async (id) => {
    const element = document.getElementById(id);
    await element.open();
    await element.train();
    const { safetensors } = await element.exportAdapter();
    return { sample: element.state.corpus.id, losses: element.state.run.points.loss, adapter: [...safetensors].join(), after: element.state.after.text };
  }, id);
  let alone;
  await embedded(visit, two, async () => {
    alone = await trained("two");
  });
  await embedded(visit, one + two, async () => {
    const [first, second] = await Promise.all([trained("one"), trained("two")]);
    assert.deepEqual(second, alone);
    assert.equal(first.sample, "pirate");
    assert.notEqual(first.adapter, second.adapter);
    // A radio of one is no radio of the other, and no label leads across.
    await visit.press(page.locator("#one label").filter({ hasText: "Recipes" }));
    await page.waitForFunction(() => document.getElementById("one").state.corpus.id === "recipes");
    assert.equal(await page.evaluate(() => document.getElementById("two").state.corpus.id), "robot");
    assert.equal(await page.locator("#two").getByRole("radio", { name: /robot/ }).isChecked(), true);
    await page.evaluate(() => document.getElementById("one").remove());
    assert.ok((await page.evaluate(() => document.getElementById("two").compare("The end"))).after);
    assert.deepEqual(visit.errors, []);
  });
});

onEach("the view `compare` trains by itself; given an adapter's folder it does not", async (visit) => {
  const { page } = visit;
  let files, after;
  await embedded(visit, `<lora-lab view="compare" ${QUICK} prompt="The dog"></lora-lab>`, async () => {
    await visit.until((state) => state.phase === "done" && state.after.text && !state.after.writing);
    assert.equal(await page.getByRole("button", { name: "Train" }).count(), 0);
    files = await page.evaluate(async () => {
      const { safetensors, config } = await document.querySelector("lora-lab").exportAdapter();
      return { safetensors: [...safetensors], config };
    });
    after = (await visit.state()).after.text;
  });
  const pages = {
    "theirs.html": html(`<lora-lab view="compare" adapter="voice" prompt="The dog" length="12"></lora-lab>`, { script: "element.js" }),
    "voice/adapter_model.safetensors": Uint8Array.from(files.safetensors),
    "voice/adapter_config.json": files.config,
  };
  const site = await serveFolder(WWW, { pages });
  try {
    await page.goto(`${site.url}theirs.html`);
    await visit.until((state) => state.adapter && state.after.text && !state.after.writing);
    const state = await visit.state();
    assert.equal(state.run, undefined);
    assert.equal(state.after.text, after);
    assert.equal(await page.locator("[part=train]").getByRole("progressbar").isVisible(), false);
    // And one that is not there says so, beside a base that works.
    await page.evaluate(() => (document.querySelector("lora-lab").adapter = "nowhere/"));
    await visit.until((state) => state.problem?.place === "adapter" && state.before.text);
    assert.match(await page.locator("[role=alert]:visible").textContent(), /nowhere\/adapter_/);
  } finally {
    await site.close();
  }
});

pageTest("texts with the line ends of Windows are trained on as the text area shows them, and the area is left alone", async (visit) => {
  const { page } = visit;
  const lines = "A line of the log.\r\nAnd another one.\r\n".repeat(60);
  await page.route("**/texts/win.txt", (route) => route.fulfill({ contentType: "text/plain", body: lines }));
  await embedded(visit, `<lora-lab samples="texts/" sample="win" ${QUICK}></lora-lab>`, async () => {
    await visit.until((state) => state.phase === "ready" && state.corpus && !state.before.writing);
    assert.equal((await visit.state()).corpus.text, lines.replaceAll("\r\n", "\n"));
    const told = await page.evaluate(async (text) => {
      const element = document.querySelector("lora-lab");
      await element.useText(text, "win.txt");
      await new Promise((resolve) => setTimeout(resolve, 200));
      const area = element.shadowRoot.querySelector("textarea");
      const { get, set } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
      let times = 0;
      Object.defineProperty(area, "value", { get() { return get.call(this); }, set(value) { times++; set.call(this, value); } });
      await element.train();
      const { corpus, run, settings } = element.state;
      return { equal: area.value === corpus.text && run.text === corpus.text, carriage: corpus.text.includes("\r"), times, done: run.step === settings.steps };
    }, lines);
    assert.deepEqual(told, { equal: true, carriage: false, times: 0, done: true });
    assert.deepEqual(visit.errors, []);
  });
});

pageTest("an adapter whose config is an object is refused by its name, told, and changes nothing", async (visit) => {
  const { page } = visit;
  await embedded(visit, `<lora-lab view="compact" ${QUICK}></lora-lab>`, async () => {
    await visit.until((state) => state.phase === "ready" && state.corpus && !state.before.writing);
    const told = await page.evaluate(async () => {
      const element = document.querySelector("lora-lab");
      await element.train();
      const { safetensors, config } = await element.exportAdapter();
      const failed = [];
      element.addEventListener("lora-failed", ({ detail }) => failed.push(detail.code));
      const said = await element.importAdapter({ safetensors, config: JSON.parse(config) }).then(() => "taken", ({ code, message }) => `${code}: ${message}`);
      const { adapter, phase, run } = element.state;
      const names = (await element.lab.adapters()).map(({ name }) => name);
      return { said, failed, source: adapter.source, phase, over: run.over, names };
    });
    assert.match(told.said, /^config: .*config/);
    assert.deepEqual({ ...told, said: "" }, { said: "", failed: ["config"], source: "trained", phase: "done", over: false, names: ["at work 1"] });
  });
});
