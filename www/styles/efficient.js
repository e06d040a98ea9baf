/** Benefit 3: what training needs. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.measures { display: grid; gap: 14px; margin-top: auto; }
.measure p { display: flex; justify-content: space-between; font-size: 14px; margin-bottom: 4px; }
.measure .fill { display: block; height: 22px; border-radius: 4px; width: calc(var(--share, 0) * 100%); min-width: 3px; background: var(--base); }
.measure.adapter .fill { background: var(--accent); }
`);
