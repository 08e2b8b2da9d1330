/** What other features may use of this one. */
export { hostState } from "./components/host-card.tsx";
