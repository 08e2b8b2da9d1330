import { type DiagnosticDefinition, type DiagnosticExample, EXAMPLE_INVENTORY } from "./definition.ts";
import { fixedExample, runExample, unmark } from "./examples.ts";

const GROUPS = [
  ["WL1", "Syntax"],
  ["WL2", "Schema"],
  ["WL3", "Meaning"],
  ["WL4", "Risk"],
] as const;

/** docs/diagnostics.md: every code with its example and what the check says about it. */
export function renderDiagnosticsPage(definitions: Readonly<Record<string, DiagnosticDefinition>>): string {
  const parts = [
    "# Diagnostics",
    "",
    "<!-- Written from domain/src/policy/check by its test; run it with UPDATE_DOCS=1 after a change there. -->",
    "",
    "Everything that checking policy files can report, with an example that triggers it. Codes are stable: editor,",
    "command line and API use the same ones, and a code is never used for something else. Errors block an apply; warnings",
    "and notices do not. Where a fix is shown, editor and command line can make it. The examples are read together with this inventory:",
    "",
    fenced(EXAMPLE_INVENTORY),
    "",
  ];
  for (const [prefix, title] of GROUPS) {
    parts.push(`## ${title}`, "");
    for (const [code, definition] of Object.entries(definitions)) {
      if (code.startsWith(prefix)) parts.push(...renderDefinition(code, definition));
    }
  }
  return `${parts.join("\n").trimEnd()}\n`;
}

function renderDefinition(code: string, definition: DiagnosticDefinition): readonly string[] {
  const { title, severity, meaning, remedy, example } = definition;
  const [reported] = runExample(example);
  const place = reported ? `${reported.source.line}:${reported.source.column}` : "";
  return [
    `### ${code}: ${title}`,
    "",
    `*${severity}.* ${meaning}`,
    "",
    `**What to do:** ${remedy}`,
    "",
    ...renderExample(example),
    "",
    `> ${place} ${reported?.message ?? ""}`,
    "",
    ...renderFix(example),
  ];
}

function renderExample(example: DiagnosticExample): readonly string[] {
  if ("bytes" in example) {
    const hex = example.bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return [`Bytes \`${hex}\`: ${example.description}.`];
  }
  const { limits } = example;
  const note = limits ? [`With the limit ${limitsText(limits)} for the sake of the example:`, ""] : [];
  return [...note, fenced(visible(unmark(example.text).text))];
}

/** The lines that the fix changes, before and after. */
function renderFix(example: DiagnosticExample): readonly string[] {
  const fixed = fixedExample(example);
  if (!fixed) return [];
  const changed = fixed.before.flatMap((file, index) => {
    const after = fixed.after[index]!;
    return after.text === file.text ? [] : [changedLines(file.text.split("\n"), after.text.split("\n"))];
  });
  return [`**Fix:** ${fixed.title}`, "", "```diff", ...changed.flat(), "```", ""];
}

function changedLines(before: readonly string[], after: readonly string[]): readonly string[] {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start += 1;
  let end = 0;
  const shorter = Math.min(before.length, after.length) - start;
  while (end < shorter && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  const removed = before.slice(start, before.length - end).map((line) => visible(`-${line}`));
  const added = after.slice(start, after.length - end).map((line) => visible(`+${line}`));
  return [...removed, ...added];
}

function limitsText(limits: object): string {
  return Object.entries(limits)
    .map(([name, value]) => `${name} = ${value}`)
    .join(", ");
}

/** Control characters as pictures, so that the page itself is clean text. */
function visible(text: string): string {
  return [...text]
    .map((character) => {
      const code = character.codePointAt(0)!;
      return code < 0x20 && character !== "\n" ? String.fromCodePoint(0x2400 + code) : character;
    })
    .join("");
}

function fenced(text: string): string {
  return `\`\`\`yaml\n${text.trimEnd()}\n\`\`\``;
}
