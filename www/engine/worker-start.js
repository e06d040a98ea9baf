/** Entry point for bundlers that build the worker themselves: starts to serve when it is loaded. docs/embedding.md shows how. */

import { serve } from "./worker.js";

serve(/** @type {import("./worker.js").Scope} */ (/** @type {unknown} */ (self)));
