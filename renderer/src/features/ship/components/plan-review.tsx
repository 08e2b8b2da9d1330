import { ChangeKind, type FileChange, type HostPlan, type PlanResponse } from "@wardline/api/wardline/console/v1/ship";
import { CircleCheck } from "lucide-react";
import { Suspense } from "react";
import type { ShownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  FailureNotice,
  formatCount,
  formatQuantity,
  Notice,
  type NoticeTone,
  Skeleton,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import { Problem, TextDiff } from "../../policies/index.ts";
import { totalsOf } from "../model/access-groups.ts";
import { HostPlanCard } from "./host-plan-card.tsx";
import { PolicyTests } from "./policy-tests.tsx";

const KINDS: Record<ChangeKind, { readonly text: string; readonly tone: NoticeTone }> = {
  [ChangeKind.UNSPECIFIED]: { text: "unknown", tone: "unknown" },
  [ChangeKind.ADDED]: { text: "new", tone: "info" },
  [ChangeKind.REMOVED]: { text: "removed", tone: "deny" },
  [ChangeKind.CHANGED]: { text: "changed", tone: "observed" },
};

interface PlanReviewProps {
  readonly plan: PlanResponse | null;
  readonly failure: ShownFailure | null;
  readonly onRetry: () => void;
}

/** What would change, for whom: problems and failed tests first, then access by host, then the text. */
export function PlanReview({ plan, failure, onRetry }: PlanReviewProps) {
  const goTo = useWindow((state) => state.goTo);
  if (failure) return <FailureNotice failure={failure} title="No plan could be made" onRetry={onRetry} />;
  if (!plan) return <Skeleton rows={8} label="Working out what would change" />;
  const isUnchanged =
    plan.hosts.length > 0 && plan.hosts.every((host) => host.unchanged && !host.error) && plan.fileChanges.length === 0;
  return (
    <>
      <PlanHeadline hosts={plan.hosts} />
      {plan.diagnostics.length > 0 ? (
        <section className="ship-section" aria-labelledby="ship-problems">
          <h3 id="ship-problems">Problems and risks</h3>
          <ul className="problems">
            {plan.diagnostics.slice(0, 50).map((diagnostic) => (
              <Problem
                key={`${diagnostic.source?.file}:${diagnostic.code}:${diagnostic.source?.line}:${diagnostic.source?.column}`}
                diagnostic={diagnostic}
                isElsewhere
              />
            ))}
          </ul>
          {plan.diagnostics.length > 50 ? <p className="soft">and {plan.diagnostics.length - 50} more</p> : null}
        </section>
      ) : null}
      {plan.tests ? <PolicyTests results={plan.tests} /> : null}
      {isUnchanged ? (
        <Notice tone="allow" icon={<CircleCheck size={16} aria-hidden="true" />}>
          <strong>Nothing would change.</strong>
          <span className="soft">Every host already enforces exactly these tables.</span>
        </Notice>
      ) : null}
      {plan.hosts.length === 0 ? (
        <Notice tone="unknown">
          <strong>There is no host to apply to.</strong>
          <button type="button" className="link" onClick={() => goTo("hosts")}>
            Open Hosts
          </button>
        </Notice>
      ) : null}
      {plan.hosts.map((host) => (
        <HostPlanCard key={host.hostId} plan={host} isFolded={plan.hosts.length > 1} />
      ))}
      {plan.fileChanges.length > 0 ? (
        <section className="ship-section" aria-labelledby="ship-text">
          <h3 id="ship-text">Text: {formatQuantity(plan.fileChanges.length, "file")} against what is enforced</h3>
          {plan.fileChanges.map((change) => (
            <FileDiff key={change.path} change={change} isOpen={plan.fileChanges.length <= 3} />
          ))}
        </section>
      ) : null}
    </>
  );
}

/** Several hosts in one sentence, before anything is unfolded. */
function PlanHeadline({ hosts }: { hosts: readonly HostPlan[] }) {
  const { changingHosts, lost, gained, flowsLost, isPartial } = totalsOf(hosts);
  if (hosts.length < 2 || lost + gained === 0) return null;
  return (
    <p className="plan-headline">
      <strong>
        {isPartial ? "At least " : ""}
        {formatQuantity(lost, "access", "accesses")} lost and {formatCount(gained)} gained on{" "}
        {formatQuantity(changingHosts, "host")}.
      </strong>{" "}
      {flowsLost > 0n ? (
        <span className="access-note">
          {formatQuantity(flowsLost, "flow")} of the last hour would have been denied.
        </span>
      ) : (
        <span className="soft">Nothing recorded in the last hour would have been denied.</span>
      )}
    </p>
  );
}

function FileDiff({ change, isOpen }: { change: FileChange; isOpen: boolean }) {
  const kind = KINDS[change.kind];
  return (
    <details className="file-diff" open={isOpen}>
      <summary>
        <Tag tone={kind.tone}>{kind.text}</Tag> <code className="wrap-anywhere">{visibleText(change.path)}</code>
      </summary>
      <Suspense fallback={<Skeleton rows={3} label="Comparing" />}>
        <TextDiff oldText={change.oldText} newText={change.newText} label={`Change of ${change.path}`} />
      </Suspense>
    </details>
  );
}
