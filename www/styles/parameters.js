/** Benefit 1: W, A and B to scale. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.matrices { display: block; width: 100%; max-height: 170px; overflow: visible; }
.matrices text { fill: var(--ink); font-family: var(--serif); font-style: italic; text-anchor: middle; dominant-baseline: central; }
`);
