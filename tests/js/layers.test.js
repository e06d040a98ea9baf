// The rules about the tree of www/, as tests/layers.rs checks those of src/: imports between folders go in one direction, there is no
// circle of imports, no DOM where it does not belong, and only re-exports at the package's public addresses.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { dirname, join } from "node:path/posix";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const WWW = new URL("www/", ROOT);

/** Each folder and those that it may use besides itself, which stand before it. "" is the root of www/: the package's public addresses. */
const MAY_USE = {
  i18n: [],
  engine: [],
  lab: ["i18n", "engine"],
  element: ["i18n", "engine", "lab"],
  page: ["i18n", "engine", "lab", "element"],
  "": ["engine", "element"],
  // Pages that show how to embed the lab, so they use the public addresses.
  embed: ["i18n", "engine", "lab", "element", "page", ""],
};
/** Built or third-party code, which imports nothing of ours. */
const FOREIGN = ["pkg", "vendor"];
/** The service worker: not a module, and not imported; the page names it to register it. */
const SERVICE_WORKER = "sw.js";
/** The settings need the list of languages. The lab may not use the words themselves. */
const LAB_MAY_ASK = ["isLanguage", "Language"];

/** Modules that import by an address put together while they run, which cannot be read here. What they load so is in pkg/ or vendor/. */
const COMPUTED = ["element/chart.js", "engine/node-worker.js", "engine/worker.js", "lab/export.js", "lab/shelf.js"];

/** Globals that exist only in a page. Without Event, Node and prompt, which are also names of ours or in Node. */
const PAGE_ONLY = new RegExp(`^(${[
  "document|window|location|history|localStorage|sessionStorage|customElements|getComputedStyle|matchMedia|(request|cancel)AnimationFrame",
  "Element|(HTML|SVG)\\w*|ShadowRoot|DocumentFragment|NodeList|CSSStyleSheet|DOMParser|DOMRect",
  "(Intersection|Resize|Mutation)Observer|(Mouse|Keyboard|Pointer|Drag)Event",
].join("|")})$`);
/** A relative address means what it means in the page, if there is one: fetch.js asks whether there is, and for its address alone. */
const ASKS_FOR_THE_PAGE = { "engine/arguments.js": ["document", "location"] };

/**
 * A module cut into what is code and what is not. A slash begins a regular expression where no value stands before it.
 * @param {string} text @returns {{ kind: "code" | "string" | "comment" | "regex" | "template", text: string }[]}
 */
function tokens(text) {
  const found = [];
  const add = (kind, part) => {
    if (kind === "code" && found.at(-1)?.kind === "code") found.at(-1).text += part;
    else found.push({ kind, text: part });
  };
  const patterns = [
    ["comment", /\/\*[\s\S]*?\*\/|\/\/.*/y],
    ["string", /"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'/y],
    ["regex", /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y],
    ["code", /[\w$]+|\s+/y],
  ];
  const template = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(`|\$\{)/y;
  /** How many braces are open in each `${` that is: at 0, a closing one goes on with the template. */
  const open = [];
  let at = 0;
  const textOfTemplate = () => {
    template.lastIndex = at;
    const [part, end] = template.exec(text) ?? assert.fail(`a template without an end: ${text.slice(at, at + 60)}`);
    add("template", part);
    at += part.length;
    if (end === "${") open.push(0);
  };
  while (at < text.length) {
    const before = found.filter(({ kind }) => kind !== "comment").at(-1);
    const isAfterValue = before && (before.kind !== "code" ? true : /[\w$)\]}]\s*$/.test(before.text) && !/\b(return|typeof|case|of|in|await|void)\s*$/.test(before.text));
    const match = patterns.find(([kind, pattern]) => {
      pattern.lastIndex = at;
      return !(kind === "regex" && isAfterValue) && pattern.test(text);
    });
    if (match) {
      const part = text.slice(at, match[1].lastIndex);
      add(match[0], part);
      at += part.length;
      continue;
    }
    const char = text[at++];
    if (char === "{" && open.length) open[open.length - 1] += 1;
    if (char === "`" || (char === "}" && open.at(-1) === 0)) {
      if (char === "}") open.pop();
      textOfTemplate();
      continue;
    }
    if (char === "}" && open.length) open[open.length - 1] -= 1;
    add("code", char);
  }
  return found;
}

/**
 * What a module names of others. `runtime` is what has to be loaded for it to run: `import`, `export … from` and `import("…")`.
 * `apart` is `new URL("….js", import.meta.url)`, by which a worker is started: it loads modules of its own. `types` is `import("…")`
 * in comments. `asked` are the names that are taken from each, `computed` whether something is imported by an address that is not
 * written there, `globals` the names that may be the environment's.
 * @param {string} text
 */
function read(text) {
  const [runtime, apart, types, asked] = [[], [], [], []];
  let [code, computed] = ["", false];
  for (const { kind, text: part } of tokens(text)) {
    if (kind === "comment") {
      for (const [, path, name] of part.matchAll(/\bimport\("(\.[^"]+)"\)(?:\.(\w+))?/g)) {
        types.push(path);
        asked.push([path, name]);
      }
    } else if (kind === "string") {
      const path = part.slice(1, -1);
      const names = code.match(/(?:^|[^.#\w$])(?:import|export)\s*([\w$*{},\s]*?)\s*(?:from)?\s*$|(?:^|[^.#\w$])import\s*\(\s*$/);
      if (path.startsWith(".") && names) {
        runtime.push(path);
        for (const name of names[1]?.match(/[\w$*]+/g)?.filter((name) => name !== "as" && name !== "from") ?? ["*"]) asked.push([path, name]);
      } else if (/\bnew URL\(\s*$/.test(code) && path.endsWith(".js")) apart.push(path);
      // A word in a string is not a name.
      code += '""';
    } else code += kind === "code" ? part : kind === "regex" ? "/./" : "``";
    computed ||= /(?:^|[^.#\w$])import\s*\((?!\s*(?:"|$))/.test(code);
  }
  // Not as a property of something else. A key counts: it may take apart what is global.
  const names = [...code.matchAll(/(\.\s*)?(?<![\w$#])([A-Za-z_$][\w$]*)/g)];
  const globals = names.filter(({ 1: dot, index }) => !dot || /\b(globalThis|self)\??$/.test(code.slice(0, index))).map(([, , name]) => name);
  return { runtime, apart, types, asked, computed, globals: new Set(globals) };
}

const room = (file) => (dirname(file) === "." ? "" : file.split("/")[0]);
const leadsTo = (file, path) => join(dirname(file), path);

const names = (await readdir(WWW, { recursive: true })).map((name) => name.replaceAll("\\", "/"));
const ours = names.filter((name) => /\.m?js$/.test(name) && !FOREIGN.includes(room(name)) && name !== SERVICE_WORKER).sort();
const modules = new Map(await Promise.all(ours.map(async (file) => [file, read(await readFile(new URL(file, WWW), "utf8"))])));

test("every module is in a folder that has a rule, and at the root are the addresses that stay", async () => {
  assert.ok(modules.size > 80, `${modules.size} modules`);
  for (const file of modules.keys()) assert.ok(room(file) in MAY_USE, `${file} has no place`);
  const { exports } = JSON.parse(await readFile(new URL("npm/package.json", ROOT), "utf8"));
  const named = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry).flatMap(named));
  const [promised] = (await readFile(new URL("xtask/src/dist/npm.rs", ROOT), "utf8")).match(/const ADDRESSES[^;]*;[^;]*;/);
  const stay = new Set([...named(exports).map((path) => path.slice(2)), ...[...promised.matchAll(/"([^"]+)"/g)].map(([, path]) => path)]);
  assert.deepEqual([...modules.keys()].filter((file) => room(file) === ""), [...stay].filter((path) => /^[\w-]+\.js$/.test(path)).sort());
});

test("what stays at the root is one line that loads a module of the same name, whole", async () => {
  for (const entry of [...modules.keys()].filter((file) => room(file) === "")) {
    const text = await readFile(new URL(entry, WWW), "utf8");
    const [, verb, to] = text.match(/^(export \* from|import) "\.\/((?:engine|element)\/[\w-]+\.js)";\n$/) ?? assert.fail(`${entry}: ${text}`);
    assert.equal(to.split("/")[1], entry);
    if (verb === "import") continue;
    const [outside, inside] = await Promise.all([entry, to].map((path) => import(new URL(path, WWW).href)));
    assert.deepEqual(Object.keys(outside), Object.keys(inside), entry);
    assert.ok(Object.keys(outside).length, `${entry} gives nothing`);
  }
});

test("dependencies go one way, in types as well", () => {
  for (const [file, { runtime, apart, types, asked }] of modules) {
    for (const path of [...runtime, ...apart, ...types]) {
      const other = leadsTo(file, path);
      if (room(file) === "page" && other === SERVICE_WORKER) continue;
      assert.ok(modules.has(other) || FOREIGN.includes(room(other)), `${file} names ${path}, which is not there`);
      const allowed = [room(file), ...MAY_USE[room(file)], ...FOREIGN];
      assert.ok(allowed.includes(room(other)), `${file} uses ${other}`);
    }
    if (room(file) !== "lab") continue;
    for (const [path, name] of asked.filter(([path]) => room(leadsTo(file, path)) === "i18n")) {
      assert.ok(LAB_MAY_ASK.includes(name), `${file} asks ${path} for ${name}`);
    }
  }
  // The table itself has no circle: each comes after those it uses.
  const order = Object.keys(MAY_USE);
  for (const [name, uses] of Object.entries(MAY_USE)) {
    for (const other of uses) assert.ok(order.indexOf(other) < order.indexOf(name), `${name} uses ${other}`);
  }
});

/** Groups of modules of which each reaches all others and itself. @param {Map<string, string[]>} graph */
function circles(graph) {
  const reached = new Map([...graph.keys()].map((start) => {
    const seen = new Set();
    const next = [...(graph.get(start) ?? [])];
    for (let file = next.pop(); file !== undefined; file = next.pop()) {
      if (!seen.has(file)) next.push(...(graph.get(file) ?? []));
      seen.add(file);
    }
    return [start, seen];
  }));
  const groups = [...reached].filter(([file, seen]) => seen.has(file)).map(([file, seen]) => [...seen].filter((other) => reached.get(other)?.has(file)).sort());
  return [...new Map(groups.map((group) => [group.join(), group])).values()].sort();
}

test("no module needs itself to be loaded, at once or later", () => {
  // Types are left out: they are gone when the code runs.
  const graph = new Map([...modules].map(([file, { runtime }]) => [file, runtime.map((path) => leadsTo(file, path))]));
  assert.deepEqual(circles(graph), []);
});

test("no import hides from this reader", () => {
  assert.deepEqual([...modules].filter(([, { computed }]) => computed).map(([file]) => file), COMPUTED);
});

test("engine, lab and words need no page", () => {
  for (const [file, { globals }] of modules) {
    if (!["engine", "lab", "i18n"].includes(room(file))) continue;
    assert.deepEqual([...globals].filter((name) => PAGE_ONLY.test(name)).sort(), ASKS_FOR_THE_PAGE[file] ?? [], file);
  }
  const inElement = [...modules].filter(([file]) => room(file) === "element").flatMap(([, { globals }]) => [...globals]);
  for (const name of ["document", "HTMLElement", "customElements", "CSSStyleSheet", "IntersectionObserver"]) {
    assert.ok(inElement.includes(name), `${name} is seen where it is used`);
  }
});

test("the reader of modules sees what it should", () => {
  const { runtime, apart, types, asked, computed, globals } = read(`
    import { a, b as c } from "./a.js";
    import d from '../d.js';
    import "./e.js";
    import {
      f,
    } from "./f.js";
    export * from "./g.js";
    export { h } from "./h.js";
    const later = async () => (await import("./i.js")).i / 2;
    const worker = new URL(/* @vite-ignore */ "worker.js", import.meta.url), folder = new URL("j/", import.meta.url);
    /** @param {import("./k.js").K} k @typedef {typeof import("./l.js")} L */
    // import "./no1.js"; window
    const text = "import './no2.js'; window" + 'from "./no3.js"' + \`import "./no4.js" \${later(\`\${document.title}\`) ? { "x": 1 } : "./no5.js"} window\`;
    const pattern = /["'\`/]|[/"]import "/.test(text) && 4 / 2 / 1;
    this.#import("./no6.js"); reimport("./no7.js"); Array.from("./no8.js");
    globalThis.customElements?.define(text, thing.history);
  `);
  assert.deepEqual(runtime, ["./a.js", "../d.js", "./e.js", "./f.js", "./g.js", "./h.js", "./i.js"]);
  assert.deepEqual(apart, ["worker.js"]);
  assert.deepEqual(types, ["./k.js", "./l.js"]);
  assert.deepEqual(asked.filter(([path]) => /[adk]\.js/.test(path)), [["./a.js", "a"], ["./a.js", "b"], ["./a.js", "c"], ["../d.js", "d"], ["./k.js", "K"]]);
  assert.equal(computed, false);
  assert.deepEqual([...globals].filter((name) => PAGE_ONLY.test(name)), ["document", "customElements"]);
  assert.equal(read("await import(/* here */ script.href)").computed, true);
  assert.deepEqual(read('export { x };\nconst name = "./x.js";').runtime, []);
  assert.ok(read("const { document: page } = globalThis;").globals.has("document"));
  assert.deepEqual(circles(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b", "d"]], ["d", []], ["e", ["e"]]])), [["b", "c"], ["e"]]);
});
