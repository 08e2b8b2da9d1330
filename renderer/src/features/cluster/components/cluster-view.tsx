import type { ClusterView as Cluster } from "@wardline/api/wardline/console/v1/cluster";
import { Network } from "lucide-react";
import { useState } from "react";
import { useActivity, useConsoleNow } from "../../../data/context.tsx";
import { failureFromDetail } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import {
  Button,
  EmptyState,
  FailureNotice,
  formatAge,
  formatQuantity,
  Moment,
  Notice,
  Select,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import { ClusterHeader } from "./cluster-header.tsx";
import { CreateCluster } from "./create-cluster.tsx";
import { DesiredSection } from "./desired-section.tsx";
import { DocumentSection } from "./document-section.tsx";
import { LeaderTimeline } from "./leader-timeline.tsx";
import { MemberTable } from "./member-table.tsx";
import { NotesSection } from "./notes-section.tsx";
import { StoreSection } from "./store-section.tsx";
import "./cluster-view.css";

/** Members, who leads and led, the desired set against what hosts enforce, and the store under it. */
export default function ClusterView() {
  const { clusters, unclusteredHostIds, outdatedHostIds } = useActivity();
  const [chosen, setChosen] = useState("");
  const [isCreating, setCreating] = useState(false);
  if (clusters === null) return <Skeleton rows={12} label="Asking the hosts for their cluster" />;
  const cluster = clusters.find(({ status }) => status?.clusterName === chosen) ?? clusters[0];
  const create = isCreating ? <CreateCluster hostIds={unclusteredHostIds} onDone={() => setCreating(false)} /> : null;
  if (!cluster?.status) {
    return (
      <>
        <EmptyState
          picture={<Network size={44} />}
          title="No cluster"
          action={
            <Button tone="primary" isDisabled={unclusteredHostIds.length === 0} onPress={() => setCreating(true)}>
              Make a cluster…
            </Button>
          }
        >
          {unclusteredHostIds.length === 0 && outdatedHostIds.length > 0
            ? `${formatQuantity(outdatedHostIds.length, "agent is", "agents are")} older than clusters: upgrade first, in Hosts.`
            : unclusteredHostIds.length === 0
              ? "No agent that could form a cluster is reachable: add hosts, or look at why they are not connected."
              : "A cluster keeps one agreed set of policies for its hosts, brings hosts that were away up to date, and survives the loss of any node. Until then every host is changed by itself."}
        </EmptyState>
        {create}
      </>
    );
  }
  return (
    <article className="cluster scroll" aria-label={`Cluster ${visibleText(cluster.status.clusterName)}`}>
      {clusters.length > 1 ? (
        <Select
          label="Cluster"
          value={cluster.status.clusterName}
          onChange={setChosen}
          choices={clusters.map(({ status }) => ({
            value: status?.clusterName ?? "",
            label: visibleText(status?.clusterName ?? ""),
          }))}
        />
      ) : null}
      <ClusterHeader cluster={cluster} joinableHostIds={unclusteredHostIds} />
      <Standing cluster={cluster} />
      <DesiredSection cluster={cluster} />
      <MemberTable cluster={cluster} />
      <LeaderTimeline status={cluster.status} />
      <DocumentSection cluster={cluster} />
      <div className="cluster-columns">
        <StoreSection status={cluster.status} />
        <NotesSection cluster={cluster} />
      </div>
      {create}
    </article>
  );
}

/** How far what is shown can be trusted: through whom it was read, when, and what is wrong. */
function Standing({ cluster }: { cluster: Cluster }) {
  const nowMs = useConsoleNow();
  const { status } = cluster;
  const readMs = optionalMs(status?.readAt);
  return (
    <>
      {cluster.problem ? (
        <FailureNotice failure={failureFromDetail(cluster.problem)} title="Nothing newer is known of this cluster" />
      ) : null}
      {status && !status.storeWritable ? (
        <Notice tone="deny">
          <strong>Nothing can be written: the store has no majority or is out of reach.</strong> Every host goes on
          enforcing what it enforces.
        </Notice>
      ) : null}
      {status?.stale ? (
        <Notice tone="unknown">
          What is shown was read{" "}
          {readMs === null ? (
            "at an unknown time"
          ) : (
            <>
              at <Moment timeMs={readMs} form="full" />
            </>
          )}
          {readMs === null ? "" : `, ${formatAge(nowMs - readMs)} ago`}, and may have changed since.
        </Notice>
      ) : null}
      {(status?.problems ?? []).map((problem) => (
        <Notice key={problem} tone="observed">
          {visibleText(problem)}
        </Notice>
      ))}
    </>
  );
}
