import { type Completion, type CompletionContext, type CompletionResult, snippet } from "@codemirror/autocomplete";
import type { CompletionItem } from "@wardline/domain/policy/language";
import { visibleText } from "../../../ui/index.ts";
import type { LanguageStore } from "./language-store.ts";

const TYPES: Record<CompletionItem["kind"], string> = {
  key: "property",
  word: "enum",
  label: "constant",
  name: "variable",
  port: "constant",
  address: "constant",
  snippet: "text",
};

/** Asks at every key: what fits depends on more than the letters of the word. */
export function completionSource(store: LanguageStore, path: string) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const before = context.matchBefore(/[^\s]*$/);
    const opensValue = context.matchBefore(/(: ?|- |[[{,] ?)$/) !== null;
    if (!context.explicit && !opensValue && (before === null || before.from === before.to)) return null;
    const answer = await store.client.ask("complete", { path, offset: context.pos }).catch(() => null);
    if (!answer || context.aborted) return null;
    const options = answer.items.map(toCompletion);
    const left = answer.total - answer.items.length;
    if (left > 0)
      options.push({
        label: "…",
        detail: `${left.toLocaleString("en")} more: type to narrow`,
        apply: () => {},
        type: "text",
      });
    return { from: answer.from, to: Math.max(answer.to, context.pos), options, filter: false };
  };
}

function toCompletion({ label, kind, detail, info, insert, isSnippet }: CompletionItem): Completion {
  return {
    label: visibleText(label),
    detail: visibleText(detail),
    type: TYPES[kind],
    apply: isSnippet ? snippet(numbered(insert)) : insert,
    ...(info === "" ? {} : { info: visibleText(info) }),
  };
}

/** Fields with a number each: two that say the same are two places to fill in. */
function numbered(text: string): string {
  let next = 0;
  return text.replace(/\$\{([^}]*)\}/g, (_whole, name: string) => {
    next += 1;
    return `\${${next}:${name}}`;
  });
}
