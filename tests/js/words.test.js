import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import en from "../../www/i18n/en.js";
import firstOfEnglish from "../../www/i18n/en/first.js";
import laterOfEnglish from "../../www/i18n/en/later.js";
import hi from "../../www/i18n/hi.js";
import firstOfHindi from "../../www/i18n/hi/first.js";
import laterOfHindi from "../../www/i18n/hi/later.js";
import { LANGUAGES, language, words, wordsIn } from "../../www/i18n/i18n.js";
import { CHAPTERS } from "../../www/element/view/chapters.js";

const WWW = new URL("../../www/", import.meta.url);
/** Pages in English that say the words of the table. */
const PAGES = ["index.html", "embed/index.html"];

async function sources() {
  const rooms = ["engine", "lab", "element", "page"];
  const files = (await Promise.all(rooms.map(async (room) => (await readdir(new URL(room, WWW), { recursive: true })).map((name) => `${room}/${name}`)))).flat();
  const scripts = ["i18n/i18n.js", ...files.filter((name) => name.endsWith(".js"))];
  return (await Promise.all(scripts.map((name) => readFile(new URL(name, WWW), "utf8")))).join("\n");
}

test("every key that the code asks for is in the table", async () => {
  const code = await sources();
  const asked = [...code.matchAll(/\bt\("([\w.-]+)"/g), ...code.matchAll(/key: "((?:status|news)\.\w+)"/g)].map(([, key]) => key);
  assert.ok(asked.length > 80);
  for (const key of asked) assert.ok(key in en || `${key}.other` in en, `${key} is missing in en.js`);
});

test("nothing in the table is asked for by nobody", async () => {
  const pages = await Promise.all(PAGES.map((page) => readFile(new URL(page, WWW), "utf8")));
  const code = [await sources(), ...pages].join("\n");
  // These are put together from a part and an id.
  const composed = /^(further|sample|problem|target|train|model|shelf|compare|code|efficient)\.|\.(heading|hint|text)$|^locale$/;
  for (const key of Object.keys(en)) {
    const stem = key.replace(/\.(one|other)$/, "");
    assert.ok(composed.test(key) || code.includes(`"${stem}"`), `${key} is in en.js, but no code names it`);
  }
});

/** The module and all that it imports at once: what is fetched before a reader opens anything. @param {string} start */
async function graph(start) {
  const found = new Map();
  const visit = async (url) => {
    if (found.has(url.href)) return;
    const code = await readFile(url, "utf8");
    found.set(url.href, code);
    await Promise.all([...code.matchAll(/^(?:import|export)\b[^;]*?"(\.[^"]+)";/gm)].map(([, path]) => visit(new URL(path, url))));
  };
  await visit(new URL(start, WWW));
  return [...found.values()].join("\n");
}

test("what is said before a chapter is opened is in the first half of the table", async () => {
  const code = (await Promise.all(["page/page.js", "element/element.js", "element/view/brief.js"].map(graph))).join("\n");
  const keys = [...code.matchAll(/\b(?:t|has)\(\s*["`](\w[^"`]+)["`]/g), ...code.matchAll(/key: "((?:status|news)\.\w+)"/g)].map(([, key]) => key);
  // The code puts these together: "${name}.heading".
  for (const name of ["data", "train", "compare"]) keys.push(`${name}.heading`, `${name}.hint`);
  for (const { name, under } of CHAPTERS) keys.push(`${name}.heading`, `${name}.text`, ...(under ? [`${under}.heading`] : []));
  assert.ok(keys.length > 100, `${keys.length} keys`);
  for (const key of keys) {
    const pattern = key.split(/\$\{[^}]+\}/).map((part) => part.replaceAll(".", "\\.")).join("[\\w.-]+");
    const asked = Object.keys(en).filter((one) => new RegExp(`^${pattern}(\\.(one|other))?$`).test(one));
    assert.ok(asked.length, `${key} is in neither half`);
    for (const one of asked) assert.ok(one in firstOfEnglish, `${one} is asked for at the start`);
  }
});

test("the two halves have no word in common, and both languages are cut at the same place", () => {
  assert.deepEqual(Object.keys(firstOfHindi).sort(), Object.keys(firstOfEnglish).sort());
  assert.equal(Object.keys(firstOfEnglish).length + Object.keys(laterOfEnglish).length, Object.keys(en).length);
  assert.equal(Object.keys(firstOfHindi).length + Object.keys(laterOfHindi).length, Object.keys(hi).length);
});

test("words of a chapter are there when more of them have come", async () => {
  const words = await wordsIn("hi");
  assert.equal(words.t("code.step"), "code.step");
  await words.more();
  assert.equal(words.t("train.train"), hi["train.train"]);
  assert.equal(words.t("shelf.empty"), hi["shelf.empty"]);
  assert.ok(words.has("code.layer.a.now"));
});

/** What is the same in Hindi: names, formulas, and what is empty. */
const SAME = new Set([
  "status.idle",
  "efficient.lora",
  "parameters.r",
  "code.layer.sizes.now",
  "code.layer.forward.now",
  "code.linear.sum.now",
]);

test("Hindi has every key of English, and no other", () => {
  assert.deepEqual(Object.keys(hi).sort(), Object.keys(en).sort());
});

test("what Hindi says is Hindi, but for a list of names", () => {
  for (const [key, text] of Object.entries(hi)) {
    if (/^locale|^page\.language/.test(key)) continue;
    if (SAME.has(key)) assert.equal(text, en[key], `${key} is in the list of what is the same`);
    else assert.match(text, /\p{Script=Devanagari}/u, `${key}: ${text}`);
  }
});

test("Hindi is written as its sheet of style says: Latin digits, no stray spaces, one spelling of each loanword", () => {
  const unwanted = /[०-९]|\s\s|\s[।,;?!]|^\s|\s$|\.$|[|]|एडैप्टर|एडाप्टर|मोडल|टोकेन|ब्राउजर|फाइल|जरूर|बाकी|ाएं/u;
  for (const [key, text] of Object.entries(hi)) assert.doesNotMatch(text.normalize("NFC"), unwanted, key);
});

test("each language has its words with the same placeholders, and a form for each of its plural categories", () => {
  const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const [key, text] of Object.entries(hi)) {
    // "checked once" says its count in words.
    const [got, want] = [holes(text), holes(en[key])].map((names) => (/\.(one|other)$/.test(key) ? names.filter((name) => name !== "count") : names));
    assert.deepEqual(got, want, key);
  }
  for (const table of [en, hi]) {
    const { pluralCategories } = new Intl.PluralRules(table.locale).resolvedOptions();
    const counted = Object.keys(table).filter((key) => key.endsWith(".other")).map((key) => key.slice(0, -".other".length));
    assert.ok(counted.length >= 3);
    for (const key of counted) for (const category of pluralCategories) assert.ok(`${key}.${category}` in table, `${key}.${category}`);
  }
});

test("a language is found by its tag, and English when there is none", async () => {
  assert.deepEqual([language("hi-IN"), language("HI"), language("de", "hi"), language("de"), language(null, undefined, "")], ["hi", "hi", "hi", "en", "en"]);
  assert.equal(language("constructor"), "en");
  assert.deepEqual(Object.keys(LANGUAGES), ["en", "hi"]);
  assert.equal((await wordsIn("hi")).t("train.train"), hi["train.train"]);
});

for (const page of PAGES) {
  test(`${page} says what the table says, so that it reads the same before its scripts run`, async () => {
    const html = await readFile(new URL(page, WWW), "utf8");
    const found = [...html.matchAll(/data-i18n="([\w.]+)"(?:[^>]*content="([^"]*)")?[^>]*>([^<]*)</g)];
    assert.ok(found.length >= 6);
    for (const [, key, content, inside] of found) assert.equal(content ?? inside, en[key], key);
    for (const [, key, title] of html.matchAll(/data-i18n-title="([\w.]+)" title="([^"]*)"/g)) assert.equal(title, en[key]);
  });
}

test("the policy of each page names nothing beyond itself", async () => {
  const names = (await readdir(new URL("embed/", WWW))).filter((name) => name.endsWith(".html")).map((name) => `embed/${name}`);
  for (const page of ["index.html", ...names]) {
    const html = await readFile(new URL(page, WWW), "utf8");
    const [, policy] = html.match(/Content-Security-Policy" content="([^"]+)"/);
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /'unsafe-inline'|'unsafe-eval'|https?:|\*|data:/);
    assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|<script>/);
  }
});

test("values are put in, counts pick their form, unknown keys show themselves", () => {
  const { t } = words({ locale: "en", greet: "Hello {name}, {number}", "n.one": "{count} step", "n.other": "{count} steps" });
  assert.equal(t("greet", { name: "you", number: 1234.4 }), "Hello you, 1,234");
  assert.equal(t("n", { count: 1 }), "1 step");
  assert.equal(t("n", { count: 2000 }), "2,000 steps");
  assert.equal(t("missing"), "missing");
});

test("numbers are short and in their unit", () => {
  const { bytes, duration, percent, fixed } = words(en);
  assert.deepEqual([bytes(999), bytes(22_800), bytes(4_360_000)], ["999 bytes", "22.8 kB", "4.36 MB"]);
  assert.deepEqual([duration(-1), duration(59.4), duration(61)], ["0s", "59s", "1m 1s"]);
  assert.deepEqual([percent(0.0602), percent(0.12), fixed(2, 2)], ["6%", "12%", "2.00"]);
});

test("in Hindi, numbers are grouped by lakh and crore, and none and one share a form", () => {
  const { bytes, duration, number } = words(hi);
  assert.deepEqual([number(2_183_040), number(0.5, 1)], ["21,83,040", "0.5"]);
  assert.deepEqual([bytes(999), bytes(4_360_000)], ["999 बाइट", "4.36 MB"]);
  assert.deepEqual([duration(59.4), duration(61)], ["59 से॰", "1 मि॰ 1 से॰"]);
  const { t } = words({ ...hi, "n.one": "one {count}", "n.other": "other {count}" });
  assert.deepEqual([0, 1, 2].map((count) => t("n", { count })), ["one 0", "one 1", "other 2"]);
});
