import type { Extension } from "@codemirror/state";
import { hoverTooltip } from "@codemirror/view";
import { visibleText } from "../../../ui/index.ts";
import type { LanguageStore } from "./language-store.ts";

/** What the thing under the pointer means, and what it does now. */
export function hoverExtension(store: LanguageStore, path: string): Extension {
  return hoverTooltip(
    async (view, position) => {
      const text = view.state.doc;
      const answer = await store.client.ask("hover", { path, offset: position }).catch(() => null);
      // A text that was changed meanwhile has other places.
      if (!answer || view.state.doc !== text) return null;
      return {
        pos: answer.from,
        end: Math.min(answer.to, text.length),
        above: true,
        create: () => ({ dom: hoverCard(answer.title, answer.meaning, answer.now) }),
      };
    },
    { hoverTime: 350 },
  );
}

export function hoverCard(title: string, meaning: readonly string[], now: readonly string[]): HTMLElement {
  const card = document.createElement("div");
  card.className = "hover-card";
  const add = (tag: string, className: string, text: string): void => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = visibleText(text);
    card.append(element);
  };
  add("code", "hover-title", title);
  for (const line of now) add("p", "hover-now", line);
  for (const line of meaning) add("p", "hover-meaning", line);
  return card;
}
