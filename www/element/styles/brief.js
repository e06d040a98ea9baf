/** What the small views look like. */

import { sheet } from "./sheet.js";

export default sheet(/* css */ `
/* one card instead of three; what would not fit into a narrow one is left to the full view */
.brief { padding: 18px; border: 1px solid var(--line); border-radius: 18px; background: var(--card); display: flex; flex-direction: column; gap: 16px; }
/* In the card's own margin, where it takes no room: nothing moves when it goes. */
.status:not([data-view="full"]) .loading { position: absolute; inset: 1px 20px auto; margin: 0; max-width: none; text-align: end; }
.status:not([data-view="full"]) .loading p { font-size: 12px; line-height: 16px; }
.status:not([data-view="full"]) .loading .progress { position: absolute; inset: 0 0 auto; height: 2px; margin: 0; }
.brief > .card { padding: 0; border: 0; border-radius: 0; background: none; display: flex; flex-direction: column; gap: 14px; }
.brief .sampling, .brief .preview, .brief .data > .small, .brief .choice .about { display: none; }
.brief .choices { display: flex; flex-wrap: wrap; gap: 6px; }
.brief .choice { padding: 7px 13px; }
.brief .panes { grid-template-columns: repeat(auto-fit, minmax(min(100%, 220px), 1fr)); }
.brief .pane { min-height: 150px; padding: 12px 14px 14px; }
/* As high as the story that is about to be told: what stands below it is not pushed down line by line. */
.brief .pane.base { min-height: 390px; }
.brief .story, .brief .pane .empty { font-size: 16px; }
.training { display: grid; gap: 10px; }
.training .primary { min-height: 44px; border-radius: 22px; font-size: 16px; }
.training .line { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 16px; min-height: 20px; }
/* Where both do not fit beside each other, the second has its line from the beginning. */
@media (max-width: 480px) { .training .line { align-content: start; min-height: 40px; } }
`);
