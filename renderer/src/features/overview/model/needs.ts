import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { FileState, type FileSummary } from "@wardline/api/wardline/console/v1/policies";
import { failureFromDetail } from "../../../data/failure.ts";
import { isConnected, isObserveOnly, REACHABILITY_NAMES } from "../../../data/hosts-snapshot.ts";
import { formatQuantity, type NoticeTone, visibleText } from "../../../ui/index.ts";

/** One thing that waits for a person: what happened, what to do, and where. */
export interface Need {
  readonly id: string;
  readonly tone: NoticeTone;
  readonly title: string;
  readonly text: string;
  readonly next: string;
  readonly code: string;
  readonly action: { readonly label: string; readonly kind: "file" | "host" | "ship"; readonly target: string };
}

/** Needs in order of harm: hosts that are not heard, problems of a host, files with errors, hosts that only observe. */
export function listNeeds(hosts: readonly Host[], files: readonly FileSummary[]): Need[] {
  return [
    ...hosts.filter((host) => !isConnected(host)).map(unreachable),
    ...hosts.flatMap((host) =>
      (host.status?.problems ?? []).map((problem, index) => hostProblem(host, problem, index)),
    ),
    ...files.filter((file) => file.errorCount > 0).map(brokenFile),
    ...hosts.filter((host) => isConnected(host) && isObserveOnly(host)).map(observing),
    ...draftsNotApplied(files),
  ];
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
