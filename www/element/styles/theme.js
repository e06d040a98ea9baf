/**
 * Colours and type. The base is grey; what the adapter adds has the accent colour.
 * The reader's system decides between light and dark, unless the element's attribute `theme` says so.
 */

import { sheet } from "./sheet.js";

const light = /* css */ `
  --paper: var(--lora-paper, #faf8f4);
  --card: var(--lora-card, #ffffff);
  --ink: var(--lora-ink, #1f1c18);
  --muted: var(--lora-muted, #6a6359);
  --quiet: var(--lora-quiet, #9a9184);
  --base: var(--lora-base, #d9d2c5);
  --line: var(--lora-line, #e9e4da);
  --edge: var(--lora-edge, #8d8579);
  --accent: var(--lora-accent, #b93c17);
  --accent-deep: var(--lora-accent-deep, #99300f);
  --accent-soft: var(--lora-accent-soft, #fbede6);
  --on-accent: var(--lora-on-accent, #ffffff);
`;

const dark = /* css */ `
  --paper: var(--lora-paper, #161513);
  --card: var(--lora-card, #1f1d1a);
  --ink: var(--lora-ink, #f0ece5);
  --muted: var(--lora-muted, #a8a196);
  --quiet: var(--lora-quiet, #7d766b);
  --base: var(--lora-base, #4a453e);
  --line: var(--lora-line, #34302b);
  --edge: var(--lora-edge, #857d72);
  --accent: var(--lora-accent, #ff9468);
  --accent-deep: var(--lora-accent-deep, #ffab88);
  --accent-soft: var(--lora-accent-soft, #372219);
  --on-accent: var(--lora-on-accent, #2a1208);
`;

/*
 * Latin fonts come before those for Devanagari, at least one for every system: in Hindi a generic family chooses a Devanagari font,
 * whose own Latin letters look too small.
 */
export const theme = sheet(/* css */ `
:host {
${light}
  --sans: var(--lora-sans, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Liberation Sans", "Helvetica Neue", Arial, "Noto Sans", "DejaVu Sans", "Noto Sans Devanagari", "Nirmala UI", "Kohinoor Devanagari", sans-serif);
  --serif: var(--lora-serif, "Iowan Old Style", Charter, "Palatino Linotype", Palatino, "Liberation Serif", Georgia, "Noto Serif", "DejaVu Serif", "Noto Serif Devanagari", "Kohinoor Devanagari", "Nirmala UI", serif);
  --mono: var(--lora-mono, ui-monospace, "SF Mono", "Cascadia Mono", "Roboto Mono", "Liberation Mono", "DejaVu Sans Mono", monospace);
  color-scheme: light dark;
  display: block;
  color: var(--ink);
  font: 15px/1.5 var(--sans);
  -webkit-text-size-adjust: 100%;
}
:host([theme="light"]) { color-scheme: light; }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) {${dark}} }
:host([theme="dark"]) { color-scheme: dark; ${dark}}
`);
