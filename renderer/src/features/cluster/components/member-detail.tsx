import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import type { Member } from "@wardline/api/wardline/v1/cluster";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { durationMs, optionalMs } from "../../../data/hosts-snapshot.ts";
import {
  Button,
  FailureNotice,
  formatAge,
  Moment,
  Notice,
  shortDigest,
  TextField,
  visibleText,
} from "../../../ui/index.ts";

/** What is known of one member: identity, addresses, what it made of the set, and the ways out of the cluster. */
export function MemberDetail({ member, cluster }: { member: Member; cluster: ClusterView }) {
  const nowMs = useConsoleNow();
  const { record, presence, report } = member;
  const expiresMs = optionalMs(record?.certificateExpiresAt);
  const admittedMs = optionalMs(record?.admittedAt);
  const reportedMs = optionalMs(report?.reportedAt);
  const labels = Object.entries(record?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return (
    <div className="member-detail">
      {(presence?.problems ?? []).map((problem) => (
        <Notice key={problem} tone="observed">
          {visibleText(problem)}
        </Notice>
      ))}
      {report?.problem ? (
        <FailureNotice isCompact title="It did not take the set" failure={failureFromDetail(report.problem)} />
      ) : null}
      <div className="cluster-columns">
        <dl className="facts">
          <dt>Identity</dt>
          <dd className="wrap-anywhere">
            <code>{visibleText(record?.spiffeId ?? "") || "none"}</code>
          </dd>
          <dt>Certificate</dt>
          <dd>
            {expiresMs === null ? (
              "not known"
            ) : expiresMs > nowMs ? (
              <>
                until <Moment timeMs={expiresMs} form="full" /> · {formatAge(expiresMs - nowMs)} left
              </>
            ) : (
              <>
                over since <Moment timeMs={expiresMs} form="full" />
              </>
            )}
          </dd>
          <dt>Let in</dt>
          <dd className="wrap-anywhere">
            {admittedMs === null ? (
              "–"
            ) : (
              <>
                <Moment timeMs={admittedMs} form="full" /> by {visibleText(record?.admittedBy ?? "")}
              </>
            )}
          </dd>
          <dt>Labels</dt>
          <dd className="wrap-anywhere">{labels.map(visibleText).join(", ") || "none"}</dd>
        </dl>
        <dl className="facts">
          <dt>Addresses</dt>
          <dd className="wrap-anywhere">
            <code>{(presence?.addresses ?? []).map(visibleText).join(", ") || "–"}</code>
          </dd>
          <dt>Peers reach it at</dt>
          <dd className="wrap-anywhere">
            <code>{visibleText(record?.peerAddress ?? "") || "–"}</code>
          </dd>
          <dt>Report</dt>
          <dd>
            {reportedMs === null ? (
              "never"
            ) : (
              <>
                generation {String(report?.generation)}, in force {durationMs(report?.took).toFixed(0)} ms after it saw
                the set, said <Moment timeMs={reportedMs} nowMs={nowMs} />
              </>
            )}
          </dd>
          <dt>Tables</dt>
          <dd>{report?.programDigest ? <code>{shortDigest(report.programDigest)}</code> : "–"}</dd>
        </dl>
      </div>
      <Leaving member={member} cluster={cluster} />
    </div>
  );
}

/** Stepping down and leaving: each says what follows before it can be done. */
function Leaving({ member, cluster }: { member: Member; cluster: ClusterView }) {
  const { connection } = useConsole();
  const [isRemoving, setRemoving] = useState(false);
  const [typed, setTyped] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const name = member.record?.name ?? "";
  const clusterName = cluster.status?.clusterName ?? "";
  const act = (action: Promise<unknown>) => {
    setFailure(null);
    action.then(() => setRemoving(false)).catch((error: unknown) => setFailure(shownFailure(error)));
  };
  return (
    <>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      {isRemoving ? (
        <div className="member-removing">
          <p>
            {visibleText(name)} keeps enforcing what it enforces, follows the cluster no more, and its certificate
            counts no more. To come back it has to be let in anew.
          </p>
          <TextField label={`Type “${visibleText(name)}”`} value={typed} onChange={setTyped} />
          <span className="cluster-buttons">
            <Button
              tone="danger"
              isDisabled={typed.trim() !== name}
              onPress={() =>
                act(
                  connection.clusters.removeMember({ clusterName, memberName: name, reason: "Removed in the console" }),
                )
              }
            >
              Remove {visibleText(name)} from the cluster
            </Button>
            <Button onPress={() => setRemoving(false)}>Cancel</Button>
          </span>
        </div>
      ) : (
        <span className="cluster-buttons">
          {member.isLeader ? (
            <Button
              size="small"
              onPress={() =>
                act(connection.clusters.resignLeader({ clusterName, reason: "Asked to step down in the console" }))
              }
            >
              Let another lead
            </Button>
          ) : null}
          <Button size="small" onPress={() => setRemoving(true)}>
            Remove from the cluster…
          </Button>
        </span>
      )}
    </>
  );
}
