/** Step 2: the training. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.parameters p { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 8px; }
.share { font: 500 30px/1.15 var(--serif); color: var(--accent); font-variant-numeric: lining-nums tabular-nums; }
.bar { height: 10px; margin-top: 6px; border-radius: 5px; background: var(--base); overflow: hidden; }
.bar span { display: block; height: 100%; width: calc(var(--share, 0) * 100%); min-width: 2px; background: var(--accent); }
.train .actions .primary { flex: 1 1 auto; min-width: 132px; min-height: 44px; border-radius: 22px; font-size: 16px; }
.progress { height: 3px; border-radius: 2px; background: var(--line); overflow: hidden; }
.progress span { display: block; height: 100%; width: calc(var(--share, 0) * 100%); background: var(--accent); transition: width 0.2s linear; }
.stats { display: grid; grid-template-columns: repeat(4, auto); justify-content: space-between; gap: 4px 12px; }
.stats div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.stats dt { font-size: 12px; line-height: 1.3; color: var(--muted); }
.stats dd { font: 500 20px/1.2 var(--serif); font-variant-numeric: lining-nums tabular-nums; min-width: 3ch; }
.curve { position: relative; display: flex; flex-direction: column; flex: 1 1 190px; min-height: 190px; }
.canvas { position: relative; flex: 1 1 0; min-height: 0; overflow: hidden; }
.canvas > * { position: absolute; }
.curve[data-empty] .canvas, .curve[data-empty] .legend { visibility: hidden; }
.curve .empty { position: absolute; inset: 0 0 4px; display: grid; place-content: center; padding: 0 28px; text-align: center; border: 1px dashed var(--line); border-radius: 14px; text-wrap: balance; }
.legend { display: flex; flex-wrap: wrap; gap: 16px; padding-inline-start: 38px; color: var(--muted); }
.legend span::before { content: ""; display: inline-block; width: 18px; height: 0; margin-inline-end: 6px; vertical-align: middle; border-top: 1.5px solid var(--quiet); }
.legend .accent-line::before { border-top: 3px solid var(--accent); }
.more { border-top: 1px solid var(--line); padding-top: 12px; margin-top: auto; }
summary { cursor: pointer; font-weight: 500; list-style: none; display: flex; align-items: center; gap: 8px; min-height: 28px; }
summary::-webkit-details-marker { display: none; }
summary::before { content: ""; width: 7px; height: 7px; border: solid var(--accent); border-width: 0 2px 2px 0; transform: rotate(-45deg); transition: transform 0.15s; }
[open] > summary::before { transform: rotate(45deg); }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); gap: 14px 12px; margin: 12px 0 16px; }
.build { display: grid; gap: 4px; }
.build label { display: grid; grid-template-columns: auto 1fr; gap: 0 10px; align-items: center; min-height: 44px; cursor: pointer; }
.build .about { grid-column: 2; font-size: 12px; }
.targets { display: flex; flex-wrap: wrap; gap: 6px; }
.targets legend { font-size: 13px; font-weight: 500; margin-bottom: 6px; }
.targets label { position: relative; display: grid; padding: 6px 12px; border-radius: 10px; border: 1px solid var(--line); cursor: pointer; line-height: 1.3; }
.targets code { font: 13px var(--mono); }
.targets .about { font-size: 12px; }
.targets input { position: absolute; opacity: 0; inset: 0; width: 100%; height: 100%; cursor: pointer; }
.targets label[data-checked] { border-color: var(--accent); background: var(--accent-soft); }
.targets label:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
`);
