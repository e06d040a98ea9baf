// One browser for all tests of a file, a fresh context (empty profile) and page for each; everything is bounded, and a test
// that fails or hangs prints what the page said.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import en from "../../www/i18n/en.js";
import hi from "../../www/i18n/hi.js";
import { words } from "../../www/i18n/i18n.js";
import { CHAPTERS } from "../../www/element/view/chapters.js";
import { serveFolder } from "./server.js";

const WWW = fileURLToPath(new URL("../../www/", import.meta.url));
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** What a reader may have in front of them, as the browser's context takes it, and the words there are. */
export const DEVICES = {
  laptop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
};
export const LANGUAGES = { en, hi };

/** Two readers with little in common. What works for both is not tied to a mouse, to a width, to a language or to light. */
export const READERS = {
  "on a laptop": { device: DEVICES.laptop, lang: "en" },
  "on a phone, in Hindi and in the dark": { device: { ...DEVICES.phone, colorScheme: "dark" }, lang: "hi" },
};

/** So small that a whole training takes a moment. */
export const QUICK = { steps: 8, batch: 2, block: 64, lr: 0.01, rank: 4, length: 24 };

let server, userData;

before(async () => {
  server = await serveFolder(WWW);
  userData = await mkdtemp(join(tmpdir(), "lora-lab-page-"));
});

after(async () => {
  await server?.close();
  if (userData) await rm(userData, { recursive: true, force: true });
});

/** Whatever else happens: no engine on the main thread, and the longest task there is known. */
function watchMainThread() {
  window.engines = [];
  for (const name of ["instantiate", "instantiateStreaming", "compile", "compileStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = (...args) => {
      window.engines.push(name);
      return original.apply(WebAssembly, args);
    };
  }
  window.longestTask = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longestTask = Math.max(window.longestTask, duration);
  }).observe({ type: "longtask", buffered: true });
}

/**
 * @param {string} name a sentence that is true
 * @param {(visit: Visit) => Promise<void>} body
 * @param {{ seconds?: number, device?: object, lang?: keyof typeof LANGUAGES, init?: () => void }} [options]
 */
export function pageTest(name, body, { seconds = 60, device = DEVICES.laptop, lang = "en", init } = {}) {
  test(name, { timeout: (seconds + 30) * 1000 }, async (t) => {
    const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
    const profile = await mkdtemp(join(userData, "profile-"));
    const context = await chromium.launchPersistentContext(profile, { ...device, executablePath, args: ARGUMENTS, headless: true, acceptDownloads: true });
    const visit = new Visit(t, context, device, lang);
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000);
    });
    try {
      await context.addInitScript(watchMainThread);
      if (init) await context.addInitScript(init);
      await visit.newPage();
      await Promise.race([body(visit), late]);
    } catch (error) {
      console.error(`--- ${name}: what the page said\n${visit.log.join("\n")}\n---`);
      throw error;
    } finally {
      clearTimeout(timer);
      await context.close();
    }
  });
}

/** The same for each of the readers. @type {typeof pageTest} */
export function everyReader(name, body, options = {}) {
  for (const [reader, has] of Object.entries(READERS)) pageTest(`${reader}: ${name}`, body, { ...has, ...options });
}

/** A reader's visit: the page and everything it said and asked for. */
class Visit {
  log = [];
  errors = [];
  requests = [];

  constructor(t, context, device, lang) {
    this.t = t;
    this.context = context;
    this.device = device;
    this.lang = lang;
    /** What the page says in the reader's language. */
    this.word = words(LANGUAGES[lang]).t;
    context.on("request", (request) => this.requests.push(request.url()));
  }

  /** What our server has sent so far: files and bytes, uncompressed. */
  get sent() {
    return server.sent;
  }

  get origin() {
    return server.origin;
  }

  async newPage() {
    this.page = this.context.pages()[0] ?? (await this.context.newPage());
    this.page.setDefaultTimeout(20_000);
    this.page.on("console", (message) => {
      this.log.push(`${message.type()}: ${message.text()}`);
      if (message.type() === "error" || message.type() === "warning") this.errors.push(message.text());
    });
    this.page.on("pageerror", (error) => {
      this.log.push(`uncaught: ${error.stack}`);
      this.errors.push(error.message);
    });
  }

  /** Open the page with these settings in its link. */
  async open(settings = QUICK) {
    await this.page.goto(`${server.url}#${new URLSearchParams({ lang: this.lang, ...settings })}`);
  }

  /** Open it and wait until the base has told its story and its digest is there. */
  async ready(settings = QUICK) {
    await this.open(settings);
    await this.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
  }

  state() {
    return this.page.evaluate(() => document.querySelector("lora-lab").state);
  }

  /** Wait until a function of the page's state says so. */
  async until(condition) {
    // Not page.waitForFunction: it evaluates a string inside the page, which the page's policy rightly forbids.
    const check = `(() => { const state = document.querySelector("lora-lab")?.state; return Boolean(state && (${condition})(state)); })()`;
    const end = Date.now() + 45_000;
    while (!(await this.page.evaluate(check))) {
      if (Date.now() > end) {
        const { phase, problem, run } = await this.state();
        throw new Error(`waited in vain for ${condition}; phase ${phase}, step ${run?.step}, ${JSON.stringify(problem)}`);
      }
      await this.page.waitForTimeout(20);
    }
    await this.drawn();
  }

  /** Wait until the page shows the state it has: it is drawn in the next frame. */
  drawn() {
    return this.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  }

  /** Scroll to a chapter, as a reader does, and wait until it is built. */
  async see(name) {
    await this.page.locator(`[part=${name}]`).scrollIntoViewIfNeeded();
    const chapter = this.page.locator(`[part=${name}][data-built]`);
    await chapter.waitFor();
    await chapter.scrollIntoViewIfNeeded();
    return chapter;
  }

  /** Wait until so many workers are left: ending one takes the browser a moment. */
  async workers(count) {
    for (let tries = 0; this.page.workers().length !== count; tries++) {
      if (tries === 100) throw new Error(`${this.page.workers().length} workers, expected ${count}`);
      await this.page.waitForTimeout(50);
    }
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  /** By mouse or by finger, whichever the reader has. @param {string | import("playwright-core").Locator} what a button's name, or anything */
  press(what) {
    const locator = typeof what === "string" ? this.button(what) : what;
    return this.device.hasTouch ? locator.tap() : locator.click();
  }

  /** Drag a slider's thumb to a value, by mouse or by finger. @param {import("playwright-core").Locator} slider @param {number} value */
  async slide(slider, value) {
    await slider.scrollIntoViewIfNeeded();
    const at = await slider.evaluate((input, value) => {
      const { left, top, width, height } = input.getBoundingClientRect();
      // The thumb's middle stays half a thumb away from either end.
      const x = (value) => left + 10 + ((value - input.min) / (input.max - input.min)) * (width - 20);
      return { from: x(input.value), to: x(value), y: top + height / 2 };
    }, value);
    const way = Array.from({ length: 6 }, (_, index) => ({ x: at.from + ((index + 1) / 6) * (at.to - at.from), y: at.y }));
    if (this.device.hasTouch) {
      const devtools = await this.context.newCDPSession(this.page);
      const touch = (type, ...touchPoints) => devtools.send("Input.dispatchTouchEvent", { type, touchPoints });
      await touch("touchStart", { x: at.from, y: at.y });
      for (const point of way) await touch("touchMove", point);
      await touch("touchEnd");
      await devtools.detach();
    } else {
      await this.page.mouse.move(at.from, at.y);
      await this.page.mouse.down();
      for (const { x, y } of way) await this.page.mouse.move(x, y);
      await this.page.mouse.up();
    }
    const now = Number(await slider.inputValue());
    if (now !== value) throw new Error(`dragged to ${now}, expected ${value}`);
  }

  /** Press Train and wait for the end of everything that follows. */
  async train() {
    await this.press(this.word("train.train"));
    await this.settled("done");
  }

  settled(phase) {
    return this.until(`(state) => state.phase === "${phase}" && state.after.text && !state.after.writing && !state.digest.checking && state.digest.checks > 1`);
  }

  /** Call the engine that the page uses. The body is a function of lab and one argument. */
  engine(body, argument) {
    return this.page.evaluate(`(async () => (${body})(document.querySelector("lora-lab").lab, ${JSON.stringify(argument)}))()`);
  }

  /** Choose files in the dialogue that a button opens. @param {string} label */
  async choose(label, ...files) {
    const [dialogue] = await Promise.all([this.page.waitForEvent("filechooser"), this.press(label)]);
    await dialogue.setFiles(files);
  }

  async drop(selector, ...files) {
    const parts = files.map(({ name, buffer }) => ({ name, bytes: [...buffer] }));
    const dataTransfer = await this.page.evaluateHandle((parts) => {
      const transfer = new DataTransfer();
      for (const { name, bytes } of parts) transfer.items.add(new File([Uint8Array.from(bytes)], name));
      return transfer;
    }, parts);
    for (const type of ["dragenter", "dragover", "drop"]) await this.page.locator(selector).dispatchEvent(type, { dataTransfer });
  }
}

/** Everything that a click or a scroll opens: each chapter, the folded settings, a layer's ΔW. */
export async function openAll(visit) {
  for (const { name } of CHAPTERS) await visit.see(name);
  for (const summary of await visit.page.locator("summary").all()) await summary.click();
  await visit.page.locator(".heat-button:enabled").first().click();
  await visit.until((state) => state.looks.delta && state.looks.read);
}

export const file = (name, content) => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });
