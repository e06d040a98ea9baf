/** Step 3: the two texts. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.ask { display: flex; gap: 8px; }
.ask .prompt { min-height: 44px; flex: 1; min-width: 0; border-radius: 22px; padding: 8px 18px; font: 17px var(--serif); }
.ask button { min-height: 44px; border-radius: 22px; }
.panes { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px; }
.pane { padding: 14px 18px 18px; border-radius: 4px 4px 14px 14px; background: var(--paper); border-top: 3px solid var(--base); min-height: 392px; }
.pane.adapted { border-top-color: var(--accent); }
.pane h3 { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 8px; margin-bottom: 8px; }
.pane h3 .about { font: 13px var(--sans); }
.pane.adapted .name { color: var(--accent); }
.story { font: 17px/1.58 var(--serif); white-space: pre-wrap; overflow-wrap: anywhere; hyphens: manual; }
.given { color: var(--muted); }
.story[data-writing] .written::after { content: ""; display: inline-block; width: 2px; height: 1em; margin-inline-start: 2px; vertical-align: -0.15em; background: var(--accent); animation: blink 1s steps(2) infinite; }
@keyframes blink { 50% { opacity: 0; } }
.pane .empty { color: var(--muted); font: 17px/1.5 var(--serif); max-width: 24ch; }
.sampling { display: grid; grid-template-columns: 1fr; gap: 10px 24px; border-top: 1px solid var(--line); padding-top: 14px; }
@media (min-width: 560px) { .sampling { grid-template-columns: 1fr 1fr; } .sampling .row { grid-column: 1 / -1; } }
.sampling .about { display: block; margin: 0; font-size: 12px; }
.sampling .row { gap: 10px 16px; }
.sampling .field { display: flex; align-items: center; gap: 8px; }
.sampling .field input { width: 92px; }
@media (max-width: 480px) { .panes { grid-template-columns: minmax(0, 1fr); } .pane { min-height: 150px; } }
`);
