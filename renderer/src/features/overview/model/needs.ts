import type { Anomaly } from "@wardline/api/wardline/console/v1/anomalies";
import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import type { MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import { FileState, type FileSummary } from "@wardline/api/wardline/console/v1/policies";
import { MemberState, SetState, SyncState } from "@wardline/api/wardline/v1/cluster";
import { HealingState } from "@wardline/api/wardline/v1/mesh";
import { failureFromDetail } from "../../../data/failure.ts";
import { isConnected, isObserveOnly, REACHABILITY_NAMES } from "../../../data/hosts-snapshot.ts";
import { formatQuantity, type NoticeTone, visibleText } from "../../../ui/index.ts";
import { candidateSentence, escalationText, waitingRuns } from "../../mesh/index.ts";

/** One thing that waits for a person: what happened, what to do, and where. */
export interface Need {
  readonly id: string;
  readonly tone: NoticeTone;
  readonly title: string;
  readonly text: string;
  readonly next: string;
  readonly code: string;
  readonly action: {
    readonly label: string;
    readonly kind: "file" | "host" | "ship" | "cluster" | "finding" | "mesh" | "healing";
    readonly target: string;
  };
}

/** Most findings that the overview lists; the Anomalies view has all. */
const MOST_FINDINGS = 5;

/** Needs in order of harm: open findings of high severity, faults of the mesh that wait for a word or did not heal, sets and members of clusters, hosts that are not heard, problems of a host, files with errors, hosts that only observe. */
export function listNeeds(
  hosts: readonly Host[],
  files: readonly FileSummary[],
  clusters: readonly ClusterView[] = [],
  findings: readonly Anomaly[] = [],
  mesh: MeshSummary | null = null,
): Need[] {
  return [
    ...ofFindings(findings),
    ...ofMesh(mesh),
    ...clusters.flatMap(ofCluster),
    ...hosts.filter((host) => !isConnected(host)).map(unreachable),
    ...hosts.flatMap((host) =>
      (host.status?.problems ?? []).map((problem, index) => hostProblem(host, problem, index)),
    ),
    ...files.filter((file) => file.errorCount > 0).map(brokenFile),
    ...hosts.filter((host) => isConnected(host) && isObserveOnly(host)).map(observing),
    ...draftsNotApplied(files),
  ];
}

function ofFindings(findings: readonly Anomaly[]): Need[] {
  const shown = findings.slice(0, MOST_FINDINGS).map(({ hostId, finding }): Need => {
    const id = finding?.id ?? "";
    return {
      id: `finding:${hostId}:${id}`,
      tone: "deny",
      title: visibleText(finding?.sentence ?? ""),
      text: finding?.host ?? "",
      next: "",
      code: "",
      action: { label: "Look at it", kind: "finding", target: id },
    };
  });
  const more = findings.length - shown.length;
  const last = shown.at(-1);
  return more > 0 && last
    ? [
        ...shown.slice(0, -1),
        { ...last, next: `${formatQuantity(more, "more finding waits", "more findings wait")} in Anomalies.` },
      ]
    : shown;
}

/** Most faults of the mesh that the overview lists; the Mesh view has all. */
const MOST_RUNS = 5;

/** Repairs that wait for a word, faults that did not heal, and nodes that cannot both be who they say they are. */
function ofMesh(mesh: MeshSummary | null): Need[] {
  const waiting = waitingRuns(mesh);
  const more = waiting.length - MOST_RUNS;
  const runs = waiting.slice(0, MOST_RUNS).flatMap(({ hostId, run }): Need[] => {
    if (!run) return [];
    const isWaiting = run.state === HealingState.WAITING_FOR_APPROVAL;
    const best = run.candidates.find(({ heldBack }) => heldBack === "");
    return [
      {
        id: `healing:${hostId}:${run.id}`,
        tone: isWaiting ? "observed" : "deny",
        title: visibleText(run.cause),
        text: isWaiting
          ? `A repair waits for your word${best ? `: ${candidateSentence(best)}` : ""}.`
          : `${escalationText(run)}. A person has to look.`,
        next: more > 0 ? `${formatQuantity(more, "more fault waits", "more faults wait")} in Mesh.` : "",
        code: "",
        action: { label: isWaiting ? "Look and decide" : "Look at it", kind: "healing", target: run.id },
      },
    ];
  });
  const problems = (mesh?.problems ?? []).map(
    (problem): Need => ({
      id: `mesh:${problem}`,
      tone: "deny",
      title: "The mesh is not what it says",
      text: problem,
      next: "",
      code: "",
      action: { label: "Open the mesh", kind: "mesh", target: "" },
    }),
  );
  return [...runs, ...problems];
}

function unreachable(host: Host): Need {
  const failure = host.problem ? failureFromDetail(host.problem) : null;
  return {
    id: `host:${host.id}`,
    tone: "deny",
    title: `${visibleText(host.name)}: ${REACHABILITY_NAMES[host.reachability]}`,
    text: failure?.message ?? "The host did not say why.",
    next: failure?.hint ?? "It is tried again by itself.",
    code: failure?.code ?? "",
    action: { label: "Open the host", kind: "host", target: host.id },
  };
}

function hostProblem(host: Host, problem: string, index: number): Need {
  return {
    id: `problem:${host.id}:${index}`,
    tone: "deny",
    title: `${visibleText(host.name)} reports a problem`,
    text: problem,
    next: "",
    code: "",
    action: { label: "Open the host", kind: "host", target: host.id },
  };
}

function brokenFile(file: FileSummary): Need {
  return {
    id: `file:${file.path}`,
    tone: "deny",
    title: `${visibleText(file.path)} has ${formatQuantity(file.errorCount, "error")}`,
    text: "The workspace cannot be applied until they are mended. What is enforced does not change.",
    next: "",
    code: "",
    action: { label: "Open the file", kind: "file", target: file.path },
  };
}

/** Drafts that differ from what this machine enforces wait for a decision, unless errors must be mended first. */
function draftsNotApplied(files: readonly FileSummary[]): Need[] {
  const waiting = files.filter(
    (file) => file.state === FileState.NEW || file.state === FileState.CHANGED || file.state === FileState.DELETED,
  );
  if (waiting.length === 0 || files.some((file) => file.errorCount > 0)) return [];
  return [
    {
      id: "drafts",
      tone: "info",
      title: `${formatQuantity(waiting.length, "file differs", "files differ")} from what this machine enforces`,
      text:
        waiting
          .slice(0, 4)
          .map((file) => file.path)
          .join(", ") + (waiting.length > 4 ? ` and ${waiting.length - 4} more` : ""),
      next: "Review what would change, for whom, and apply when you are ready.",
      code: "",
      action: { label: "Review and apply", kind: "ship", target: "" },
    },
  ];
}

function observing(host: Host): Need {
  return {
    id: `observe:${host.id}`,
    tone: "observed",
    title: `${visibleText(host.name)} only observes: nothing is enforced`,
    text: host.status?.info?.backendReason ?? "",
    next: "Policies can be written, checked and explained; applying needs an agent that can load programs into the kernel.",
    code: "OBSERVE_ONLY",
    action: { label: "See what is missing", kind: "host", target: host.id },
  };
}

const OPEN_CLUSTER = { label: "Open the cluster", kind: "cluster", target: "" } as const;

/** A set that waits for a word, a store without majority, members that are gone, hosts that did not take the set. */
function ofCluster({ status }: ClusterView): Need[] {
  if (!status) return [];
  const name = visibleText(status.clusterName);
  const needs: Need[] = [];
  const add = (id: string, tone: NoticeTone, title: string, text: string, next: string) =>
    needs.push({ id: `cluster:${status.clusterName}:${id}`, tone, title, text, next, code: "", action: OPEN_CLUSTER });
  if (status.head?.state === SetState.PENDING) {
    const { setNumber, reason, author } = status.head;
    const next = "Keep it or take it back; without a word every host returns by itself.";
    add("pending", "observed", `Set ${setNumber} of ${name} waits for confirmation`, `${reason} · ${author}`, next);
  }
  if (!status.storeWritable) {
    const text = "The store of the cluster has no majority or is out of reach.";
    add("store", "deny", `Nothing can be written to ${name}`, text, "Every host goes on enforcing what it enforces.");
  }
  for (const { record, state, report } of status.members) {
    const member = visibleText(record?.name ?? "");
    if (state === MemberState.GONE)
      add(`gone:${record?.name}`, "deny", `${member} is gone from ${name}`, "It is not heard from any more.", "");
    if (report?.state === SyncState.REFUSED || report?.state === SyncState.ROLLED_BACK)
      add(
        `refused:${record?.name}`,
        "deny",
        `${member} did not take set ${report.seenSetNumber} of ${name}`,
        report.problem?.message ?? "",
        report.problem?.hint ?? "",
      );
  }
  return needs;
}
