import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import type { FileSummary } from "@wardline/api/wardline/console/v1/policies";
import { isConnected, isObserveOnly } from "../../../data/hosts-snapshot.ts";
import { formatCount, formatQuantity, visibleText } from "../../../ui/index.ts";

/** Enough to suggest from; a person may go on with fewer. */
export const ENOUGH_CONNECTIONS = 20;

/** Kinds that describe what is there; everything else decides something. */
const DESCRIBING_KINDS: ReadonlySet<string> = new Set(["Host", "Workload", "Service", "PolicyTest"]);

export type StepId = "agent" | "watch" | "draft" | "stage";
export type StepState = "done" | "now" | "later";

export interface Step {
  readonly id: StepId;
  readonly title: string;
  readonly text: string;
  readonly state: StepState;
}

export interface FirstRunFacts {
  readonly hosts: readonly Host[];
  readonly files: readonly FileSummary[];
  /** Connections that were recorded; `null` = not known yet. */
  readonly connections: number | null;
}

/** The way from nothing to a policy that is tried out. `null` = somebody went it already: some host has a generation. */
export function firstSteps({ hosts, files, connections }: FirstRunFacts): readonly Step[] | null {
  if (hosts.some(({ status }) => (status?.enforced?.number ?? 0n) > 0n)) return null;
  const host = hosts.find(({ local }) => local) ?? hosts[0];
  const policies = files.flatMap(({ documents }) => documents).filter(({ kind }) => !DESCRIBING_KINDS.has(kind)).length;
  const isHeard = host !== undefined && isConnected(host);
  const done: Record<StepId, boolean> = {
    agent: isHeard,
    watch: policies > 0 || (connections ?? 0) >= ENOUGH_CONNECTIONS,
    draft: policies > 0,
    stage: false,
  };
  const texts: Record<StepId, readonly [title: string, text: string]> = {
    agent: ["An agent that watches", agentText(host)],
    watch: ["What this machine does", watchText(connections)],
    draft: [
      "A first policy",
      policies > 0
        ? `${formatQuantity(policies, "policy", "policies")} in the workspace.`
        : "Take the smallest policy that covers what was seen, or begin with a sample. Either is a draft: nothing is applied.",
    ],
    stage: [
      "Try it without dropping anything",
      "In observe mode every packet passes, and Flows shows what would have been refused. Enforce when that list is what you want.",
    ],
  };
  const ids: readonly StepId[] = ["agent", "watch", "draft", "stage"];
  const current = ids.find((id) => !done[id]);
  return ids.map((id) => ({
    id,
    title: texts[id][0],
    text: texts[id][1],
    state: done[id] ? "done" : id === current ? "now" : "later",
  }));
}

function agentText(host: Host | undefined): string {
  if (!host) return "No host yet: add one, or start the agent on this machine.";
  const name = visibleText(host.name);
  if (!isConnected(host)) return `${name} does not answer. Hosts says why, and what to do.`;
  return isObserveOnly(host)
    ? `${name} answers. It can only observe: policies are checked and planned, nothing can be dropped.`
    : `${name} answers, and can enforce in its kernel.`;
}

function watchText(connections: number | null): string {
  if (connections === null) return "Asking how many connections were recorded.";
  if (connections === 0) return "Nothing was recorded yet. Use the machine as always: every new connection counts.";
  const seen = `${formatCount(connections)} ${connections === 1 ? "record" : "records"} of connections so far.`;
  return connections < ENOUGH_CONNECTIONS ? `${seen} A few minutes of usual work make better suggestions.` : seen;
}
