// Every view in both languages, light and dark, as docs/img/<view>.<language>.<theme>.webp: `node docs/screenshots.mjs`, with names of views
// only those. The page is trained once; then language, theme and window change around it, as they may for a reader.
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serveFolder } from "../tests/page/server.js";
import { CHAPTERS } from "../www/view/chapters.js";

const WWW = fileURLToPath(new URL("../www/", import.meta.url));
const IMAGES = new URL("img/", import.meta.url);
const LAPTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const LANGUAGES = ["en", "hi"];
const THEMES = ["light", "dark"];
/** In bytes: what a reader of the repository does not notice. The quality falls until it is reached. */
const LARGEST = 60_000;
/** Of a picture of chapters: CSS pixels, and pixels of the picture for each. */
const TALLEST = 1900;
const SMALLER = 0.7;
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];

const only = process.argv.slice(2);
const wanted = (...views) => !only.length || views.some((view) => only.includes(view));

/** Conditions on the element's state. */
const READY = `state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now`;
const DONE = `state.phase === "done" && state.after.text && !state.after.writing && !state.digest.checking`;

const server = await serveFolder(WWW);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ARGUMENTS });
try {
  await mkdir(IMAGES, { recursive: true });
  if (wanted("first", "phone")) await first();
  if (wanted("trained", "trained-phone", "benefits", "look", "code", "further", "chapters-phone")) await trained();
  for (const view of ["compact", "compare"]) if (wanted(view)) await embedded(view);
  if (wanted("poster")) await poster();
  if (wanted("examples")) await article("examples", () => "embed/index.html");
  if (wanted("tutorial")) await article("tutorial", (lang) => (lang === "en" ? "embed/tutorial.html" : `embed/tutorial.${lang}.html`));
} finally {
  await browser.close();
  await server.close();
}

/** What greets a reader: the base has told its story, nothing is trained. */
async function first() {
  const page = await open(`${server.url}#lang=en`);
  await until(page, READY);
  await all(page, "first");
  await page.setViewportSize(PHONE);
  await all(page, "phone");
  await page.close();
}

/** After the training that a press on Train gives, down to the last chapter. */
async function trained() {
  const page = await open(`${server.url}#lang=en`);
  await until(page, READY);
  await page.locator("[data-action=train]").click();
  await until(page, DONE);
  await all(page, "trained");
  for (const { name } of CHAPTERS) await page.locator(`[part=${name}]`).scrollIntoViewIfNeeded();
  await page.locator(".chapter:not([data-built])").first().waitFor({ state: "detached" });
  await page.getByLabel("Name on the shelf").fill("Salt");
  await page.getByRole("button", { name: "Keep on the shelf" }).click();
  await page.locator(".heat-button:enabled").first().click();
  await until(page, "state.looks.delta && state.looks.read && state.shelf.items.length");
  await all(page, "benefits", ["parameters", "proof", "efficient", "storage"]);
  await all(page, "look", ["inside", "tokens"]);
  await all(page, "code", ["code"]);
  await all(page, "further", ["further"]);
  await page.setViewportSize(PHONE);
  await all(page, "trained-phone", ["compare"]);
  await all(page, "chapters-phone", ["parameters", "proof"]);
  await page.close();
}

/** One of the small views in somebody's page. */
async function embedded(view) {
  const page = await open(`${server.url}embed/frame.html?${new URLSearchParams({ view, steps: "100", sample: "robot" })}#lang=en`, { width: 560, height: view === "compact" ? 760 : 640 });
  // The comparison trains by itself.
  if (view === "compact") {
    await until(page, READY);
    await page.locator("[data-action=train]").click();
  }
  await until(page, DONE);
  await all(page, view);
  await page.close();
}

async function poster() {
  const page = await open(`${server.url}embed/frame.html?view=compare&start=click#lang=en`, { width: 560, height: 420 });
  await page.locator(".poster").waitFor();
  await all(page, "poster");
  await page.close();
}

/** A page of its own in each language. @param {string} view @param {(lang: string) => string} path */
async function article(view, path) {
  for (const lang of LANGUAGES) {
    const page = await open(`${server.url}${path(lang)}#lang=${lang}`);
    await page.locator("lora-lab").first().scrollIntoViewIfNeeded();
    await until(page, READY);
    await page.evaluate(() => scrollTo(0, 0));
    for (const theme of THEMES) await shoot(page, view, lang, theme);
    await page.close();
  }
}

/** In each language and theme, of the window or of these parts, the first to the last. @param {import("playwright-core").Page} page @param {string} view @param {string[]} [parts] */
async function all(page, view, parts) {
  if (!wanted(view)) return;
  for (const lang of LANGUAGES) {
    await speak(page, lang);
    for (const theme of THEMES) await shoot(page, view, lang, theme, parts);
  }
  await speak(page, "en");
}

/** The page has a button for it, an embedded element an attribute. @param {import("playwright-core").Page} page @param {string} lang */
async function speak(page, lang) {
  if ((await page.evaluate(() => document.querySelector("lora-lab").lang || document.documentElement.lang)) === lang) return;
  const toggle = page.locator(`#language[lang=${lang}]`);
  if (await toggle.count()) await toggle.click();
  else await page.evaluate((lang) => Object.assign(document.querySelector("lora-lab"), { lang }), lang);
  await page.locator(`lora-lab[lang=${lang}]`).waitFor();
  await page.waitForTimeout(300);
  for (const chapter of await page.locator(".chapter").all()) await chapter.scrollIntoViewIfNeeded();
  await page.waitForTimeout(700);
}

async function shoot(page, view, lang, theme, parts) {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  await page.evaluate(() => (document.activeElement instanceof HTMLElement ? document.activeElement.blur() : undefined));
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(400);
  const { clip, ...whole } = await area(page, parts);
  const devtools = await page.context().newCDPSession(page);
  for (let quality = 86; ; quality -= 12) {
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality, clip, ...whole });
    const image = Buffer.from(data, "base64");
    if (image.length > LARGEST && quality > 40) continue;
    const name = `${view}.${lang}.${theme}.webp`;
    await writeFile(new URL(name, IMAGES), image);
    console.log(`${name}: ${image.length} bytes, quality ${quality}`);
    break;
  }
  await devtools.detach();
}

/** What is in the window, or these parts with a margin, wherever they are. */
async function area(page, parts) {
  const { width, height } = page.viewportSize();
  if (!parts) return { clip: { x: 0, y: 0, width, height, scale: 1 } };
  const boxes = await Promise.all(parts.map((part) => page.locator(`[part=${part}]`).boundingBox()));
  const top = Math.max(0, Math.min(...boxes.map(({ y }) => y)) - 20);
  const bottom = Math.max(...boxes.map(({ y, height }) => y + height)) + 20;
  // The code alone is several windows long: its beginning shows what it is.
  return { clip: { x: 0, y: top, width, height: Math.min(TALLEST, bottom - top), scale: SMALLER }, captureBeyondViewport: true };
}

/** @param {string} url @param {{ width: number, height: number }} [viewport] */
async function open(url, viewport = LAPTOP) {
  const page = await browser.newPage({ viewport });
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(url);
  return page;
}

/** Wait until an expression of the element's state is true. @param {import("playwright-core").Page} page @param {string} condition */
async function until(page, condition) {
  const end = Date.now() + 300_000;
  while (!(await page.evaluate(`(() => { const { state } = document.querySelector("lora-lab") ?? {}; return Boolean(state && (${condition})); })()`))) {
    if (Date.now() > end) throw new Error(`waited in vain for ${condition}`);
    await page.waitForTimeout(100);
  }
}
