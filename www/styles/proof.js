/** Benefit 2: the base's digest. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.digests { display: grid; gap: 2px; }
.digests dt { font-size: 12px; color: var(--muted); margin-top: 4px; }
.proof { container-type: inline-size; }
.digest { display: grid; grid-template-columns: repeat(4, max-content); column-gap: 1ch; min-height: 36px; font: 11px/18px var(--mono); font-size: clamp(9px, 4.65cqi, 13px); }
.proof .row { justify-content: space-between; margin-top: auto; }
.verdict { font-size: 14px; color: var(--muted); }
.verdict[data-match] { color: var(--ink); font-weight: 500; }
.verdict[data-match="true"]::before { content: ""; display: inline-block; width: 6px; height: 11px; margin: 0 9px 2px 3px; vertical-align: middle; border: solid var(--accent); border-width: 0 2px 2px 0; transform: rotate(40deg); }
`);
