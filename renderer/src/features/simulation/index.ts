/** What other features may use of this one. */
export { SuggestionsSheet } from "./components/suggestions-sheet.tsx";
