/** Step 1: the text. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.choices { display: grid; gap: 6px; }
.choice { position: relative; display: grid; padding: 6px 14px 7px; border-radius: 12px; border: 1px solid var(--line); cursor: pointer; transition: border-color 0.15s, background-color 0.15s; }
.choice .name { font-weight: 500; }
.choice .about { font-size: 13px; line-height: 1.35; }
.choice input { position: absolute; opacity: 0; inset: 0; width: 100%; height: 100%; cursor: pointer; }
.choice:hover { border-color: var(--edge); }
@supports not selector(:has(a)) { .choice:focus-within, .targets label:focus-within { outline: 2px solid var(--accent); outline-offset: 2px; } }
.choice[data-checked] { border-color: var(--accent); background: var(--accent-soft); }
.choice:focus-within:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.own { display: grid; gap: 6px; }
.own .file { justify-self: start; margin-inline-start: -10px; }
.preview { display: flex; flex-direction: column; flex: 1 1 110px; min-height: 110px; overflow: hidden; }
.excerpt { flex: 1 1 0; min-height: 0; overflow: hidden; margin-top: 4px; font: 15px/1.5 var(--serif); white-space: pre-line; color: var(--muted); -webkit-mask-image: linear-gradient(black 45%, transparent); mask-image: linear-gradient(black 45%, transparent); }
.drop { display: none; position: absolute; inset: 6px; place-items: center; border: 2px dashed var(--accent); border-radius: 14px; background: var(--card); color: var(--accent); font: 500 19px var(--serif); }
[data-drop] > .drop { display: grid; }
/* On a phone the button that trains is in the first window, or just below it. */
@media (max-width: 480px) {
  .steps .choices { grid-template-columns: 1fr 1fr; }
  .steps .choice { align-content: center; min-height: 44px; }
  .steps .choice:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .steps .choice .about { display: none; }
}
`);
