import type { FindRulesResponse } from "@wardline/api/wardline/console/v1/ask";
import type { Command } from "../data/command-registry.ts";
import { useWindow } from "../data/window-store.ts";
import { visibleText } from "../ui/index.ts";

/** `default/web ingress[0]`, with where it stands and what it says. */
export function ruleCommands({ rules }: FindRulesResponse): readonly Command[] {
  return rules.map(({ policyKey, rule, meaning, file, line, column }) => ({
    // A file may say a policy twice while it is corrected.
    id: `rule:${file}:${line}:${policyKey}:${rule}`,
    group: "Rules",
    title: visibleText(`${policyKey.slice(policyKey.indexOf("/") + 1)} ${rule}`),
    detail: visibleText(`${file}:${line} · ${meaning}`),
    run: () => useWindow.getState().openFile(file, line, column),
  }));
}
