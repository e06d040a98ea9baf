// `cargo xtask bench web [PART …] [--quick]` builds what is needed and calls this: one Chromium, the parts one after the other, results into
// benches/results/PART.json, the tables of README.md and benches/README.md from them, and the gates with what was reached.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serveFolder } from "../../tests/page/server.js";
import { measurePage } from "./page.js";
import { PARTS, gates, judged, readResults, validate, voided, writeTables } from "./report.js";
import { details, figures } from "./tables.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RESULTS = new URL("../results/", import.meta.url);

/** Without these, performance.now() steps by 0.1 ms. Nothing of ours needs them, and the page never asks for them. */
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

if (process.argv.includes("--tables")) {
  // The tables alone, from the results that are there.
  await writeTables(await readResults(RESULTS));
  process.exit();
}
const flags = process.argv.slice(2).filter((word) => word.startsWith("--"));
const named = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const unknown = [...named.filter((part) => !PARTS.includes(part)), ...flags.filter((flag) => flag !== "--quick")];
if (unknown.length) throw new Error(`expected ${PARTS.join(", ")} or --quick, got ${unknown.join(" ")}`);
const quick = flags.includes("--quick");
// A quick run shows that everything works: it leaves the peers to the whole one and writes no results.
const parts = named.length ? PARTS.filter((part) => named.includes(part)) : PARTS.filter((part) => !quick || part !== "peers");
const how = quick ? { quick, warm: 1, rounds: 2 } : { quick, warm: 2, rounds: 7 };

const say = (/** @type {string} */ line) => console.log(`  ${line}`);
const [plain, isolated] = await Promise.all([serveFolder(ROOT, { path: "/" }), serveFolder(ROOT, { path: "/", headers: ISOLATED })]);
const profile = await mkdtemp(join(tmpdir(), "lora-lab-bench-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
});
try {
  const about = {
    date: new Date().toISOString(), machine: `${cpus().length} × ${cpus()[0].model.trim()}`,
    browser: `Chromium ${context.browser()?.version() ?? (await agent())}`, quick,
  };
  /** @type {Record<string, any>} */
  const fresh = {};
  /** What failed costs no other part its results. @type {unknown[]} */
  const failures = [];
  for (const part of parts) {
    console.log(part);
    const start = performance.now();
    try {
      const result = part === "page" ? await measurePage(context, plain.url, { ...how, say }) : await inPage(part);
      const whole = { part, ...about, seconds: Math.round((performance.now() - start) / 1000), ...result };
      validate(whole);
      fresh[part] = whole;
    } catch (error) {
      say(`failed: ${error}`);
      failures.push(new Error(`${part} failed`, { cause: error }));
    }
  }
  if (Object.keys(fresh).length) await keep(fresh);
  if (failures.length) throw failures[0];
} finally {
  await context.close();
  await Promise.all([plain.close(), isolated.close()]);
  await rm(profile, { recursive: true, force: true });
}

/** Runs parts/PART.js in a page of its own. @param {string} part */
async function inPage(part) {
  // What other libraries do with shared memory is measured beside what they do on any page: peers asks for both.
  const servers = part === "peers" ? { plain, isolated } : { isolated };
  /** @type {Record<string, unknown>} */
  const results = {};
  for (const [name, server] of Object.entries(servers)) {
    const page = await context.newPage();
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && say(`${message.type()}: ${message.text()}`));
    try {
      await page.exposeFunction("say", (/** @type {string} */ line) => say(part === "peers" ? `${name} page, ${line}` : line));
      await page.goto(`${server.url}benches/web/index.html`);
      results[name] = await page.evaluate(async ({ part, how }) => {
        const { default: run } = await import(`/benches/web/parts/${part}.js`);
        return run({ ...how, say: /** @type {any} */ (globalThis).say });
      }, { part, how });
    } finally {
      await page.close();
    }
  }
  return part === "peers" ? results : results.isolated;
}

async function agent() {
  const page = context.pages()[0];
  return (await page.evaluate(() => navigator.userAgent)).match(/Chrome\/(\S+)/)?.[1];
}

/** @param {Record<string, any>} fresh */
async function keep(fresh) {
  const before = await readResults(RESULTS);
  console.log(`\n${figures(fresh)}\n\n${details(fresh, judged(fresh))}\n`);
  if (fresh.steps) for (const line of gates(fresh)) console.log(line);
  const reasons = voided(fresh, before);
  for (const [part, reason] of Object.entries(reasons)) console.log(`void: ${part}: ${reason}`);
  if (quick) return console.log("a quick run: nothing was written");
  await mkdir(RESULTS, { recursive: true });
  const good = Object.entries(fresh).filter(([part]) => !reasons[part]);
  for (const [part, result] of good) await writeFile(new URL(`${part}.json`, RESULTS), `${JSON.stringify(result, null, 1)}\n`);
  await writeTables(await readResults(RESULTS));
  console.log(`of ${good.map(([part]) => part).join(", ") || "nothing"}, benches/results, README.md, benches/README.md and docs/img/growth.svg are up to date`);
  if (good.length < Object.keys(fresh).length) throw new Error("void parts were not written. Quieten the machine and run them again, or delete benches/results if the machine has changed.");
}
