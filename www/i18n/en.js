/** Every word that the page shows. A test holds index.html, the code and the other languages to this table. The page fetches its two halves, each when it is needed. */
import first from "./en/first.js";
import later from "./en/later.js";

export default { ...first, ...later };
