/** The code: Python beside the steps that explain it, each with its Rust. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.chapter[part="code"] { grid-template-columns: minmax(0, 1fr); }
.pieces { display: grid; gap: 40px; }
.piece { display: grid; gap: 14px; min-width: 0; }
.piece h3 { font-size: 20px; }
.piece h3 code { font: 500 0.86em var(--mono); }
.sides { display: grid; gap: 20px 32px; grid-template-columns: minmax(0, 1fr); align-items: start; }
@media (min-width: 900px) {
  .sides { grid-template-columns: minmax(0, 10fr) minmax(0, 13fr); }
  .python { position: sticky; top: 12px; }
}
.python, .quote { border-radius: 12px; background: var(--paper); border: 1px solid var(--line); overflow: hidden; }
.piece figcaption { padding: 6px 12px; font: 12px/1.4 var(--mono); color: var(--muted); border-bottom: 1px solid var(--line); }
.piece pre { margin: 0; padding: 8px 0; }
.code-line { display: block; position: relative; padding-inline: 12px; font: 13px/1.55 var(--mono); }
/* As high as a mark with the room that a finger wants: marks of neighbouring lines do not meet. */
.python .code-line { padding-inline-start: 44px; line-height: 24px; }
/* A line that is too long goes on below its own beginning. */
.code-line span { display: block; white-space: pre-wrap; overflow-wrap: anywhere; margin-inline-start: calc(var(--indent, 0) * 1ch + 2ch); text-indent: -2ch; }
.told { cursor: pointer; }
.told[data-lit] { background: var(--accent-soft); }
.mark, .told-steps > li::before { display: grid; place-items: center; min-height: 0; width: 20px; height: 20px; padding: 0; border-radius: 50%; border: 1px solid var(--edge); background: var(--card); color: var(--muted); font: 600 11px/1 var(--sans); }
.mark { position: absolute; inset-inline-start: 10px; top: 2px; }
.mark::after { content: ""; position: absolute; inset: -2px; }
.told-steps { margin: 0; padding: 0; list-style: none; display: grid; gap: 6px; counter-reset: step; }
.told-steps > li { counter-increment: step; position: relative; display: grid; gap: 8px; padding: 12px 14px 14px 48px; border-radius: 12px; min-width: 0; }
.told-steps > li::before { content: counter(step); position: absolute; inset-inline-start: 14px; top: 12px; }
.told-steps > li[data-lit] { background: var(--accent-soft); }
:is(.told, .told-steps > li)[data-lit] > .mark, .told-steps > li[data-lit]::before, .mark[aria-pressed="true"] { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.told-steps p { max-width: 68ch; }
.told-steps p code { font: 0.88em var(--mono); overflow-wrap: anywhere; }
.now { font-size: 13.5px; color: var(--accent); font-weight: 500; }
.now:empty { display: none; }
.quote .code-line { font-size: 12px; }
.quote figcaption { border: 0; padding-bottom: 0; font-size: 11px; }
.quote pre { padding-top: 2px; }
@media (max-width: 480px) { .told-steps > li { padding: 10px 4px 12px 34px; } .told-steps > li::before { inset-inline-start: 4px; top: 10px; } .code-line { font-size: 12px; } }
`);
