/** What other features may use of this one. */
import { lazy } from "react";

export { Problem } from "./components/problem.tsx";
export { Walkthrough } from "./components/walkthrough.tsx";
export { createPolicyFile } from "./model/new-file.ts";

/** Loaded when it is first shown: the editor's code comes with it. */
export const TextDiff = lazy(() => import("./components/text-diff.tsx"));
export { MeaningList } from "./history/meaning-list.tsx";

/** Two edits of one file side by side; loaded when it is first shown. */
export const MergeSheet = lazy(() => import("./merge/merge-sheet.tsx"));
