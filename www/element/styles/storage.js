/** The chapter about an adapter's size: sizes as areas, the shelf. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.files { display: grid; gap: 28px; grid-template-columns: minmax(0, 1fr); }
.own-files { display: grid; gap: 18px; align-content: start; }
.sizing { display: flex; gap: 18px; align-items: center; }
.sizes { display: grid; gap: 8px; }
.sizes dt { font-size: 13px; color: var(--muted); }
.sizes dd { font: 500 20px/1.2 var(--serif); font-variant-numeric: lining-nums tabular-nums; }
.sizes .adapter dd { color: var(--accent); }
.said { flex: 1 1 280px; min-width: 0; align-self: stretch; padding-inline-start: clamp(0px, 2vw, 28px); }
.heard { height: 4.5em; margin-top: 4px; overflow: hidden; font: 17px/1.5 var(--serif); color: var(--accent); }
@media (max-width: 700px) { .sizing { flex-wrap: wrap; } .said { padding: 0; } }
.link-made:empty { display: none; }
.link-made { max-width: 62ch; }
.shelf { display: grid; gap: 12px; border-top: 1px solid var(--line); padding-top: 22px; }
.shelf legend { float: left; width: 100%; padding: 0; font: 500 18px/1.3 var(--serif); }
.keep { display: flex; gap: 8px; }
.keep input { flex: 1; min-width: 0; max-width: 340px; }
.voices { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px; }
.kept { display: grid; grid-template-columns: auto minmax(0, 1fr) auto auto; gap: 2px 12px; align-items: center; padding: 4px 8px 4px 14px; min-height: 50px; border: 1px solid var(--line); border-radius: 12px; transition: border-color 0.15s, background-color 0.15s; }
.kept[data-checked] { border-color: var(--accent); background: var(--accent-soft); }
.kept label { display: flex; align-items: center; gap: 12px; min-height: 40px; cursor: pointer; }
.kept > label:only-child { grid-column: 1 / -1; }
.kept [type="radio"] { appearance: none; -webkit-appearance: none; flex: none; width: 20px; height: 20px; margin: 0; border-radius: 50%; border: 1.5px solid var(--edge); background: var(--card); cursor: pointer; }
.kept [type="radio"]:checked { border: 6px solid var(--accent); }
.kept input.rename { min-height: 36px; padding: 4px 10px; margin-inline-start: -10px; border-color: transparent; font-weight: 500; text-overflow: ellipsis; }
.kept input.rename:hover, .kept input.rename:focus { border-color: var(--edge); background: var(--card); }
.kept .actions { gap: 0; flex-wrap: nowrap; }
.kept button { min-height: 36px; font-size: 13.5px; }
.kept [data-sure] { color: var(--accent); border-color: var(--accent); }
@media (max-width: 620px) {
  .kept { grid-template-columns: auto minmax(0, 1fr) auto; }
  .kept .actions { grid-column: 2 / -1; margin-inline-start: -10px; }
}
`);
