/** What other features may use of this one. */
export { FirstRunGuide } from "./components/first-run-guide.tsx";
