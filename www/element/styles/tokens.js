/** The comparison token by token. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.reading { display: grid; gap: 14px; }
.whose { display: flex; gap: 6px; }
.side { position: relative; display: grid; place-items: center; min-height: 36px; padding: 0 16px; border: 1px solid var(--line); border-radius: 18px; font-weight: 500; font-size: 14px; }
.side input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
.side[data-checked] { border-color: var(--accent); background: var(--accent-soft); }
.side:has(:disabled) { color: var(--muted); }
.side:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.tokens { font: 18px/2 var(--serif); white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 8px; }
.tokens[data-old] { opacity: 0.55; }
.token { padding: 3px 0; border-bottom: 2px solid var(--line); cursor: pointer; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.token:nth-child(even) { border-bottom-color: var(--edge); }
.token[aria-selected="true"] { background: var(--accent); color: var(--on-accent); border-bottom-color: var(--accent); border-radius: 4px 4px 0 0; box-shadow: -2px 0 var(--accent), 2px 0 var(--accent); }
.where { min-height: 1.5em; }
.chances { display: grid; gap: 18px 32px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 220px), 1fr)); max-width: 720px; }
.voice h4 { margin: 0 0 6px; font: 500 15px var(--serif); }
.voice ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 4px; }
.voice li { position: relative; display: flex; justify-content: space-between; gap: 12px; padding: 5px 10px; border-radius: 6px; overflow: hidden; isolation: isolate; background: var(--paper); font-variant-numeric: tabular-nums; }
.voice .fill { position: absolute; inset: 0 auto 0 0; z-index: -1; width: calc(var(--share, 0) * 100%); background: var(--base); }
.adapted .fill { background: var(--accent-soft); border-bottom: 2px solid var(--accent); min-width: 2px; }
.voice .word { white-space: pre; overflow: hidden; text-overflow: ellipsis; font-family: var(--serif); }
.voice .p { font-size: 13px; }
.voice li[data-chosen] { outline: 1.5px solid var(--ink); outline-offset: -1.5px; font-weight: 600; }
`);
