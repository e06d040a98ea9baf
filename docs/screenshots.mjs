// Every view in both languages, light and dark, as docs/img/<view>.<language>.<theme>.webp: `node docs/screenshots.mjs`; with names of
// views or of pictures only those, and with --list their names alone. The page is trained once; then language, theme and device change
// around it, as they may for a reader.
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serveFolder } from "../tests/page/server.js";
import { CHAPTERS } from "../www/element/view/chapters.js";
import { PIECES } from "../www/element/view/listing.js";

const WWW = fileURLToPath(new URL("../www/", import.meta.url));
const IMAGES = new URL("img/", import.meta.url);
const LAPTOP = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
const LANGUAGES = ["en", "hi"];
const THEMES = ["light", "dark"];
/** In bytes: what a reader of the repository does not notice. The quality falls until it is reached. */
const LARGEST = 60_000;
/** Pixels of the picture for each CSS pixel of a chapter on a laptop. A phone's are small enough as they are, unless they are long. */
const SMALLER = 0.7;
const TALLEST = { laptop: 1500, phone: 2400 };
/** What is seen around a chapter: less than there is between two. */
const MARGIN = 12;
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];

/** What is trained for the pictures. Most seeds give half-broken words; this one is among the best of 180 that were tried. */
const ROBOT = { sample: "robot", prompt: "The little dog", temperature: "0.6", "text-seed": "14", length: "70" };
/** The same for the small views, whose training is short. */
const BRIEF = { sample: "robot", steps: "100", "text-seed": "2" };
/** What stands on the shelf beside it, from an earlier visit. */
const EARLIER = { sample: "pirate", steps: "40", rank: "4" };

/**
 * The chapters, each as the places that its picture reaches from and to. The code is as long as three others: a picture for each of
 * its pieces, the first with the heading.
 * @type {Record<string, string[]>}
 */
const PARTS = Object.fromEntries(CHAPTERS.flatMap(({ name }) => {
  if (name !== "code") return [[name, [`[part=${name}]`]]];
  const pieces = PIECES.map((piece, index) => [`code-${piece.name}`, [`[part=code] .piece >> nth=${index}`]]);
  pieces[0][1].unshift("[part=code] h2");
  return pieces;
}));
const onPhone = (/** @type {string} */ view) => `${view}-phone`;
const TRAINED = ["trained", ...Object.keys(PARTS)];
const VIEWS = ["first", ...TRAINED, ...["first", ...TRAINED].map(onPhone), "compact", "compare", "poster", "examples", "tutorial"];

const only = process.argv.slice(2);
/** Whether a picture, or one of those of a view, was asked for. */
const wanted = (/** @type {string} */ name) => !only.length || only.some((one) => name === one || name.startsWith(`${one}.`) || one.startsWith(`${name}.`));
const pictures = VIEWS.flatMap((view) => LANGUAGES.flatMap((lang) => THEMES.map((theme) => `${view}.${lang}.${theme}`)));
if (only.includes("--list")) {
  console.log(pictures.join("\n"));
  process.exit();
}
const unknown = only.filter((one) => !VIEWS.includes(one) && !pictures.includes(one));
if (unknown.length) throw new Error(`expected names of ${VIEWS.join(", ")}; got ${unknown.join(", ")}`);

/** Conditions on the element's state. */
const READY = `state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now`;
const DONE = `state.phase === "done" && state.after.text && !state.after.writing && !state.digest.checking`;

const server = await serveFolder(WWW);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ARGUMENTS });
try {
  await mkdir(IMAGES, { recursive: true });
  await requireHindi();
  if (["first", "first-phone"].some(wanted)) await first();
  if (TRAINED.flatMap((view) => [view, onPhone(view)]).some(wanted)) await trained();
  for (const [view, height] of Object.entries({ compact: 760, compare: 640 })) if (wanted(view)) await embedded(view, height);
  if (wanted("poster")) await poster();
  if (wanted("examples")) await article("examples", () => "embed/index.html", [".top", "main"]);
  if (wanted("tutorial")) await article("tutorial", (lang) => (lang === "en" ? "embed/tutorial.html" : `embed/tutorial.${lang}.html`));
  if (!only.length) await forget();
} finally {
  await browser.close();
  await server.close();
}

/** A browser without the letters draws a box for each, and says nothing. */
async function requireHindi() {
  const page = await browser.newPage();
  const same = await page.evaluate(() => {
    const [ka, kha] = ["\u0915", "\u0916"].map((letter) => {
      const drawn = Object.assign(document.createElement("canvas"), { width: 40, height: 40 });
      const brush = drawn.getContext("2d");
      brush.font = "30px sans-serif";
      brush.fillText(letter, 4, 32);
      return drawn.toDataURL();
    });
    return ka === kha;
  });
  await page.close();
  if (same) throw new Error("expected a font with Devanagari for the pictures in Hindi, found none (on Debian: fonts-noto-core)");
}

/** What greets a reader: the base has told its story, nothing is trained. */
async function first() {
  const page = await open(await reader(), linkTo({}));
  await until(page, READY);
  await all(page, "first");
  await onto(page, PHONE);
  await all(page, "first-phone");
  await page.context().close();
}

/** After the training that a press on Train gives, down to the last chapter. */
async function trained() {
  const context = await reader();
  // Only where it is seen: these take a while.
  if (["storage", onPhone("storage")].some(wanted)) await earlier(context);
  const page = await open(context, linkTo(ROBOT));
  await until(page, READY);
  await page.locator("[data-action=train]").click();
  await until(page, DONE);
  for (const { name } of CHAPTERS) await page.locator(`[part=${name}]`).scrollIntoViewIfNeeded();
  await page.locator(".chapter:not([data-built])").first().waitFor({ state: "detached" });
  await keep(page, "Unit R7");
  await page.locator(".heat-button:enabled").first().click();
  await until(page, "state.looks.delta && state.looks.read");
  if (["efficient", onPhone("efficient")].some(wanted)) {
    await page.locator("[part=efficient] button.primary").click();
    await until(page, `state.race.phase === "done" && state.race.judged`);
  }
  for (const device of [LAPTOP, PHONE]) {
    const named = device === PHONE ? onPhone : (/** @type {string} */ view) => view;
    await onto(page, device);
    // On a phone the comparison is the third of three cards, which stand one below the other.
    await all(page, named("trained"), device === PHONE ? ["[part=compare]"] : undefined);
    for (const [view, parts] of Object.entries(PARTS)) await all(page, named(view), parts);
  }
  await context.close();
}

/** A visit of the same reader, another day: the shelf keeps its voice. @param {import("playwright-core").BrowserContext} context */
async function earlier(context) {
  const page = await open(context, linkTo(EARLIER));
  await until(page, READY);
  await page.locator("[data-action=train]").click();
  await until(page, DONE);
  await page.locator("[part=storage]").scrollIntoViewIfNeeded();
  await keep(page, "Salt");
  await page.close();
}

/** @param {import("playwright-core").Page} page @param {string} name */
async function keep(page, name) {
  await page.getByLabel("Name on the shelf").fill(name);
  await page.getByRole("button", { name: "Keep on the shelf" }).click();
  await until(page, `state.shelf.items.some(({ name }) => name === ${JSON.stringify(name)})`);
}

/** One of the small views in somebody's page. @param {string} view @param {number} height */
async function embedded(view, height) {
  const query = new URLSearchParams({ view, ...BRIEF });
  const page = await open(await reader({ width: 560, height }), `embed/frame.html?${query}#lang=en`);
  // The comparison trains by itself.
  if (view === "compact") {
    await until(page, READY);
    await page.locator("[data-action=train]").click();
  }
  await until(page, DONE);
  await all(page, view);
  await page.context().close();
}

async function poster() {
  const page = await open(await reader({ width: 560, height: 420 }), "embed/frame.html?view=compare&start=click#lang=en");
  await page.locator(".poster").waitFor();
  await all(page, "poster");
  await page.context().close();
}

/** A page of its own in each language: its window, or parts. @param {string} view @param {(lang: string) => string} path @param {string[]} [parts] */
async function article(view, path, parts) {
  for (const lang of LANGUAGES) {
    const page = await open(await reader(), `${path(lang)}#lang=${lang}`);
    await page.locator("lora-lab").first().scrollIntoViewIfNeeded();
    await until(page, READY);
    for (const frame of await page.locator("iframe").all()) {
      await frame.scrollIntoViewIfNeeded();
      await frame.contentFrame().locator(".poster").waitFor();
    }
    // A sandboxed frame has a process of its own, which draws nothing outside the window.
    if (parts) await page.setViewportSize({ ...LAPTOP, height: await page.evaluate(() => document.documentElement.scrollHeight) });
    for (const theme of THEMES) await shoot(page, `${view}.${lang}.${theme}`, parts);
    await page.context().close();
  }
}

/** What a full run has not made belongs to a view that is no more. */
async function forget() {
  for (const file of await readdir(IMAGES)) {
    if (!file.endsWith(".webp") || pictures.includes(file.slice(0, -".webp".length))) continue;
    await rm(new URL(file, IMAGES));
    console.log(`${file} is removed`);
  }
}

/** In each language and theme, of the window or of these parts, the first to the last. @param {import("playwright-core").Page} page @param {string} view @param {string[]} [parts] */
async function all(page, view, parts) {
  for (const lang of LANGUAGES) {
    const names = THEMES.map((theme) => `${view}.${lang}.${theme}`).filter(wanted);
    if (!names.length) continue;
    await speak(page, lang);
    for (const name of names) await shoot(page, name, parts);
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

/** @param {import("playwright-core").Page} page @param {string} name of the picture @param {string[]} [parts] */
async function shoot(page, name, parts) {
  if (!wanted(name)) return;
  await page.emulateMedia({ colorScheme: name.endsWith("dark") ? "dark" : "light", reducedMotion: "reduce" });
  // What was clicked last shall look as it does when nobody points at it.
  await page.mouse.move(0, 0);
  await page.evaluate(() => (document.activeElement instanceof HTMLElement ? document.activeElement.blur() : undefined));
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(400);
  const { clip, ...whole } = await area(page, parts);
  const devtools = await page.context().newCDPSession(page);
  for (let quality = 86; ; quality -= 12) {
    const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality, clip, ...whole });
    const image = Buffer.from(data, "base64");
    if (image.length > LARGEST && quality > 40) continue;
    await writeFile(new URL(`${name}.webp`, IMAGES), image);
    console.log(`${name}.webp: ${image.length} bytes, quality ${quality}`);
    break;
  }
  await devtools.detach();
}

/** What is in the window, or these parts with a margin, wherever they are. @param {import("playwright-core").Page} page @param {string[]} [parts] */
async function area(page, parts) {
  const { width, height } = page.viewportSize();
  if (!parts) return { clip: { x: 0, y: 0, width, height, scale: 1 } };
  const boxes = await Promise.all(parts.map((part) => page.locator(part).first().boundingBox()));
  const top = Math.max(0, Math.min(...boxes.map(({ y }) => y)) - MARGIN);
  const tall = Math.max(...boxes.map(({ y, height }) => y + height)) + MARGIN - top;
  const scale = width > PHONE.width ? Math.min(SMALLER, TALLEST.laptop / tall) : Math.min(1, TALLEST.phone / tall);
  return { clip: { x: 0, y: top, width, height: tall, scale }, captureBeyondViewport: true };
}

/** Put the page onto another device, touch and all. @param {import("playwright-core").Page} page @param {{ width: number, height: number }} device */
async function onto(page, device) {
  await page.setViewportSize(device);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Emulation.setDeviceMetricsOverride", { ...device, deviceScaleFactor: 1, mobile: device === PHONE });
  await devtools.send("Emulation.setTouchEmulationEnabled", { enabled: device === PHONE });
  await page.waitForTimeout(300);
}

/** Somebody with a storage of their own. */
function reader(viewport = LAPTOP) {
  return browser.newContext({ viewport });
}

/** @param {Record<string, string>} settings */
function linkTo(settings) {
  return `#${new URLSearchParams({ ...settings, lang: "en" })}`;
}

/** @param {import("playwright-core").BrowserContext} context @param {string} path */
async function open(context, path) {
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(server.url + path);
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
