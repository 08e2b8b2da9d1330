import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import { MemberState, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, formatAge, Moment, VerdictMark, visibleText } from "../../../ui/index.ts";
import { JoinHosts } from "./join-hosts.tsx";
import { SyncSheet } from "./sync-sheet.tsx";

/** The cluster in one line: how many members are well, who leads since when, and what can be done. */
export function ClusterHeader({
  cluster,
  joinableHostIds,
}: {
  cluster: ClusterView;
  joinableHostIds: readonly string[];
}) {
  const nowMs = useConsoleNow();
  const [sheet, setSheet] = useState<"none" | "sync" | "join">("none");
  const { status } = cluster;
  if (!status) return null;
  const well = status.members.filter(({ state }) => state === MemberState.HEALTHY).length;
  const isWell = well === status.members.length && status.storeWritable;
  const term = status.currentTerm;
  const sinceMs = optionalMs(term?.startedAt);
  const close = () => setSheet("none");
  return (
    <header className="cluster-header">
      <div className="cluster-heading">
        <h1 className="wrap-anywhere">{visibleText(status.clusterName)}</h1>
        <p className="cluster-line">
          <VerdictMark
            verdict={isWell ? "allow" : status.storeWritable ? "observed" : "deny"}
            words={`${well} of ${status.members.length} members healthy`}
          />
          <span>
            {term?.leader ? (
              <>
                <strong>{visibleText(term.leader)}</strong> leads in term {String(term.number)}
                {sinceMs === null ? null : (
                  <>
                    {" "}
                    since <Moment timeMs={sinceMs} form="clock" /> · {formatAge(nowMs - sinceMs)}
                  </>
                )}
              </>
            ) : (
              <VerdictMark verdict="deny" words="nobody leads" />
            )}
          </span>
          <span className="soft">
            {status.store === StoreKind.ETCD ? "etcd" : "a store on this host: one node, no failover"} · trust domain{" "}
            <code>{visibleText(status.trustDomain)}</code>
            {cluster.throughHostName ? ` · read through ${visibleText(cluster.throughHostName)}` : ""}
          </span>
        </p>
      </div>
      <div className="cluster-actions">
        <Button isDisabled={joinableHostIds.length === 0} onPress={() => setSheet("join")}>
          Add members…
        </Button>
        <Button tone="primary" isDisabled={!status.storeWritable} onPress={() => setSheet("sync")}>
          Sync the workspace…
        </Button>
      </div>
      {sheet === "sync" ? <SyncSheet cluster={cluster} onDone={close} /> : null}
      {sheet === "join" ? <JoinHosts cluster={cluster} hostIds={joinableHostIds} onDone={close} /> : null}
    </header>
  );
}
