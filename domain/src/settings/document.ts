/** The table of docs/settings.md, made from the table of settings. */
import { definitionOf, SETTING_KEYS } from "./table.ts";
import { describeRange } from "./values.ts";

export function settingsTableMarkdown(): string {
  const rows = SETTING_KEYS.map((key) => {
    const definition = definitionOf(key);
    const { type, help, needsRestart } = definition;
    const usual = type === "map" ? "none" : definition.default === "" ? "empty" : `\`${definition.default}\``;
    const text = `${help}${needsRestart ? " Counts from the next start on." : ""}`;
    return `| \`${key}\` | ${type} | ${usual} | ${cell(describeRange(definition))} | ${cell(text)} |`;
  });
  return ["| key | type | default | takes | what it does |", "|---|---|---|---|---|", ...rows].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
