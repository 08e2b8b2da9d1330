/** What other features may use of this one. */
export { candidateSentence } from "./model/healing-words.ts";
export { escalationText, waitingRuns } from "./model/needs.ts";
