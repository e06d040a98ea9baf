/** Every word that the page shows, in Hindi: the keys of en.js. The page fetches the two halves, each when it is needed. */
import first from "./hi/first.js";
import later from "./hi/later.js";

export default { ...first, ...later };
