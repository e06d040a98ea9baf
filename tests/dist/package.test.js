// dist-npm/ as strangers get it: packed, installed, and used in the three ways that the README names, and by a type checker.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build } from "vite";
import { pageTest } from "../page/harness.js";
import { serveFolder } from "../page/server.js";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PACKAGE = join(ROOT, "dist-npm");

/** A folder with the consumers, and the packed package among their node_modules. */
let work, packed, manifest;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "lora-lab-consumers-"));
  await cp(fileURLToPath(new URL("consumers", import.meta.url)), work, { recursive: true });
  const { stdout } = await run("npm", ["pack", PACKAGE, "--json", "--pack-destination", work], { timeout: 60_000 });
  const answer = JSON.parse(stdout);
  [packed] = Array.isArray(answer) ? answer : Object.values(answer);
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(work, packed.filename)], { cwd: work, timeout: 60_000 });
  manifest = JSON.parse(await readFile(join(work, "node_modules/lora-lab/package.json"), "utf8"));
});

after(async () => {
  if (work) await rm(work, { recursive: true, force: true });
});

test("publint finds nothing to say about the packed files", async () => {
  const { messages, pkg } = await publint({ pkgDir: join(work, "node_modules/lora-lab"), strict: true });
  assert.deepEqual(messages.map((message) => formatMessage(message, pkg)), []);
});

test("every entry has types, and whatever an export names is packed", () => {
  const files = new Set(packed.files.map(({ path }) => path));
  const named = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry).flatMap(named));
  for (const [name, entry] of Object.entries(manifest.exports)) {
    for (const path of named(entry).filter((path) => !path.includes("*"))) assert.ok(files.has(path.slice(2)), `${name}: ${path}`);
  }
  for (const name of [".", "./element", "./worker"]) assert.ok(named(manifest.exports[name]).some((path) => path.endsWith(".d.ts")), name);
  for (const file of ["README.md", "LICENSE-MIT", "LICENSE-APACHE"]) assert.ok(files.has(file), file);
  assert.ok(![...files].some((file) => /^embed\/|\.html$|^sw|vendor\.json/.test(file)));
});

test("the README tells the size of every address that stays, of all else, and of the whole but itself", async () => {
  const readme = await readFile(join(work, "node_modules/lora-lab/README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `([^`]+)` \| (\d+) \| (\d+) \|$/gm)];
  assert.ok(rows.length >= 10);
  const sizes = new Map(packed.files.map(({ path, size }) => [path, size]));
  for (const [, path, bytes] of rows) assert.equal(Number(bytes), sizes.get(path), path);
  const [, others, rest] = readme.match(/^\| (\d+) other files \| (\d+) \|/m).map(Number);
  const [, count, all] = readme.match(/^\| all (\d+) \| (\d+) \|/m).map(Number);
  const named = rows.reduce((sum, [, , bytes]) => sum + Number(bytes), 0);
  assert.deepEqual([count, all], [packed.files.length - 1, packed.unpackedSize - sizes.get("README.md")]);
  assert.deepEqual([others, rest], [count - rows.length, all - named]);
});

for (const resolution of ["bundler", "nodenext"]) {
  test(`its types hold for a caller, resolved as ${resolution}`, async () => {
    const module = resolution === "bundler" ? "esnext" : "nodenext";
    const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "esnext,dom,dom.iterable", "--types", "", "--module", module, "--moduleResolution", resolution];
    const compiled = run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), ...options, "types/use.ts"], { cwd: work, timeout: 120_000 });
    await compiled.catch(({ stdout }) => assert.fail(stdout));
  });
}

test("in Node the engine trains over a thread, from the package, a path or a file's URL", async () => {
  const folder = join(work, "node_modules/lora-lab/models/tiny");
  const { stdout } = await run(process.execPath, ["node/train.js", folder], { cwd: work, timeout: 100_000 });
  const { own, path, url, missing } = JSON.parse(stdout);
  assert.equal(own.losses.length, 3);
  assert.ok(own.losses.every((loss) => Number.isFinite(loss)) && own.losses[2] < own.losses[0], String(own.losses));
  assert.ok(own.story.length > 0 && own.bytes > 1000 && own.peft === "LORA" && own.isLab);
  assert.deepEqual(path, own);
  assert.deepEqual(url, own);
  assert.equal(missing[0], "fetch");
  assert.match(missing[1], /no\/such\/folder/);
});

pageTest("without a bundler the element trains from where npm has put it", async (visit) => {
  const site = await serveFolder(work, { path: "/" });
  try {
    await visit.page.goto(`${site.url}plain/index.html`);
    await visit.until((state) => state.phase === "ready" && state.before.text && !state.before.writing && state.digest.now);
    await visit.train();
    const { corpus, run } = await visit.state();
    assert.match(corpus.text, /LOG/);
    assert.ok(run.heldOut < run.firstHeldOut);
    assert.deepEqual(visit.errors, []);
  } finally {
    await site.close();
  }
});

pageTest("built with Vite, engine and element train", async (visit) => {
  const root = join(work, "vite");
  for (const folder of ["models", "samples"]) {
    await cp(join(work, "node_modules/lora-lab", folder), join(root, "public/lora-lab", folder), { recursive: true });
  }
  await build({ root, configFile: join(root, "vite.config.js"), logLevel: "warn" });
  // Only what was built may be served: nothing may lead back into node_modules.
  const site = await serveFolder(join(root, "dist"), { path: "/app/" });
  try {
    await visit.page.goto(`${site.url}index.html`);
    await visit.page.waitForFunction(() => typeof window.train === "function");
    const losses = await visit.page.evaluate((text) => window.train(text), "The robot counted its bolts. ".repeat(100));
    assert.ok(losses.length === 2 && losses.every((loss) => loss > 0), String(losses));
    const heldOut = await visit.page.evaluate(async () => (await document.querySelector("lora-lab").train()).heldOut);
    assert.ok(heldOut > 0);
    await visit.workers(1);
    assert.deepEqual(visit.errors, []);
  } finally {
    await site.close();
  }
}, { seconds: 120 });
