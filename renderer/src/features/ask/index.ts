/** What the window and other features use of questions. `useWindow.getState().openAsk(text)` asks one from anywhere. */
import { lazy } from "react";

export { DRAFT, useAsk } from "./model/ask-store.ts";

export const AskSheet = lazy(() => import("./components/ask-sheet.tsx"));
/** The answer in place, for the palette. */
export const AskOutcome = lazy(() => import("./components/palette-outcome.tsx"));
