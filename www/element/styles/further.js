/** The chapter that exports a run. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.further { display: grid; gap: 18px; }
.inside-folder { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 8px 20px; font-size: 14px; }
.inside-folder code { font: 13px var(--mono); }
.inside-folder dd { color: var(--muted); }
.command { margin: 0; padding: 12px 16px; border-radius: 10px; background: var(--paper); border: 1px solid var(--line); font: 13px/1.6 var(--mono); overflow-x: auto; }
@media (max-width: 480px) { .inside-folder { grid-template-columns: minmax(0, 1fr); gap: 0; } .inside-folder dd { margin-bottom: 8px; } }
`);
