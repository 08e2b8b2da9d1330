/** What other features may use of this one. */
export { QuarantineSheet } from "./components/quarantine-sheet.tsx";
