/** Inventory files: ours, Ansible's in YAML and INI, and plain lines. Pure, bounded, and never throws. */
import { DiagnosticSink } from "../../policy/check/sink.ts";
import { DEFAULT_READ_LIMITS } from "../../policy/yaml/limits.ts";
import { LineIndex } from "../../policy/yaml/line-index.ts";
import type { YamlNode } from "../../policy/yaml/node.ts";
import { readYaml } from "../../policy/yaml/read-yaml.ts";
import { Reporter } from "../../policy/yaml/reporter.ts";
import { wholeText } from "../../policy/yaml/split.ts";
import { reportBadCharacters } from "../../policy/yaml/syntax-errors.ts";
import { readAnsibleIni } from "./ansible-ini.ts";
import { readAnsibleYaml } from "./ansible-yaml.ts";
import { HostBuilder } from "./host-builder.ts";
import { readLines } from "./lines.ts";
import { INVENTORY_LIMITS, type InventoryFormat, InventoryProblems, type InventoryReading } from "./model.ts";
import { WardlineInventoryReader } from "./wardline-yaml.ts";

export * from "./model.ts";
export * from "./values.ts";

/** Reads what a file would add. `name` is the file's name: with the content it tells the format. */
export function readInventory(name: string, text: string): InventoryReading {
  const problems = new InventoryProblems(name, text.length <= INVENTORY_LIMITS.maxLength ? text : "");
  if (text.length > INVENTORY_LIMITS.maxLength) {
    problems.report("WL505", 1, "The file has more than 1 MiB; it is not read.");
    return { format: "lines", hosts: [], diagnostics: problems.finish([]) };
  }
  const kind = kindOf(name, text);
  if (kind === "yaml") return readYamlInventory(name, text, problems);
  const builder = new HostBuilder(problems);
  if (kind === "ansible-ini") readAnsibleIni(text, builder, problems);
  else readLines(text, builder, problems);
  return { format: kind, hosts: builder.hosts, diagnostics: problems.finish([]) };
}

/** The ending says most; a file without one is looked at. */
function kindOf(name: string, text: string): "yaml" | "ansible-ini" | "lines" {
  if (/\.(ya?ml|json)$/i.test(name)) return "yaml";
  if (/\.(ini|cfg)$/i.test(name)) return "ansible-ini";
  const lines = text.split("\n", 2_000).map((line) => line.trim());
  const meant = lines.filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith(";"));
  const first = meant[0] ?? "";
  if (first === "---" || first.startsWith("{") || /^[\w.-]+:(\s|$)/.test(first)) return "yaml";
  const isIni = meant.some((line) => isSection(line) || /\s\w+=/.test(line));
  return isIni ? "ansible-ini" : "lines";
}

/** `[web]` and not `[2001:db8::1]:22`. */
function isSection(line: string): boolean {
  const [, content] = /^\[([^\]]{1,200})\]/.exec(line) ?? [];
  return content !== undefined && (/^[^:]+(:\w*[g-z]\w*)?$/.test(content) || !content.includes(":"));
}

function readYamlInventory(name: string, text: string, problems: InventoryProblems): InventoryReading {
  const index = new LineIndex(name, text);
  const sink = new DiagnosticSink(INVENTORY_LIMITS.maxDiagnostics);
  const report = new Reporter(sink, index);
  const clean = reportBadCharacters(text, report);
  const limits = { ...DEFAULT_READ_LIMITS, maxDocumentsPerFile: 1 };
  const { roots } = readYaml(wholeText(clean), report, limits, limits.maxFullParserTokensPerFile, false);
  const lineOf = (node: { readonly start: number; readonly end: number }) => index.range(node).line;
  const [root] = roots;
  const format: InventoryFormat = root && isOurs(root) ? "wardline" : "ansible-yaml";
  const finish = (builder: HostBuilder) => ({
    format,
    hosts: builder.hosts,
    diagnostics: problems.finish(sink.finish(new Map([[name, 0]]))),
  });
  if (!root) {
    if (report.errorCount === 0) problems.report("WL501", 1, "The file names no hosts.");
    return finish(new HostBuilder(problems));
  }
  if (format === "ansible-yaml") {
    const builder = new HostBuilder(problems);
    if (root.kind === "map") readAnsibleYaml(root, lineOf, builder, problems);
    else
      problems.report(
        "WL501",
        lineOf(root),
        "The file is neither a list of hosts of ours nor an inventory of Ansible.",
      );
    return finish(builder);
  }
  const reader = new WardlineInventoryReader(root, lineOf, problems);
  const builder = new HostBuilder(problems, reader.colors());
  reader.readHosts(builder);
  return finish(builder);
}

/** Ansible's top level holds groups, which are mappings; ours has a list of hosts, or says what it is. */
function isOurs(root: YamlNode): boolean {
  if (root.kind !== "map") return false;
  return root.entries.some(
    ({ key, value }) =>
      (key === "kind" && value.kind === "scalar") ||
      (key === "apiVersion" && value.kind === "scalar") ||
      (key === "hosts" && value.kind === "list"),
  );
}
