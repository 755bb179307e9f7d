/** The script that interactive figures carry, or that a page has once. */
import { enliven } from "./enliven.js";

/**
 * `enliven` as text, run on the page. Some tools that compile for the server wrap functions in a call of `__name`, which
 * pages do not have.
 */
export const PAGE_SCRIPT = `(function(){const __name=function(f){return f};(${enliven.toString()})(document)})();`;
