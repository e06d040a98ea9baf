/** Below the three steps: chapters, each with its words on the left and what it shows on the right. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
.under { margin: 64px 0 20px; font-size: clamp(26px, 2.6vw, 34px); letter-spacing: -0.012em; text-wrap: balance; }
.chapter { margin-top: 20px; display: grid; grid-template-columns: minmax(0, 1fr); gap: 18px clamp(24px, 4vw, 56px); padding: clamp(18px, 2.6vw, 36px); scroll-margin-top: 12px; }
.chapter > header { display: block; }
.chapter > header p { margin-top: 8px; max-width: 60ch; font-size: 15px; }
.chapter > header :is(h2, h3) { font-size: clamp(22px, 2vw, 27px); line-height: 1.2; letter-spacing: -0.008em; text-wrap: balance; }
.chapter > .body { min-width: 0; }
@media (min-width: 900px) { .chapter { grid-template-columns: minmax(220px, 290px) minmax(0, 1fr); } }
/* Room is kept until the chapter is built, about as much as it will need, so that nothing jumps under whoever is faster than the network. */
.chapter:not([data-built]) > .body { min-height: 380px; }
.chapter[part="parameters"]:not([data-built]) > .body { min-height: 720px; }
.chapter[part="efficient"]:not([data-built]) > .body { min-height: 910px; }
.chapter[part="code"]:not([data-built]) > .body { min-height: 2900px; }
@media (max-width: 600px) {
  .chapter:not([data-built]) > .body { min-height: 640px; }
  .chapter[part="parameters"]:not([data-built]) > .body { min-height: 1000px; }
  .chapter[part="proof"]:not([data-built]) > .body { min-height: 800px; }
  .chapter[part="efficient"]:not([data-built]) > .body { min-height: 1110px; }
  .chapter[part="inside"]:not([data-built]) > .body { min-height: 380px; }
  .chapter[part="code"]:not([data-built]) > .body { min-height: 5700px; }
}
`);
