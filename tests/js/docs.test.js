// The docs against the sources: nothing is missing, nothing is documented that does not exist, links lead somewhere, snippets run.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { access, readFile, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { AttributeElement, SETTINGS } from "../../www/element/attributes.js";
import { LoraLabElement } from "../../www/element.js";
import { CODES, LoraLab } from "../../www/lora-lab.js";
import * as inNode from "../../www/node.js";
import { FIELDS } from "../../www/lab/settings.js";
import { CHAPTERS } from "../../www/element/view/chapters.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const WWW = join(ROOT, "www");
const read = (path) => readFile(join(ROOT, path), "utf8");
const PAGES = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "npm/README.md", ...(await readdir(join(ROOT, "docs"))).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)];

const api = await read("docs/api.md");
const types = await read("www/engine/types.js");
const sources = (await Promise.all((await readdir(WWW, { recursive: true })).filter((file) => file.endsWith(".js") && !/^(pkg|vendor)/.test(file)).map((file) => read(`www/${file}`)))).join("\n");

/** What stands below a heading, up to the next of its level or above. */
function section(heading) {
  const level = heading.match(/^#+/)[0].length;
  const [, after] = api.split(`\n${heading}\n`);
  assert.ok(after, `docs/api.md has no ${heading}`);
  return after.split(new RegExp(`^#{1,${level}} `, "m"))[0];
}

/** The rows of a section's tables, cell by cell, without the heads. No row may be there twice: one of them would go out of date. */
function rows(text) {
  const found = [...text.matchAll(/^\| (`.*) \|$/gm)].map(([, row]) => row.split("|").map((cell) => cell.trim()));
  const firsts = found.map(([first]) => first);
  assert.deepEqual(firsts, [...new Set(firsts)], "each row is told once");
  return found;
}
/** What stands in the first cells. */
const named = (text) => rows(text).map(([first]) => first.match(/^`([^`]+)`/)[1]);
const sorted = (names) => [...new Set(names)].sort();
const words = (text, pattern) => sorted([...text.matchAll(pattern)].map(([, word]) => word));

test("every method and property of the engine is told, and no other", () => {
  const told = named(section("## `LoraLab`")).map((name) => name.replace(/\(.*/, ""));
  const methods = Object.getOwnPropertyNames(LoraLab.prototype).filter((name) => name !== "constructor");
  const properties = [...LoraLab.toString().matchAll(/^ {2}(\w+)(?: = .*)?;$/gm)].map(([, name]) => name);
  assert.ok(properties.includes("info") && methods.includes("train"));
  assert.deepEqual(sorted(told), sorted([...methods, ...properties]));
  assert.match(section("## `LoraLab`"), /`LoraLab\.load\(options\)`/);
});

test("every shape that crosses borders is told, property for property", () => {
  const inside = ["ModelOptions", "EngineOptions", "Saved", "Defaults", "Position", "WasmLab", "GradientPart", "GradientSum", "Engine", "TokenText", "Candidate"];
  const seen = [];
  for (const [block] of types.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
    const name = block.match(/@typedef \{object\} (\w+)/)?.[1] ?? block.match(/\} (\w+)[^}]*\*\/$/)?.[1] ?? block.match(/\}\} (\w+)/)?.[1];
    if (!name || inside.includes(name)) continue;
    seen.push(name);
    // A choice of simple types has no properties, and a paragraph of its own.
    if (["Voice", "Ids", "Bytes"].includes(name)) {
      assert.ok(section(`#### ${name}`).length > 50, name);
      continue;
    }
    const optional = (text) => (/^\[.*\]$/.test(text) ? `${text.slice(1, -1)}?` : text);
    const properties = [...block.matchAll(/@property \{.*\} (\[?\w+\]?)/g)].map(([, property]) => optional(property));
    const own = block.match(/@typedef \{(?:LinearInfo & )?\{(.*)\}\}/)?.[1].replace(/\([^)]*\)|[{][^}]*[}]/g, "") ?? "";
    const inline = [...own.matchAll(/(\w+\??): /g)].map(([, property]) => property);
    assert.ok(properties.length + inline.length, name);
    assert.deepEqual(sorted(named(section(`### \`${name}\``))), sorted([...properties, ...inline]), name);
  }
  assert.ok(seen.length > 15, String(seen));
});

test("the defaults that are told are the engine's", async () => {
  const [lora, training, optimizer, generation] = await Promise.all(["lora/config", "train/config", "train/optimizer", "generate"].map((name) => read(`src/${name}.rs`)));
  const places = { AttachOptions: lora, TrainOptions: training + optimizer, GenerateOptions: generation };
  let compared = 0;
  for (const [type, source] of Object.entries(places)) {
    for (const [option, initial] of rows(section(`### \`${type}\``))) {
      const plain = initial.replaceAll("`", "");
      if (!/^([\d.e-]+|true|false)$/.test(plain)) continue;
      const name = option.replace(/[`?]/g, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const values = [...source.matchAll(new RegExp(`\\b${name}: ([^,}]+)`, "g"))].map(([, value]) => value.trim());
      assert.ok(values.some((value) => value === plain || Number(value) === Number(plain)), `${type}.${name}: ${plain} is told, the source has ${values}`);
      compared += 1;
    }
  }
  assert.ok(compared > 20, String(compared));
});

test("every code of an error is told", async () => {
  const core = words(await read("src/error.rs"), /=> "([a-z-]+)",/g);
  assert.ok(core.length > 15);
  const ours = Object.values(CODES).filter((code) => code !== CODES.aborted);
  assert.deepEqual(sorted(named(section("## Errors"))), sorted([...core, ...ours]));
});

test("every attribute of the element is told with its default, its bounds and its property", () => {
  const table = rows(section("## Attributes"));
  // One is not observed but read when it is needed.
  assert.deepEqual(sorted(table.map(([name]) => name.slice(1, -1))), sorted([...LoraLabElement.observedAttributes, "link"]));
  const accessors = Object.entries(Object.getOwnPropertyDescriptors(AttributeElement.prototype)).filter(([, { get }]) => get).map(([name]) => name);
  const reflected = table.filter(([, dot]) => dot === "●").map(([name]) => name.slice(1, -1));
  assert.deepEqual(sorted(reflected), sorted([...accessors, "lang"]));
  for (const { key, initial, format, min, max } of Object.values(FIELDS)) {
    if (key === "lang") continue;
    const [, , told, about = ""] = table.find(([name]) => name === `\`${key}\``);
    assert.equal(told.replaceAll("`", ""), format(initial), key);
    const bounds = about.match(/([\d.]+) to ([\d.]+)/);
    if (bounds) assert.deepEqual(bounds.slice(1).map(Number), [min, max], key);
  }
  assert.ok(SETTINGS.length > 10);
});

test("every method, event, custom property and part of the element is told", () => {
  const methods = Object.getOwnPropertyNames(LoraLabElement.prototype).filter((name) => !/^(constructor|\w+Callback|lab|state)$/.test(name));
  assert.deepEqual(sorted(named(section("## Methods")).map((name) => name.replace(/\(.*/, ""))), sorted(methods));
  for (const property of ["lab", "state"]) assert.ok(section("## Methods").includes(`\`${property}\``));
  assert.deepEqual(sorted(named(section("## Events"))), words(sources, /#tell\("(lora-[a-z]+)"/g));
  assert.deepEqual(words(section("## Custom properties"), /`(--lora-[\w-]+)`/g), words(sources, /var\((--lora-[\w-]+)/g));
  const parts = words(sources, /\bpart: "(\w+)"/g);
  assert.deepEqual(words(section("## Parts"), /`([a-z]+)`/g).filter((name) => name !== "full"), sorted([...parts, ...CHAPTERS.map(({ name }) => name)]));
});

test("the addresses that stay are those that the package promises, and weigh what is told, to a tenth", async () => {
  const promised = words((await read("xtask/src/dist/npm.rs")).match(/const ADDRESSES[^;]*;[^;]*;/)[0], /"([^"]+)"/g);
  const table = rows((await read("docs/embedding.md")).split("## Which files may be named")[1].split("## ")[0]).filter((row) => row.length === 4 && /^`[^`]+`$/.test(row[0]));
  assert.deepEqual(table.map(([name]) => name.slice(1, -1)).sort(), promised);
  for (const [name, ...told] of table) {
    const content = await readFile(join(WWW, name.slice(1, -1)));
    const is = [content.length, gzipSync(content, { level: 9 }).length];
    for (const [index, size] of is.entries()) assert.ok(Math.abs(told[index] / size - 1) <= 0.1, `${name}: ${told.slice(0, 2)} is told, it has ${is}`);
  }
});

/** GitHub's name for a heading. */
const anchor = (heading) => heading.toLowerCase().replace(/[^\w\s-]/g, "").trim().replace(/\s/g, "-");

for (const page of PAGES) {
  test(`every link of ${page} leads somewhere`, async () => {
    const text = (await read(page)).replace(/^```[\s\S]*?^```/gm, "");
    for (const [, to] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(to)) continue;
      const [path, fragment] = to.split("#");
      const file = path ? join(ROOT, dirname(page), path) : join(ROOT, page);
      await assert.doesNotReject(access(file), `${page}: ${to}`);
      if (!fragment) continue;
      const headings = [...(await readFile(file, "utf8")).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading));
      assert.ok(headings.includes(fragment), `${page}: ${to}, of ${headings}`);
    }
  });
}

test("every picture that the docs show is one that the script makes", async () => {
  const made = execFileSync(process.execPath, [join(ROOT, "docs/screenshots.mjs"), "--list"], { encoding: "utf8" }).trim().split("\n");
  const shown = (await Promise.all(PAGES.map(read))).flatMap((text) => [...text.matchAll(/docs\/img\/([^)]+)\.webp/g)].map(([, name]) => name));
  assert.ok(shown.length);
  for (const name of shown) assert.ok(made.includes(name), `${name}, of ${made}`);
});

test("every program that is no module and no suite is named where somebody reads how to run it, or by the program that runs it", async () => {
  const below = async (folder) => (await readdir(join(ROOT, folder), { recursive: true })).filter((path) => !path.includes("node_modules")).map((path) => `${folder}/${path}`);
  const files = (await Promise.all(["benches", "docs", "npm", "pretrain", "tests", "xtask/src", "www/further"].map(below))).flat();
  const programs = files.filter((path) => /\.(mjs|py|sh)$|^pretrain\/[^/]*\.js$|^benches\/[^/]*\.js$/.test(path));
  for (const program of ["benches/voices.mjs", "pretrain/stories.js", "tests/peft/roundtrip.py", "www/further/train.py"]) assert.ok(programs.includes(program), program);
  const places = [...PAGES, "benches/README.md", "www/models/tiny/README.md", "www/further/README.md", ...files.filter((path) => /^xtask\/src\/.*\.rs$|\.py$/.test(path))];
  const texts = await Promise.all(places.map(async (place) => ({ place, text: await read(place) })));
  for (const program of programs) {
    // From its own folder by its name alone, from elsewhere by its path.
    const named = texts.some(({ place, text }) => place !== program && text.includes(dirname(place) === dirname(program) ? basename(program) : program));
    assert.ok(named, `${program} is named by none of ${places.join(", ")}`);
  }
});

/** Every snippet of JavaScript: its page, its line, its text and whether it can run in Node. */
const snippets = (await Promise.all(PAGES.map(async (page) => {
  const text = await read(page);
  return [...text.matchAll(/^```js( run)?\n([\s\S]*?)^```/gm)].map(({ 1: run, 2: source, index }) => ({ where: `${page}:${text.slice(0, index).split("\n").length}`, run: Boolean(run), source }));
}))).flat();

const AsyncFunction = (async () => {}).constructor;
/** A module's text as a function's: an import becomes a call of `load`. */
const asFunction = (source) => new AsyncFunction("load", "text", "console", source.replace(/^import (\{[^}]*\}|\w+) from ("[^"]*");/gm, (_, names, from) => `const ${names.startsWith("{") ? names.replaceAll(" as ", ": ") : `{ default: ${names} }`} = await load(${from});`));

test("every snippet is JavaScript", () => {
  assert.ok(snippets.length > 12, String(snippets.length));
  for (const { where, source } of snippets) assert.doesNotThrow(() => asFunction(source), where);
});

/** The snippet with fewer steps: the test is about whether its calls work. */
class Brief extends inNode.LoraLab {
  train(options = {}) {
    const begins = options.text !== undefined;
    return super.train(begins ? { ...options, steps: 3, batchSize: 2, blockSize: 32, evaluateEvery: 2 } : options);
  }
}

for (const { where, source } of snippets.filter(({ run }) => run)) {
  test(`the snippet at ${where} runs`, { timeout: 60_000 }, async () => {
    const lines = [];
    const text = (await read("www/samples/robot.txt")).slice(0, 6000);
    const load = (from) => (/^(lora-lab|.*lora-lab\.js)$/.test(from) ? { ...inNode, LoraLab: Brief } : import(from));
    process.chdir(WWW);
    await asFunction(source)(load, text, { ...console, log: (...said) => lines.push(said.join(" ")) });
    for (const line of lines) assert.doesNotMatch(line, /NaN|undefined|false/);
  });
}
