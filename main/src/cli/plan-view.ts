/** A plan for people: files, then who gains and who loses what on each host. */
import {
  type AccessChange,
  ChangeKind,
  type HostPlan,
  type PlanResponse,
  type PolicyTestResults,
} from "@wardline/api/wardline/console/v1/ship";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { fromWireDiagnostic } from "@wardline/domain/wire";
import { formatPort, formatProtocol } from "./input/port.ts";
import type { Output } from "./output.ts";
import { countDiagnostics, formatDiagnostics } from "./terminal/diagnostics.ts";
import { formatTable } from "./terminal/table.ts";
import { visible } from "./terminal/visible.ts";

const SIGNS: Partial<Record<ChangeKind, string>> = {
  [ChangeKind.ADDED]: "+",
  [ChangeKind.REMOVED]: "-",
  [ChangeKind.CHANGED]: "~",
};

export function formatPlan(output: Output, plan: PlanResponse, textOf: (file: string) => string | undefined): string {
  const { style } = output;
  const diagnostics = plan.diagnostics.map(fromWireDiagnostic);
  const parts: string[] = [];
  if (diagnostics.length > 0) {
    parts.push(formatDiagnostics(diagnostics, { style, textOf }), `${countDiagnostics(diagnostics)}\n`);
  }
  if (plan.fileChanges.length > 0) {
    const lines = plan.fileChanges.map((change) => `  ${SIGNS[change.kind] ?? " "} ${visible(change.path)}`);
    parts.push(`${style.bold("Files")}\n${lines.join("\n")}\n`);
  }
  if (plan.tests) parts.push(...formatTests(output, plan.tests));
  for (const host of plan.hosts) parts.push(formatHostPlan(output, host));
  return parts.join("\n");
}

/** Nothing where there is no test. */
function formatTests({ style }: Output, tests: PolicyTestResults): string[] {
  const { heldCount, failedCount, vacuousCount, failed, failedLeftOut } = tests;
  if (heldCount + failedCount + vacuousCount === 0) return [];
  const empty = vacuousCount > 0 ? `, ${vacuousCount} about nobody` : "";
  const failures = failedCount > 0 ? style.red(`${failedCount} failed`) : "0 failed";
  const lines = [`${style.bold("Policy tests")}: ${heldCount} hold, ${failures}${empty}`];
  for (const { name, expect, because, explanation, source } of failed) {
    const place = source ? style.dim(` (${visible(source.file)}:${source.line})`) : "";
    lines.push(
      `  ${style.red("FAILS")} ${visible(name)} expects ${expect === Verdict.ALLOW ? "allow" : "deny"}${place}`,
    );
    if (because !== "") lines.push(`    because: ${visible(because)}`);
    lines.push(`    ${visible(explanation)}`);
  }
  if (failedLeftOut > 0) lines.push(`  … and ${failedLeftOut} more that failed (wardline policy test)`);
  if (failedCount > 0) lines.push("  An apply needs --override-tests with a reason.");
  return [`${lines.join("\n")}\n`];
}

function formatHostPlan(output: Output, host: HostPlan): string {
  const { style } = output;
  const number = host.current?.number ?? 0n;
  const current = number === 0n ? "nothing is in force yet" : `generation ${number} is in force`;
  const head = `${style.bold(`Host ${visible(host.hostName || host.hostId)}`)} (${current})\n`;
  if (host.error) {
    const hint = host.error.hint ? `\n  ${visible(host.error.hint)}` : "";
    return `${head}  ${style.red("cannot be planned for:")} ${visible(host.error.message)}${hint}\n`;
  }
  if (host.unchanged) return `${head}  No change: the same rules are in force already.\n`;
  const policies = `${host.policyCount} ${host.policyCount === 1 ? "policy" : "policies"}`;
  const summary = `  ${policies}, ${host.ruleCount} ${host.ruleCount === 1 ? "rule" : "rules"}\n`;
  if (host.accessChanges.length === 0) return `${head}${summary}  No access changes.\n`;
  const rows = host.accessChanges.map((change) => formatChange(output, change));
  const table = formatTable(["  ", "SUBJECT", "DIRECTION", "PEER", "PORT", "DECIDED BY", "RECENT FLOWS"], rows);
  const more = host.accessChangesLeftOut > 0 ? `  … and ${host.accessChangesLeftOut} more changes\n` : "";
  return `${head}${summary}${table}${more}`;
}

function formatChange({ style }: Output, change: AccessChange) {
  const gains = change.newVerdict === Verdict.ALLOW;
  const paint = gains ? style.green : style.red;
  const names = change.peerNames.length > 0 ? ` (${change.peerNames.join(", ")})` : "";
  return [
    { text: gains ? "  + allow" : "  - deny", paint },
    change.subjectKey,
    change.direction === Direction.INGRESS ? "in from" : "out to",
    `${change.peer}${names}`,
    formatPorts(change),
    change.decision?.summary ?? "",
    change.recordedFlows > 0n ? String(change.recordedFlows) : "",
  ];
}

function formatPorts({ protocol, exceptProtocols, portLow, portHigh }: AccessChange): string {
  if (protocol === 0)
    return exceptProtocols.length === 0 ? "any" : `any but ${exceptProtocols.map(formatProtocol).join(", ")}`;
  const low = formatPort(protocol, portLow);
  if (portLow === portHigh) return low;
  if (portLow === 0 && portHigh === 65_535) return `any ${low.slice(low.indexOf("/") + 1)}`;
  return `${portLow}-${formatPort(protocol, portHigh)}`;
}
