/** The chapter that proves the base unchanged: its digest, its answer with and without the adapter. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.proof { display: grid; gap: 16px; container-type: inline-size; }
.digests { display: grid; gap: 12px 32px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
.digests dt { font-size: 12px; color: var(--muted); margin-bottom: 4px; }
.digest { display: grid; grid-template-columns: repeat(4, max-content); column-gap: 1ch; min-height: 36px; font: 13px/18px var(--mono); }
@container (max-width: 340px) { .digest { font-size: clamp(9px, 4.65cqi, 13px); } }
.proof .row { justify-content: space-between; min-height: 40px; }
.verdict { font-size: 14px; color: var(--muted); }
.verdict[data-match] { color: var(--ink); font-weight: 500; }
.verdict[data-match="true"]::before { content: ""; display: inline-block; width: 6px; height: 11px; margin: 0 9px 2px 3px; vertical-align: middle; border: solid var(--accent); border-width: 0 2px 2px 0; transform: rotate(40deg); }
.answers { display: grid; gap: 20px 28px; grid-template-columns: minmax(0, 1fr); border-top: 1px solid var(--line); padding-top: 20px; }
@container (min-width: 620px) { .answers { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
.answer h4 { margin: 0 0 6px; font: 500 13px/1.3 var(--sans); color: var(--muted); }
.answer .story { font: 15px/1.5 var(--serif); min-height: 9em; }
.answer [data-empty] { color: var(--muted); }
.answer mark { color: var(--accent); background: none; }
.switched { display: grid; gap: 8px; align-content: start; }
.switched .slider .about { display: block; margin: 0; font-size: 12px; }
@container (max-width: 619px) { .answer .story { min-height: 4.5em; } }
`);
