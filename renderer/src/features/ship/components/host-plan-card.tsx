import type { AccessChange, HostPlan } from "@wardline/api/wardline/console/v1/ship";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { useHostsStream } from "../../../data/context.tsx";
import { failureFromDetail } from "../../../data/failure.ts";
import { verdictKind } from "../../../data/flow-buffer.ts";
import { BACKEND_NAMES, ENVIRONMENT_TONES } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  EnvironmentTag,
  FailureNotice,
  formatCount,
  formatPortRange,
  formatQuantity,
  shortKey,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { groupAccess } from "../model/access-groups.ts";
import { HostLoadLine, HostReturnNote } from "./host-load.tsx";

/** What changes on one host: who gains and who loses access, by meaning and not by lines. */
export function HostPlanCard({ plan, isFolded = false }: { plan: HostPlan; isFolded?: boolean }) {
  const hosts = useHostsStream().value?.hosts ?? [];
  const host = hosts.find(({ id }) => id === plan.hostId);
  const name = host?.name ?? plan.hostId;
  const groups = groupAccess(plan.accessChanges);
  const current = plan.current?.number ?? 0n;
  const heading = (
    <>
      <h3 className="truncate">{visibleText(name)}</h3>
      {host?.environment ? (
        <EnvironmentTag name={host.environment.name} color={ENVIRONMENT_TONES[host.environment.color]} />
      ) : null}
    </>
  );
  if (isFolded) {
    return (
      <details className="ship-section host-plan">
        <summary className="host-plan-header">
          {heading}
          <span className="soft host-plan-summary">
            {groups.flowsLost > 0n && !plan.error ? (
              <span className="access-note">{formatQuantity(groups.flowsLost, "flow")} of the last hour denied · </span>
            ) : null}
            {summarize(plan, groups.lost.length, groups.gained.length)}
          </span>
        </summary>
        <HostPlanCard plan={plan} />
      </details>
    );
  }
  return (
    <section className="ship-section host-plan" aria-label={`Plan for ${visibleText(name)}`}>
      <header className="host-plan-header">
        {heading}
        <span className="soft">
          {BACKEND_NAMES[plan.backend]} · {current === 0n ? "nothing applied yet" : `enforces generation ${current}`} →{" "}
          {formatQuantity(plan.policyCount, "policy", "policies")}, {formatQuantity(plan.ruleCount, "rule")}
        </span>
      </header>
      {plan.error ? <FailureNotice failure={failureFromDetail(plan.error)} title="Cannot be applied here" /> : null}
      {plan.unchanged && !plan.error ? (
        <p className="soft">Unchanged: the compiled tables are the ones enforced now.</p>
      ) : null}
      <HostLoadLine plan={plan} />
      <AccessTable
        title={`Loses access: ${groups.lost.length}`}
        note={
          groups.flowsLost > 0n ? `${formatCount(groups.flowsLost)} flows of the last hour would have been denied` : ""
        }
        changes={groups.lost}
      />
      <AccessTable title={`Gains access: ${groups.gained.length}`} note="" changes={groups.gained} />
      <AccessTable title={`Same verdict, decided elsewhere: ${groups.other.length}`} note="" changes={groups.other} />
      {plan.accessChangesLeftOut > 0 ? (
        <p className="soft">
          {formatQuantity(plan.accessChangesLeftOut, "more change")} not listed; the text below has all of them.
        </p>
      ) : null}
      {plan.unchanged ? null : <HostReturnNote plan={plan} groups={groups} />}
      {!plan.unchanged && !plan.error && plan.accessChanges.length === 0 ? (
        <p className="soft">The tables differ, and no access changes by it.</p>
      ) : null}
    </section>
  );
}

function summarize(plan: HostPlan, lost: number, gained: number): string {
  if (plan.error) return "cannot be applied here";
  if (plan.unchanged) return "unchanged";
  if (plan.accessChanges.length === 0) return "other tables, no access changes by it";
  const more = plan.accessChangesLeftOut > 0 ? `, ${plan.accessChangesLeftOut} more changes` : "";
  return `${lost} lose access, ${gained} gain access${more}`;
}

function AccessTable({ title, note, changes }: { title: string; note: string; changes: readonly AccessChange[] }) {
  const openFile = useWindow((state) => state.openFile);
  if (changes.length === 0) return null;
  return (
    <div className="access">
      <h4>
        {title} {note ? <span className="access-note">{note}</span> : null}
      </h4>
      <table>
        <thead>
          <tr>
            <th scope="col">Before → after</th>
            <th scope="col">Subject</th>
            <th scope="col">Direction</th>
            <th scope="col">Peer</th>
            <th scope="col">Port</th>
            <th scope="col">Last hour</th>
            <th scope="col">Decided by</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a plan never changes; another plan is another table.
            <tr key={index}>
              <td className="access-verdicts">
                <VerdictMark verdict={verdictKind(change.oldVerdict)} words={null} />
                <span aria-hidden="true">→</span>
                <VerdictMark verdict={verdictKind(change.newVerdict)} words={null} />
              </td>
              <td className="wrap-anywhere">{visibleText(shortKey(change.subjectKey))}</td>
              <td>{change.direction === Direction.INGRESS ? "in from" : "out to"}</td>
              <td className="wrap-anywhere">
                {change.peerNames.length > 0 ? <span>{change.peerNames.map(visibleText).join(", ")} </span> : null}
                {change.peerNames.includes(change.peer) ? null : (
                  <code className="soft">{visibleText(change.peer)}</code>
                )}
              </td>
              <td>{formatPortRange(change.protocol, change.portLow, change.portHigh, change.exceptProtocols)}</td>
              <td className="access-flows">
                {change.recordedFlows > 0n ? (
                  formatQuantity(change.recordedFlows, "flow")
                ) : (
                  <span className="faint">none seen</span>
                )}
              </td>
              <td className="wrap-anywhere">
                {change.decision?.source?.file ? (
                  <button
                    type="button"
                    className="link"
                    onClick={() =>
                      change.decision?.source &&
                      openFile(change.decision.source.file, change.decision.source.line, change.decision.source.column)
                    }
                  >
                    {visibleText(change.decision.summary)}
                  </button>
                ) : (
                  visibleText(change.decision?.summary ?? "")
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
