import { useQuery } from "@connectrpc/connect-query";
import { MeshService } from "@wardline/api/wardline/console/v1/mesh";
import {
  type MeshPeer,
  type MeshProbe,
  type MeshProviderReport,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import {
  Button,
  FailureNotice,
  formatAge,
  formatQuantity,
  Notice,
  Skeleton,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { usePermission } from "../hooks/use-permission.ts";
import { DAEMON_STATES, latencyText, PROVIDER_NAMES, shareText } from "../model/words.ts";
import { PeerDialog, type PeerEdit } from "./peer-dialog.tsx";

const SHOWN_PEERS = 60;

/** What the host itself says now: its daemons, its peers, the ways that it measures; peers are added and removed here. */
export function HostMesh({ hostId }: { hostId: string }) {
  const nowMs = useConsoleNow();
  const [edit, setEdit] = useState<PeerEdit | null>(null);
  const query = useQuery(MeshService.method.getMeshOfHost, { hostId }, { refetchInterval: 5_000 });
  const { refusal } = usePermission(hostId, "operator");
  if (query.error)
    return (
      <FailureNotice
        isCompact
        title="What the host says cannot be had now"
        failure={shownFailure(query.error)}
        onRetry={() => void query.refetch()}
      />
    );
  if (!query.data) return <Skeleton rows={4} label="Asking the host" />;
  if (query.data.isOutdated)
    return (
      <Notice tone="unknown">
        Its agent is older than meshes and tells nothing of its own: what is shown of it is what others see. Update the
        agent, in Hosts.
      </Notice>
    );
  const { observation } = query.data;
  const receivedMs = optionalMs(query.data.receivedAt);
  const reports = (observation?.providers ?? []).filter(({ state }) => state !== MeshProviderState.ABSENT);
  return (
    <section className="mesh-section" aria-label="What the host says">
      <h3>
        What the host says{" "}
        <span className="faint">{receivedMs === null ? "" : `${formatAge(nowMs - receivedMs)} ago`}</span>
      </h3>
      {(observation?.problems ?? []).map((problem) => (
        <Notice key={problem} tone="observed">
          {visibleText(problem)}
        </Notice>
      ))}
      {reports.length === 0 ? <p className="soft">No mesh daemon runs on it.</p> : null}
      {reports.map((report) => (
        <Provider key={report.provider} report={report} refusal={refusal} onEdit={setEdit} />
      ))}
      <Probes probes={observation?.probes ?? []} />
      {edit === null ? null : (
        <PeerDialog
          hostId={hostId}
          edit={edit}
          onDone={() => {
            setEdit(null);
            void query.refetch();
          }}
        />
      )}
    </section>
  );
}

interface ProviderProps {
  readonly report: MeshProviderReport;
  readonly refusal: string;
  readonly onEdit: (edit: PeerEdit) => void;
}

function Provider({ report, refusal, onEdit }: ProviderProps) {
  const { provider, state, detail, peers, capabilities } = report;
  const words = DAEMON_STATES[state];
  const mayAdd = capabilities.includes("add-peer");
  const mayRemove = capabilities.includes("remove-peer");
  return (
    <div className="mesh-provider">
      <p className="mesh-line">
        <strong>{PROVIDER_NAMES[provider]}</strong>
        <VerdictMark verdict={words.shape} words={words.words} />
        <span className="soft">
          {report.interfaceName ? `on ${visibleText(report.interfaceName)}` : ""}
          {report.mtuBytes === undefined ? "" : `, MTU ${report.mtuBytes}`}
        </span>
      </p>
      {detail ? <p className="soft wrap-anywhere">{visibleText(detail)}</p> : null}
      <ul className="mesh-peers">
        {peers.slice(0, SHOWN_PEERS).map((peer) => (
          <li key={`${peer.key} ${peer.uri} ${peer.interfaceName}`}>
            <PeerLine peer={peer} />
            {mayRemove && peer.uri !== "" && !peer.inbound ? (
              <Button
                size="small"
                tone="quiet"
                isDisabled={refusal !== ""}
                aria-label={`Remove the peer ${visibleText(peer.uri)}…`}
                onPress={() => onEdit({ kind: "remove", provider, uri: peer.uri, interfaceName: peer.interfaceName })}
              >
                Remove…
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
      {peers.length > SHOWN_PEERS ? (
        <p className="faint">{formatQuantity(peers.length - SHOWN_PEERS, "more peer")} not shown.</p>
      ) : null}
      {report.truncated ? <p className="faint">The host has more than it tells.</p> : null}
      {mayAdd ? (
        <p className="mesh-line">
          <Button
            size="small"
            isDisabled={refusal !== ""}
            onPress={() => onEdit({ kind: "add", provider, uri: "", interfaceName: "" })}
          >
            Add a peer…
          </Button>
          {refusal ? <span className="soft">{refusal}</span> : null}
        </p>
      ) : state === MeshProviderState.UP ? (
        <p className="faint">This daemon's peers cannot be changed while it runs.</p>
      ) : null}
    </div>
  );
}

function PeerLine({ peer }: { peer: MeshPeer }) {
  const name = peer.uri || peer.interfaceName || peer.key.slice(0, 16) || "unknown peer";
  const way = peer.inbound ? "came in" : peer.configured ? "configured" : "found";
  return (
    <span className="mesh-peer">
      <VerdictMark verdict={peer.up ? "allow" : "deny"} words={peer.up ? "up" : "down"} />
      <code className="wrap-anywhere">{visibleText(name)}</code>
      <span className="faint">
        {way}
        {peer.up && peer.latencyMs !== undefined ? ` · ${latencyText(peer.latencyMs)}` : ""}
        {peer.quality === undefined ? "" : ` · quality ${shareText(peer.quality)}`}
      </span>
      {peer.lastError ? <span className="soft wrap-anywhere">{visibleText(peer.lastError)}</span> : null}
    </span>
  );
}

function Probes({ probes }: { probes: readonly MeshProbe[] }) {
  if (probes.length === 0) return null;
  return (
    <div className="mesh-provider">
      <p>
        <strong>Ways that it measures</strong>
      </p>
      <ul className="mesh-peers">
        {probes.map((probe) => (
          <li key={`${probe.targetHost} ${probe.address}`}>
            <span className="mesh-peer">
              <VerdictMark verdict={probe.reachable ? "allow" : "deny"} words={visibleText(probe.targetHost)} />
              <code className="wrap-anywhere">{visibleText(probe.address)}</code>
              <span className="faint">
                {latencyText(probe.latencyMs)} · loss {shareText(probe.loss)}
              </span>
              {probe.problem ? <span className="soft wrap-anywhere">{visibleText(probe.problem)}</span> : null}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
