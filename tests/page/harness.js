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
import { CHAPTERS } from "../../www/view/chapters.js";
import { serveFolder } from "./server.js";

const WWW = fileURLToPath(new URL("../../www/", import.meta.url));
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** What a reader may have in front of them, and the words there are. */
export const DEVICES = { laptop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };
export const LANGUAGES = { en, hi };

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
 * @param {{ seconds?: number, viewport?: object, colorScheme?: "light" | "dark", init?: () => void }} [options]
 */
export function pageTest(name, body, { seconds = 60, viewport = { width: 1280, height: 800 }, init } = {}) {
  test(name, { timeout: (seconds + 30) * 1000 }, async (t) => {
    const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
    const profile = await mkdtemp(join(userData, "profile-"));
    const context = await chromium.launchPersistentContext(profile, { executablePath, args: ARGUMENTS, viewport, headless: true, acceptDownloads: true });
    const visit = new Visit(t, context);
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

/** A reader's visit: the page and everything it said and asked for. */
class Visit {
  log = [];
  errors = [];
  requests = [];

  constructor(t, context) {
    this.t = t;
    this.context = context;
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
    await this.page.goto(`${server.url}#${new URLSearchParams(settings)}`);
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

  /** Press Train and wait for the end of everything that follows. */
  async train() {
    await this.button("Train").click();
    await this.settled("done");
  }

  settled(phase) {
    return this.until(`(state) => state.phase === "${phase}" && state.after.text && !state.after.writing && !state.digest.checking && state.digest.checks > 1`);
  }

  /** Call the engine that the page uses. The body is a function of lab and one argument. */
  engine(body, argument) {
    return this.page.evaluate(`(async () => (${body})(document.querySelector("lora-lab").lab, ${JSON.stringify(argument)}))()`);
  }

  /** A file chosen in a dialogue or dropped. */
  choose(label, ...files) {
    return this.page.locator(`input[type=file][aria-label="${label}"]`).setInputFiles(files);
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
