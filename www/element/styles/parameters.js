/** The chapter that counts parameters: the model to scale; W, A and B of one layer; the totals. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.fewer { display: grid; gap: 28px; }
.model { display: grid; gap: 14px; }
.presets { display: flex; flex-wrap: wrap; gap: 6px; }
.presets button { min-height: 34px; padding: 0 14px; font-size: 13.5px; border-radius: 17px; border-color: var(--line); }
.presets [aria-pressed="true"] { border-color: var(--accent); background: var(--accent-soft); }
/* --u is one row or column of a matrix: as large as the widest line of the picture allows. */
.model { container-type: inline-size; }
.drawing { --u: calc(100cqi / max(var(--block) * 2 + 30, var(--across))); display: grid; gap: calc(60 * var(--u)); }
@container (min-width: 600px) { .drawing { --u: calc(100cqi / (var(--block) * 4 + 180)); } }
.ends { display: flex; gap: calc(40 * var(--u)); padding-inline-start: calc(78 * var(--u)); }
.ends > .cell { margin-inline-start: calc(-78 * var(--u)); }
.blocks { display: flex; flex-wrap: wrap; gap: calc(60 * var(--u)) calc(30 * var(--u)); }
@container (min-width: 600px) { .blocks { column-gap: calc(60 * var(--u)); } }
.block { display: flex; flex-wrap: wrap; align-content: start; gap: calc(24 * var(--u)) calc(20 * var(--u)); width: calc(var(--block) * var(--u)); }
.block > p { flex: 1 0 100%; padding-inline-start: calc(78 * var(--u)); font-size: 12px; color: var(--muted); }
.plain { display: grid; place-items: center; width: calc(var(--long) * var(--u)); height: calc(var(--short) * var(--u)); font-size: min(11px, calc(48 * var(--u))); line-height: 1; color: var(--muted); background: var(--line); overflow: hidden; }
.cell { position: relative; display: block; width: calc((var(--long) + 78) * var(--u)); cursor: pointer; border-radius: 3px; }
.cell svg { display: block; width: 100%; }
.cell .w { opacity: 0.5; transition: opacity 0.15s; }
.cell[data-checked] .w, .cell:hover .w { opacity: 1; }
.cell[data-current] .w { stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.cell input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; cursor: pointer; }
.cell:focus-within:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.model:disabled :is(.cell, .cell input) { cursor: default; }
.code { position: absolute; inset: calc(78 * var(--u)) 0 0 calc(78 * var(--u)); display: grid; place-items: center; font: min(10px, calc(48 * var(--u)))/1 var(--mono); color: var(--ink); pointer-events: none; overflow: hidden; }
.beside { display: grid; gap: 24px clamp(24px, 4vw, 48px); border-top: 1px solid var(--line); padding-top: 24px; }
@media (min-width: 640px) { .beside { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); align-items: start; } }
.one { display: grid; gap: 10px; }
.which { font-weight: 500; }
.matrices { display: block; width: 100%; height: 190px; overflow: visible; }
.matrices text { fill: var(--ink); font-family: var(--serif); font-style: italic; text-anchor: middle; dominant-baseline: central; }
.formula { display: grid; gap: 2px; font-size: 14px; }
.formula .lora { color: var(--accent); font-weight: 500; }
.sum { display: grid; gap: 22px; }
.totals { display: flex; gap: 18px; align-items: center; }
.big { font: 500 clamp(34px, 3.4vw, 46px)/1.1 var(--serif); color: var(--accent); font-variant-numeric: lining-nums tabular-nums; }
`);
