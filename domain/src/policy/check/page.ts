import { type DiagnosticDefinition, type DiagnosticExample, EXAMPLE_INVENTORY } from "./definition.ts";
import { runExample, unmark } from "./examples.ts";

const GROUPS = [
  ["WL1", "Syntax"],
  ["WL2", "Schema"],
  ["WL3", "Meaning"],
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
    "and notices do not. The examples are read together with this inventory:",
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
