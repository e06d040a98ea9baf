/** The worker as a script that starts by itself, for bundlers, which want one of their own making: see docs/embedding.md. */

import { serve } from "./worker.js";

serve(/** @type {import("./worker.js").Scope} */ (/** @type {unknown} */ (self)));
