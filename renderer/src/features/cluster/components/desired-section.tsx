import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import { type DesiredHead, SetState, SyncState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Check, Undo2 } from "lucide-react";
import { useEffect, useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { durationMs, optionalMs } from "../../../data/hosts-snapshot.ts";
import {
  Button,
  CountdownRing,
  FailureNotice,
  formatQuantity,
  Moment,
  shortDigest,
  Tag,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { isBehind, SET_STATES, wantedSet } from "../model/words.ts";

/** What all hosts shall enforce, how many do, and the set that waits for a word. */
export function DesiredSection({ cluster }: { cluster: ClusterView }) {
  const { status } = cluster;
  const head = status?.head;
  const nowMs = useConsoleNow();
  if (!status) return null;
  if (!head || head.setNumber === 0n) {
    return (
      <section className="cluster-section" aria-labelledby="cluster-desired">
        <h2 id="cluster-desired">Desired set</h2>
        <p className="soft">
          Nothing was synced yet: every host is its own master. With the first sync the hosts follow the cluster, and
          policies change there.
        </p>
      </section>
    );
  }
  const behind = status.members.filter(({ report }) => isBehind(report, head));
  const writtenMs = optionalMs(head.writtenAt);
  return (
    <section className="cluster-section" aria-labelledby="cluster-desired">
      <h2 id="cluster-desired">Desired set</h2>
      {head.state === SetState.PENDING ? <PendingSet cluster={cluster} head={head} /> : null}
      <p className="cluster-line">
        <strong>Set {String(wantedSet(head))}</strong>
        <Tag tone={SET_STATES[head.state].tone}>{SET_STATES[head.state].words}</Tag>
        <VerdictMark
          verdict={behind.length === 0 ? "allow" : "observed"}
          words={
            behind.length === 0
              ? `in force on all ${formatQuantity(status.members.length, "host")}`
              : `in force on ${status.members.length - behind.length} of ${formatQuantity(status.members.length, "host")}`
          }
        />
        <span className="soft">
          {formatQuantity(head.documentCount, "document")} ·{" "}
          {head.mode === EnforcementMode.OBSERVE ? "observed only" : "enforced"} · written by {visibleText(head.author)}{" "}
          {writtenMs === null ? null : (
            <>
              at <Moment timeMs={writtenMs} nowMs={nowMs} />
            </>
          )}
          {head.reason ? `: ${visibleText(head.reason)}` : ""} · <code>{shortDigest(head.digest)}</code>
        </span>
      </p>
      <SetHistory clusterName={status.clusterName} newest={head.setNumber} wanted={wantedSet(head)} />
    </section>
  );
}

/** A set that hosts have put in force and that nobody has confirmed yet. */
function PendingSet({ cluster, head }: { cluster: ClusterView; head: DesiredHead }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const members = cluster.status?.members ?? [];
  const inForce = members.filter(
    ({ report }) => report?.activeSetNumber === head.setNumber && report.state === SyncState.PENDING,
  ).length;
  const refused = members.filter(
    ({ report }) => report?.state === SyncState.REFUSED && report.seenSetNumber === head.setNumber,
  ).length;
  const byMs = optionalMs(head.confirmBy);
  const remainingMs = byMs === null ? 0 : byMs - nowMs;
  const decide = async (rollBack: boolean) => {
    // Not by a disabled button: that would take the focus out of the dialog.
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      const confirmation = {
        setNumber: head.setNumber,
        digest: head.digest,
        rollBack,
        reason: rollBack ? "Taken back in the console" : "Confirmed in the console",
      };
      await connection.clusters.confirmSet({ clusterName: cluster.status?.clusterName ?? "", confirmation });
    } catch (error) {
      setFailure(shownFailure(error));
    }
    setBusy(false);
  };
  return (
    <section className="pending-set" aria-label={`Set ${head.setNumber} waits for confirmation`}>
      <Button
        size="large"
        tone="danger"
        icon={<Undo2 size={18} aria-hidden="true" />}
        isDisabled={remainingMs <= 0}
        onPress={() => void decide(true)}
      >
        Take it back
      </Button>
      <div className="pending-set-middle">
        <CountdownRing remainingMs={remainingMs} totalMs={Math.max(1, durationMs(head.confirmWithin))} />
        <h3>Set {String(head.setNumber)} waits for your word</h3>
        <p className="soft" role="status">
          In force on {inForce} of {formatQuantity(members.length, "host")}
          {refused === 0 ? "" : `, refused by ${refused}`}. Unless you keep it, every host returns to{" "}
          {head.confirmedSetNumber === 0n ? "what it enforced before" : `set ${head.confirmedSetNumber}`} by itself.
        </p>
        {failure ? <FailureNotice isCompact failure={failure} /> : null}
      </div>
      <Button
        size="large"
        tone="primary"
        icon={<Check size={18} aria-hidden="true" />}
        isDisabled={remainingMs <= 0}
        onPress={() => void decide(false)}
      >
        Keep it
      </Button>
    </section>
  );
}

/** The last sets with the way back to each. A return is a new set with the old content. */
function SetHistory({ clusterName, newest, wanted }: { clusterName: string; newest: bigint; wanted: bigint }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [sets, setSets] = useState<readonly DesiredHead[] | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [asked, setAsked] = useState<bigint | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a newer set is the reason to ask again.
  useEffect(() => {
    let isCurrent = true;
    connection.clusters.listSets({ clusterName, query: { limit: 10 } }).then(
      ({ sets: answer }) => {
        if (isCurrent) setSets(answer?.sets ?? []);
      },
      (error: unknown) => {
        if (isCurrent) setFailure(shownFailure(error));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [connection, clusterName, newest, wanted]);
  const rollBack = async (setNumber: bigint) => {
    setFailure(null);
    try {
      await connection.clusters.rollbackDocuments({
        clusterName,
        rollback: { toSetNumber: setNumber, reason: `Back to set ${setNumber}`, confirmWithin: { seconds: 300n } },
      });
      setAsked(null);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  if (sets === null) return failure ? <FailureNotice isCompact failure={failure} /> : null;
  return (
    <details className="cluster-details">
      <summary>Last {formatQuantity(sets.length, "set")}</summary>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      <table className="cluster-table">
        <thead>
          <tr>
            <th scope="col">Set</th>
            <th scope="col">State</th>
            <th scope="col">Changed</th>
            <th scope="col">Who and why</th>
            <th scope="col">When</th>
            <th scope="col">
              <span className="visually-hidden">Way back</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sets.map((set) => (
            <tr key={String(set.setNumber)}>
              <td>{String(set.setNumber)}</td>
              <td>
                <Tag tone={SET_STATES[set.state].tone}>{SET_STATES[set.state].words}</Tag>
              </td>
              <td className="wrap-anywhere">
                {set.changedKeys.slice(0, 3).map(visibleText).join(", ")}
                {set.changedCount > 3 ? ` and ${set.changedCount - 3} more` : ""}
              </td>
              <td className="wrap-anywhere">
                {visibleText(set.author)}
                {set.reason ? `: ${visibleText(set.reason)}` : ""}
              </td>
              <td className="nowrap">
                {set.writtenAt ? <Moment timeMs={optionalMs(set.writtenAt) ?? 0} nowMs={nowMs} /> : "–"}
              </td>
              <td>
                {set.setNumber === wanted ? (
                  <span className="faint">in force</span>
                ) : asked === set.setNumber ? (
                  <span className="cluster-buttons">
                    <Button size="small" tone="danger" onPress={() => void rollBack(set.setNumber)}>
                      Return all hosts to set {String(set.setNumber)}, 5 min to confirm
                    </Button>
                    <Button size="small" onPress={() => setAsked(null)}>
                      Cancel
                    </Button>
                  </span>
                ) : (
                  <Button size="small" onPress={() => setAsked(set.setNumber)}>
                    Return to it…
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
