import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { CircleCheck } from "lucide-react";
import { useEffect } from "react";
import { useActivity, useConsole, useConsoleNow, useHostsStream, useWorkspaceStream } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { EmptyState, FailureNotice, Moment, Skeleton } from "../../../ui/index.ts";
import { worstOpen } from "../../anomalies/index.ts";
import { waitsWithCluster } from "../../cluster/index.ts";
import { FirstRunGuide } from "../../first-run/index.ts";
import { PendingCard, PendingEndNotice, ReceiptList, useShip } from "../../ship/index.ts";
import { listNeeds } from "../model/needs.ts";
import { HostCard } from "./host-card.tsx";
import { NeedCard } from "./need-card.tsx";
import "./overview-view.css";

/** What needs a person first, then the hosts, then what was done lately. */
export function OverviewView() {
  const { connection } = useConsole();
  const hostsStream = useHostsStream();
  const workspace = useWorkspaceStream();
  const { scopeHostId, lastMs } = useWindow();
  const { clusters, anomalies, mesh } = useActivity();
  const ends = useShip((state) => state.ends);
  const nowMs = useConsoleNow();
  const receipts = useQuery(ShipService.method.listReceipts, { limit: 20 }, { refetchInterval: 15_000 });
  const { refetch } = receipts;
  const waiting = (hostsStream.value?.pending ?? []).map(
    (entry) => `${entry.hostId}:${entry.pending.generation?.number}`,
  );
  const waitingKey = waiting.join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: each apply and each end of one writes a receipt.
  useEffect(() => void refetch(), [refetch, waitingKey]);
  if (!hostsStream.value) {
    return (
      <div className="overview scroll">
        {hostsStream.failure ? (
          <FailureNotice
            failure={hostsStream.failure}
            title="The state of the hosts is not known"
            onRetry={() => connection.retryNow()}
          />
        ) : (
          <Skeleton rows={10} label="Asking the backend for the hosts" />
        )}
      </div>
    );
  }
  const inScope = <Item extends { id: string }>(items: readonly Item[]) =>
    items.filter((item) => scopeHostId === null || item.id === scopeHostId);
  const hosts = inScope(hostsStream.value.hosts);
  const findings = worstOpen(anomalies).filter(({ hostId }) => scopeHostId === null || hostId === scopeHostId);
  const needs = listNeeds(hosts, workspace.value?.files ?? [], clusters ?? [], findings, mesh);
  const pending = hostsStream.value.pending.filter(
    (entry) => (scopeHostId === null || entry.hostId === scopeHostId) && !waitsWithCluster(entry, clusters ?? []),
  );
  const shownReceipts = (receipts.data?.receipts ?? []).filter(
    (receipt) =>
      (scopeHostId === null || receipt.hostId === scopeHostId) &&
      (lastMs === null || (receipt.time !== undefined && nowMs - timestampMs(receipt.time) <= lastMs)),
  );
  const isQuiet = needs.length === 0 && pending.length === 0 && ends.length === 0;
  const newest = Math.max(0, ...hosts.map((host) => (host.lastHeardAt ? timestampMs(host.lastHeardAt) : 0)));
  return (
    <div className="overview scroll">
      <FirstRunGuide />
      <section className="overview-section" aria-labelledby="overview-needs">
        <h1 id="overview-needs">Needs you</h1>
        {isQuiet ? (
          <p className="overview-quiet">
            <CircleCheck size={18} aria-hidden="true" />
            {hostsStream.status === "live" ? "Nothing. " : "Nothing was open when the hosts were last heard. "}
            {newest > 0 ? (
              <span className="soft">
                Hosts heard at <Moment timeMs={newest} nowMs={nowMs} />.
              </span>
            ) : null}
          </p>
        ) : null}
        {ends.map((end) => (
          <PendingEndNotice key={`${end.hostId}:${end.generation}`} end={end} />
        ))}
        {pending.map((entry) => (
          <PendingCard key={`${entry.hostId}:${entry.pending.generation?.number}`} entry={entry} />
        ))}
        {needs.map((need) => (
          <NeedCard key={need.id} need={need} />
        ))}
      </section>
      <div className="overview-columns">
        <section className="overview-section" aria-labelledby="overview-hosts">
          <h2 id="overview-hosts">Hosts</h2>
          {hosts.length === 0 ? (
            <EmptyState picture={null} title="No host in this scope">
              Choose another scope in the bar above.
            </EmptyState>
          ) : null}
          {hosts.map((host) => (
            <HostCard key={host.id} host={host} />
          ))}
        </section>
        <section className="overview-section" aria-labelledby="overview-receipts">
          <h2 id="overview-receipts">Applied lately</h2>
          {receipts.isPending ? <Skeleton rows={4} label="Reading the receipts" /> : null}
          {receipts.error ? (
            <FailureNotice isCompact failure={shownFailure(receipts.error)} onRetry={() => void receipts.refetch()} />
          ) : null}
          {receipts.data ? (
            <div className="overview-receipts">
              <ReceiptList receipts={shownReceipts} />
            </div>
          ) : null}
        </section>
      </div>
    </div>
  );
}
