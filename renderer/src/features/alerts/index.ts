/** What other features may use of this one. */
export { AlertsTab } from "./components/alerts-tab.tsx";
