/** What other features may use of this one. */
export { HostJobSteps } from "./components/host-job-steps.tsx";
export { JobCard } from "./components/job-card.tsx";
export { QuestionsSheet } from "./components/questions-sheet.tsx";
