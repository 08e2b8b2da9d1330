import type { ClusterView, JoinHostResult } from "@wardline/api/wardline/console/v1/cluster";
import { useState } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatQuantity, Sheet, Tag, visibleText } from "../../../ui/index.ts";

interface JoinHostsProps {
  readonly cluster: ClusterView;
  readonly hostIds: readonly string[];
  readonly onDone: () => void;
}

/** Lets hosts in: each gets a secret that works once, through its own session. */
export function JoinHosts({ cluster, hostIds, onDone }: JoinHostsProps) {
  const { connection } = useConsole();
  const hosts = (useHostsStream().value?.hosts ?? []).filter(({ id }) => hostIds.includes(id));
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [candidates, setCandidates] = useState<ReadonlySet<string>>(new Set());
  const [results, setResults] = useState<readonly JoinHostResult[]>([]);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const joined = new Set(results.filter(({ problem }) => !problem).map(({ hostId }) => hostId));
  const waiting = hosts.filter(({ id }) => chosen.has(id) && !joined.has(id));
  const join = async () => {
    // Not by a disabled button: that would take the focus out of the dialog.
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      const answer = await connection.clusters.joinHosts({
        clusterName: cluster.status?.clusterName ?? "",
        hosts: waiting.map((host) => ({
          hostId: host.id,
          candidate: candidates.has(host.id),
          labels: host.labels,
        })),
      });
      const answered = new Set(answer.results.map(({ hostId }) => hostId));
      setResults([...results.filter(({ hostId }) => !answered.has(hostId)), ...answer.results]);
      if (answer.results.every(({ problem }) => !problem)) onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
    setBusy(false);
  };
  const toggled = (set: ReadonlySet<string>, id: string) => {
    const next = new Set(set);
    if (!next.delete(id)) next.add(id);
    return next;
  };
  return (
    <Sheet
      shape="dialog"
      title={`Add members to ${visibleText(cluster.status?.clusterName ?? "")}`}
      isOpen
      onClose={onDone}
      footer={
        <>
          <Button tone="primary" isDisabled={waiting.length === 0} onPress={() => void join()}>
            Let {formatQuantity(waiting.length, "host")} in
          </Button>
          <Button onPress={onDone}>Cancel</Button>
        </>
      }
    >
      <div className="cluster-form">
        <p className="soft">
          A member follows the cluster's policies. A candidate may also lead: it holds the key of the cluster's
          authority and writes to the store. Have three or five candidates, on hosts that you guard best.
        </p>
        <table className="cluster-table">
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col">May lead</th>
              <th scope="col">Labels that it gets</th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {hosts.map((host) => {
              const result = results.find(({ hostId }) => hostId === host.id);
              const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
              return (
                <tr key={host.id}>
                  <td>
                    <label className="check-line">
                      <input
                        type="checkbox"
                        checked={chosen.has(host.id)}
                        onChange={() => setChosen(toggled(chosen, host.id))}
                      />
                      {visibleText(host.name)}
                    </label>
                  </td>
                  <td>
                    <input
                      type="checkbox"
                      aria-label={`${visibleText(host.name)} may lead`}
                      checked={candidates.has(host.id)}
                      onChange={() => setCandidates(toggled(candidates, host.id))}
                    />
                  </td>
                  <td className="wrap-anywhere">{labels.map(visibleText).join(", ") || "none"}</td>
                  <td>
                    {result?.problem ? (
                      <FailureNotice isCompact failure={failureFromDetail(result.problem)} />
                    ) : result ? (
                      <Tag tone="allow">joined</Tag>
                    ) : (
                      "–"
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
        {failure ? <FailureNotice failure={failure} /> : null}
      </div>
    </Sheet>
  );
}
