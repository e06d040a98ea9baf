/** What all parts share: layout, headings, buttons, fields, error messages. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
h2, h3, p, dl, dd, figure, blockquote, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
button, input, textarea { font: inherit; color: inherit; margin: 0; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.small { font-size: 13px; }
.muted, .about { color: var(--muted); }
.figure, dd, output, .stats dd { font-variant-numeric: tabular-nums; }

/* how much room each view keeps before there is anything in it */
:host { min-height: var(--lora-min-height, 720px); }
:host([view="compact"]) { min-height: var(--lora-min-height, 740px); }
:host([view="compare"]) { min-height: var(--lora-min-height, 560px); }
@media (max-width: 480px) {
  :host([view="compact"]) { min-height: var(--lora-min-height, 930px); }
  :host([view="compare"]) { min-height: var(--lora-min-height, 820px); }
}

.poster { display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 12px; min-height: inherit; text-align: center; }
.poster p { max-width: 44ch; text-wrap: balance; }

/* three steps */
.steps { display: grid; gap: 20px; grid-template-columns: minmax(0, 1fr); align-items: stretch; }
@media (min-width: 720px) { .steps { grid-template-columns: minmax(0, 4fr) minmax(0, 5fr); } .compare { grid-column: 1 / -1; } }
@media (min-width: 1160px) { .steps { grid-template-columns: 252px 324px minmax(0, 1fr); } .compare { grid-column: auto; } }
.card { position: relative; background: var(--card); border: 1px solid var(--line); border-radius: 18px; padding: 22px; }
.steps > .card { display: flex; flex-direction: column; gap: 16px; }
.card header { display: grid; grid-template-columns: auto 1fr; column-gap: 12px; align-items: center; }
.card header p { grid-column: 2; font-size: 13px; }
.number { display: grid; place-items: center; width: 28px; height: 28px; border-radius: 50%; border: 1.5px solid var(--accent); color: var(--accent); font: 600 14px/1 var(--sans); }
h2 { font: 500 23px/1.25 var(--serif); letter-spacing: -0.005em; }
h3 { font: 500 19px/1.3 var(--serif); }

/* buttons and fields */
button { min-height: 40px; padding: 0 16px; border-radius: 20px; border: 1px solid var(--edge); background: transparent; cursor: pointer; font-weight: 500; white-space: nowrap; transition: background-color 0.15s, border-color 0.15s; }
button:hover:enabled { border-color: var(--ink); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
button.primary:hover:enabled { background: var(--accent-deep); border-color: var(--accent-deep); }
button.quiet { border-color: transparent; padding: 0 10px; color: var(--muted); }
button.quiet:hover:enabled { color: var(--ink); border-color: var(--line); }
button:disabled { cursor: default; opacity: 0.45; }
.actions, .row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
input[type="number"], input[type="text"], textarea { width: 100%; min-height: 40px; padding: 8px 12px; border-radius: 10px; border: 1px solid var(--edge); background: transparent; }
input:disabled, textarea:disabled, fieldset:disabled { opacity: 0.6; }
input[type="number"] { appearance: textfield; -moz-appearance: textfield; font-variant-numeric: tabular-nums; }
input[type="number"]::-webkit-inner-spin-button { display: none; }
textarea { resize: vertical; line-height: 1.45; }
::placeholder { color: var(--muted); opacity: 1; }
.field { display: grid; gap: 3px; align-content: start; }
.field label { font-size: 13px; font-weight: 500; }
.field .about { font-size: 12px; line-height: 1.35; }

.slider { display: grid; grid-template-columns: 1fr auto; align-items: baseline; column-gap: 12px; }
.slider .name { font-weight: 500; }
.slider .about { font-size: 13px; margin-inline-start: 8px; }
.slider output { font-weight: 600; }
.slider input { grid-column: 1 / -1; }
input[type="range"] { appearance: none; -webkit-appearance: none; width: 100%; height: 28px; margin: 0; background: none; cursor: pointer; --at: calc(var(--fill, 0) * (100% - 20px) + 10px); }
input[type="range"]::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: linear-gradient(to right, var(--accent) var(--at), var(--base) var(--at)); }
input[type="range"]::-moz-range-track { height: 4px; border-radius: 2px; background: linear-gradient(to right, var(--accent) var(--at), var(--base) var(--at)); }
input[type="range"]::-webkit-slider-thumb { -webkit-appearance: none; width: 20px; height: 20px; margin-top: -8px; border-radius: 50%; background: var(--card); border: 2px solid var(--accent); }
input[type="range"]::-moz-range-thumb { width: 16px; height: 16px; border-radius: 50%; background: var(--card); border: 2px solid var(--accent); }
input[type="range"]:disabled { cursor: default; }

/* pictures: the base, and what is added */
.w { fill: var(--base); }
.ab { fill: var(--accent); }
.areas { width: 104px; flex: none; display: block; }

/* status and problems */
.status { position: relative; z-index: 1; }
.loading { max-width: 420px; margin: 0 0 16px; }
.loading .progress { margin-top: 6px; }
/* On the edge of the first card, where it takes no room: nothing moves when it goes. */
.status[data-view="full"] .loading { position: absolute; inset: -26px 0 auto auto; margin: 0; min-width: 200px; }
.status > .problem { margin-bottom: 20px; }
.problem { display: flex; gap: 12px; align-items: flex-start; justify-content: space-between; padding: 12px 14px; border-radius: 12px; border: 1.5px solid var(--ink); background: var(--card); }
.problem > div { min-width: 0; }
.problem strong { display: block; font-weight: 600; line-height: 1.35; }
.problem .detail { display: block; margin-top: 4px; font-size: 13px; line-height: 1.4; color: var(--muted); overflow-wrap: anywhere; }
.problem .quiet { flex: none; margin: -6px -8px -6px 0; }
@media (max-width: 480px) { .card { padding: 16px; border-radius: 16px; } .steps { gap: 14px; } .steps > .card { gap: 12px; } }
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .bar span, .progress span, .fill { forced-color-adjust: none; } }

/* Devanagari hangs from a line of its own and has signs above and below it. */
:host(:lang(hi)) { line-height: 1.65; }
:lang(hi):is(h2, h3) { line-height: 1.45; letter-spacing: 0; }
:lang(hi):is(.small, .about, .empty, .problem *) { line-height: 1.6; }
`);
