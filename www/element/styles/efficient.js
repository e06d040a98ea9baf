/** The chapter that compares LoRA with full fine-tuning. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.race { display: grid; gap: 14px; grid-template-columns: minmax(0, 1fr); }
.race .curve { min-height: 260px; }
.race .legend { gap: 4px 16px; }
.race .legend .lora-heldOut::before { border-top: 3px solid var(--accent); }
.race .legend .lora-loss::before { border-top: 1px solid var(--accent); }
.race .legend .full-heldOut::before { border-top: 3px dashed var(--muted); }
.race .legend .full-loss::before { border-top: 1px dashed var(--muted); }
.race table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 14px; line-height: 1.4; }
.race :is(th, td) { padding: 10px 8px 10px 0; text-align: start; vertical-align: top; border-top: 1px solid var(--line); font-weight: 400; overflow-wrap: anywhere; }
.race thead :is(th, td) { border-top: 0; padding-block: 0 6px; font-weight: 600; }
.race thead .of-lora { color: var(--accent); }
.race th .about { display: block; font-size: 12px; line-height: 1.35; }
.race td .figure { display: block; font-weight: 500; }
.race .field { max-width: 280px; }
.square { display: block; width: 88px; max-width: 100%; margin-bottom: 4px; }
.square.of-lora rect { fill: var(--accent); }
.square.of-full rect { fill: var(--edge); }
.square .moments { opacity: 0.55; }
@media (min-width: 480px) { .race thead td { width: 44%; } }
/* A name above its two values instead of beside them. */
@media (max-width: 479px) {
  .race tr { display: grid; grid-template-columns: 1fr 1fr; }
  .race thead td { display: none; }
  .race th[scope="row"] { grid-column: 1 / -1; padding-bottom: 0; }
  .race tbody td { border-top: 0; padding-top: 4px; }
  .race tbody td:has(svg) { padding-top: 10px; }
}
@media (forced-colors: active) { .square { forced-color-adjust: none; } }
`);
