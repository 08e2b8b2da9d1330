/** What other features may use of this one. */
export { openFindings, worstOpen } from "./model/open.ts";
