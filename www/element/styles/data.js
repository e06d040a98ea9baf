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
/* On a phone the choice and the button that trains are in the first window: of the text one line is seen, and the share that learns below the button. */
@media (max-width: 480px) {
  .steps .preview { flex: none; min-height: 0; }
  .steps .preview figcaption { display: none; }
  .steps .excerpt { flex: none; height: 1.5em; margin: 0; white-space: nowrap; text-overflow: ellipsis; -webkit-mask-image: none; mask-image: none; }
  .steps .parameters { order: 1; }
  .steps .parameters ~ :not(.actions) { order: 2; }
  .steps .choices { grid-template-columns: 1fr 1fr; }
  .steps .choice { align-content: center; min-height: 44px; }
  .steps .choice:last-child:nth-child(even) { grid-column: 1 / -1; }
  .steps .choice .about { display: none; }
}
`);
