/** The page of examples: its words in the reader's language, and beside each example the source that makes it. */

import "../page/language.js";
import { LoraLabElement } from "../element.js";
import { fetchBytes } from "../engine/fetch.js";
import { languageToggle } from "../page/toggle.js";
import { translate } from "../page/translate.js";
import { run } from "./engine.js";

const toggle = /** @type {HTMLButtonElement} */ (document.getElementById("language"));

languageToggle(toggle, async (lang, words) => {
  await words.more();
  return () => {
    translate(words.t);
    for (const lab of document.querySelectorAll("lora-lab")) if (lab instanceof LoraLabElement) lab.lang = lang;
    // A frame follows its fragment without being reloaded.
    for (const frame of document.querySelectorAll("iframe")) frame.src = `${frame.src.split("#")[0]}#lang=${lang}`;
  };
});

for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-source]"))) {
  const name = place.dataset["source"] ?? "";
  // A script is a separate file; other sources are in this page, each between two HTML comments.
  const file = name.endsWith(".js") ? name : "index.html";
  fetchBytes(new URL(file, import.meta.url)).then(
    (bytes) => (place.textContent = excerpt(new TextDecoder().decode(bytes), name)),
    (error) => (place.textContent = String(error)),
  );
}

const button = /** @type {HTMLButtonElement} */ (document.getElementById("run"));
const said = /** @type {HTMLElement} */ (document.getElementById("said"));
button.addEventListener("click", async () => {
  button.disabled = true;
  said.textContent = "";
  await run((text) => said.append(text)).catch((error) => said.append(String(error)));
  button.disabled = false;
});

/** @param {string} text @param {string} name */
function excerpt(text, name) {
  const between = text.split(`<!-- ${name} -->\n`)[1]?.split(`<!-- /${name} -->`)[0] ?? text;
  const lines = between.trimEnd().split("\n");
  const indents = lines.filter((line) => line.trim()).map((line) => line.search(/\S/));
  return lines.map((line) => line.slice(Math.min(...indents))).join("\n");
}
