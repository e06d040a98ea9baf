/** Benefit 4: sizes as areas. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.files { display: grid; gap: 16px; }
.sizing { display: flex; gap: 18px; align-items: center; margin-top: auto; }
.sizes { display: grid; gap: 8px; }
.sizes dt { font-size: 13px; color: var(--muted); }
.sizes dd { font: 500 20px/1.2 var(--serif); font-variant-numeric: lining-nums tabular-nums; }
.sizes .adapter dd { color: var(--accent); }
`);
