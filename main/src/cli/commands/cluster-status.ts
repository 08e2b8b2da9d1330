/** `wardline cluster status` and `wardline cluster list` */
import { toJson } from "@bufbuild/protobuf";
import { ClusterViewSchema } from "@wardline/api/wardline/console/v1/cluster";
import { type ClusterStatus, ClusterStatusSchema, MemberState } from "@wardline/api/wardline/v1/cluster";
import { labelOf } from "../../backend/hosts/managed-host.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { ClusterOptions } from "./cluster.options.ts";
import { withCluster } from "./cluster-target.ts";
import { isLed, setText, statusText, storeText } from "./cluster-view.ts";

/** Exit code 1 when the cluster as a whole cannot do its work, or says itself that something is wrong. */
export async function clusterStatus(output: Output, options: ClusterOptions): Promise<ExitCode> {
  return withCluster(options, async ({ status }) => {
    if (output.format === "json") output.json({ status: toJson(ClusterStatusSchema, status) });
    else output.text(statusText(status, output.style, Date.now()));
    return isWell(status) ? EXIT.done : EXIT.problems;
  });
}

function isWell(status: ClusterStatus): boolean {
  return isLed(status) && status.storeWritable && !status.stale && status.problems.length === 0;
}

/** Exit code 3 when a host could not be asked; what the others say is shown all the same. */
export async function clusterList(output: Output, options: CommonOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ backend }) => {
    const { clusters, registry } = backend;
    const failures = await clusters.askAll();
    const views = clusters.views();
    const named = (kind: "alone" | "outdated") => clusters.hostIds(kind).map((id) => labelOf(registry.byId(id)));
    const [alone, outdated] = [named("alone"), named("outdated")];
    if (output.format === "json") {
      output.json({
        clusters: views.map((view) => toJson(ClusterViewSchema, view)),
        ...{ hostsInNoCluster: alone, hostsWithOlderAgents: outdated },
      });
    } else {
      const rows = views.map(({ status, throughHostName, hostIds }) => [
        status?.clusterName ?? "",
        status && isLed(status) ? (status.currentTerm?.leader ?? "") : "nobody",
        String(status?.currentTerm?.number ?? ""),
        membersText(status),
        String(Object.keys(hostIds).length),
        status ? storeText(status) : "",
        setText(status?.head),
        throughHostName,
      ]);
      const header = ["CLUSTER", "LEADER", "TERM", "MEMBERS", "HERE", "STORE", "SET", "THROUGH"];
      output.text(rows.length > 0 ? formatTable(header, rows) : "No host of this console is in a cluster.\n");
      if (alone.length > 0) output.note(`In no cluster: ${visible(alone.join(", "))}`);
      if (outdated.length > 0) output.note(`Agent older than clusters: ${visible(outdated.join(", "))}`);
      for (const failure of failures) output.note(visible(failure.message));
    }
    return failures.length === 0 ? EXIT.done : EXIT.unreachable;
  });
}

function membersText(status: ClusterStatus | undefined): string {
  const members = status?.members ?? [];
  const healthy = members.filter(({ state }) => state === MemberState.HEALTHY).length;
  return healthy === members.length ? String(members.length) : `${members.length}, ${healthy} healthy`;
}
