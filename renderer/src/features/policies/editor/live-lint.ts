/** Shows the problems of the newest text as soon as they are known, without a detour over the page. */
import { setDiagnostics } from "@codemirror/lint";
import type { Extension } from "@codemirror/state";
import { ViewPlugin } from "@codemirror/view";
import type { CheckAnswer } from "@wardline/domain/policy/language";
import type { LanguageStore } from "./language-store.ts";
import { lintProblems } from "./lint-problems.ts";
import { wireProblemsOf } from "./wire.ts";

export function liveLint(store: LanguageStore, path: string): Extension {
  return ViewPlugin.define((view) => {
    let shown: CheckAnswer | null = null;
    const show = (): void => {
      const { path: current, check, isChecking } = store.getState();
      if (current !== path || isChecking || check === null || check === shown || !view.dom.isConnected) return;
      shown = check;
      const problems = lintProblems(view.state.doc, path, wireProblemsOf(check), store.client);
      view.dispatch(setDiagnostics(view.state, problems));
    };
    const unsubscribe = store.subscribe(() => queueMicrotask(show));
    queueMicrotask(show);
    return { destroy: unsubscribe };
  });
}
