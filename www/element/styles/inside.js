/** The chapter about ΔW: a heat strip of the layers, a map, bars. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.inside { display: grid; gap: 14px; }
.strip { display: grid; gap: 8px; }
.layer-row { display: grid; grid-template-columns: 118px minmax(0, 1fr); gap: 4px 12px; align-items: center; }
.kind { font-size: 13px; color: var(--muted); }
.cells { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 6px; max-width: 640px; }
.heat-button { display: grid; gap: 2px; min-height: 44px; padding: 4px; border-radius: 10px; border-color: var(--line); font: 500 12px/1.3 var(--sans); font-variant-numeric: tabular-nums; }
.heat-button:disabled { opacity: 1; }
.heat-button[aria-pressed="true"] { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.heat { height: 24px; background: var(--line); border-radius: 6px; position: relative; overflow: hidden; }
.heat::after { content: ""; position: absolute; inset: 0; background: var(--accent); opacity: var(--heat, 0); transition: opacity 0.3s; }
.heat-button .value { text-align: center; min-height: 1.3em; }
.close { display: grid; gap: 16px 32px; grid-template-columns: minmax(0, 1fr); padding-top: 16px; border-top: 1px solid var(--line); }
.close h4 { margin: 0; font: 500 14px var(--mono); grid-column: 1 / -1; overflow-wrap: anywhere; }
.close figure { display: grid; gap: 8px; align-content: start; }
@media (min-width: 620px) { .close { grid-template-columns: minmax(0, 300px) minmax(0, 1fr); } }
.map { width: 100%; max-width: 300px; aspect-ratio: 1; image-rendering: pixelated; border: 1px solid var(--line); border-radius: 8px; }
.scale { max-width: 300px; }
.ramp { display: block; height: 8px; border-radius: 4px; background: linear-gradient(to right, rgb(20 110 190), rgb(20 110 190 / 0) 50%, rgb(224 90 20 / 0) 50%, rgb(224 90 20)); border: 1px solid var(--line); }
.signs { display: flex; justify-content: space-between; font-size: 12px; color: var(--muted); font-variant-numeric: tabular-nums; }
.singular { display: block; width: 100%; max-width: 460px; border-bottom: 1px solid var(--edge); }
.singular .kept { fill: var(--accent); }
.singular .rest { fill: var(--edge); }
.singular .after { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
.singular text { fill: var(--ink); font: 12px var(--sans); }
@media (max-width: 560px) { .layer-row { grid-template-columns: minmax(0, 1fr); } }
@media (forced-colors: active) { .heat::after, .ramp { forced-color-adjust: none; } }
`);
