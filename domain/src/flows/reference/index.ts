/** What texts of a query match, without the language: threads start without its parser. */
export { foldCase, hasPorts, matchesPattern } from "../match.ts";
