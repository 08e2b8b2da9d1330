import { useQuery } from "@connectrpc/connect-query";
import { FleetService } from "@wardline/api/wardline/console/v1/fleet";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, formatQuantity, Notice, Skeleton, visibleText } from "../../../ui/index.ts";
import { accessText } from "../model/access-text.ts";

/** The machines that the person's own ssh knows. */
export function AddFromConfig({ onAdded }: { onAdded: (hostIds: readonly string[]) => void }) {
  const { connection } = useConsole();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const answer = useQuery(FleetService.method.listCandidates, {}, { staleTime: 0 });
  if (answer.error) return <FailureNotice failure={shownFailure(answer.error)} onRetry={() => void answer.refetch()} />;
  if (!answer.data) return <Skeleton rows={6} label="Reading ~/.ssh/config" />;
  const { candidates, problems } = answer.data;
  const toggle = (alias: string) => {
    const next = new Set(chosen);
    if (!next.delete(alias)) next.add(alias);
    setChosen(next);
  };
  const add = async () => {
    setFailure(null);
    const hosts = candidates
      .filter(({ alias }) => chosen.has(alias))
      .map(({ alias, access }) => ({ alias, ...(access ? { access } : {}) }));
    try {
      onAdded((await connection.fleet.addHosts({ hosts })).hostIds);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const isAll = chosen.size === candidates.length;
  return (
    <section className="add-section" aria-label="Add hosts from ~/.ssh/config">
      {problems.map((problem) => (
        <Notice key={problem} tone="observed">
          {visibleText(problem)}
        </Notice>
      ))}
      {candidates.length === 0 ? (
        <p className="soft">~/.ssh/config names no machine that is not managed already.</p>
      ) : (
        <table className="add-table">
          <thead>
            <tr>
              <th scope="col">
                <input
                  type="checkbox"
                  aria-label="All"
                  checked={isAll}
                  onChange={() => setChosen(isAll ? new Set() : new Set(candidates.map(({ alias }) => alias)))}
                />
              </th>
              <th scope="col">Host</th>
              <th scope="col">Reached as</th>
              <th scope="col">Found in</th>
            </tr>
          </thead>
          <tbody>
            {candidates.map((candidate) => (
              <tr key={candidate.alias}>
                <td>
                  <input
                    type="checkbox"
                    aria-label={visibleText(candidate.alias)}
                    checked={chosen.has(candidate.alias)}
                    onChange={() => toggle(candidate.alias)}
                  />
                </td>
                <td className="wrap-anywhere">{visibleText(candidate.alias)}</td>
                <td className="wrap-anywhere">
                  <code>{accessText(candidate.access)}</code>
                </td>
                <td className="faint wrap-anywhere">{visibleText(candidate.origin)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {failure ? <FailureNotice failure={failure} title="None was added" /> : null}
      <div className="add-line">
        <span className="soft">Keys and jump hosts stay as ~/.ssh/config says.</span>
        <Button tone="primary" isDisabled={chosen.size === 0} onPress={() => void add()}>
          Add {formatQuantity(chosen.size, "host")}
        </Button>
      </div>
    </section>
  );
}
