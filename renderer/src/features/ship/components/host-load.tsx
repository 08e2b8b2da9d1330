import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { HostPlan } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { useConsoleNow } from "../../../data/context.tsx";
import { formatCount, formatQuantity, Moment, shortDigest, shortKey, visibleText } from "../../../ui/index.ts";
import type { AccessGroups } from "../model/access-groups.ts";

/** What the host would load: rules, entries of its tables, subjects whose access changes. */
export function HostLoadLine({ plan }: { plan: HostPlan }) {
  const { load } = plan;
  if (!load) return null;
  const subjects = load.changedSubjects.map(shortKey).map(visibleText);
  const more = load.changedSubjectCount - subjects.length;
  return (
    <dl className="host-load" aria-label="What it would load">
      <Change name="Rules" before={load.rulesBefore} after={load.rulesAfter} />
      <Change name="Table entries" before={load.entriesBefore} after={load.entriesAfter} />
      <Change name="Subjects" before={load.subjectsBefore} after={load.subjectsAfter} />
      <div className="host-load-subjects">
        <dt>Changed subjects</dt>
        <dd className="wrap-anywhere">
          {subjects.length === 0 ? "none" : subjects.slice(0, 6).join(", ")}
          {subjects.length > 6 || more > 0
            ? ` and ${formatCount(subjects.length - Math.min(6, subjects.length) + more)} more`
            : ""}
        </dd>
      </div>
    </dl>
  );
}

function Change({ name, before, after }: { name: string; before: number; after: number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{before === after ? formatCount(after) : `${formatCount(before)} → ${formatCount(after)}`}</dd>
    </div>
  );
}

/** Can I get back? What a roll-back restores, and what that changes. */
export function HostReturnNote({ plan, groups }: { plan: HostPlan; groups: AccessGroups }) {
  const nowMs = useConsoleNow();
  const { returnsTo } = plan;
  if (!returnsTo || plan.error) return null;
  const isNothing = returnsTo.generation === 0n;
  return (
    <section className="host-return" aria-label="If it is rolled back">
      <h4>If you roll back, or nobody confirms</h4>
      <p className="wrap-anywhere">
        {isNothing ? (
          "The host enforces nothing again, as now: everything passes."
        ) : (
          <>
            Generation {String(returnsTo.generation)} comes back
            {returnsTo.versionNumber > 0n ? `, version ${returnsTo.versionNumber}` : ""}
            {returnsTo.mode === EnforcementMode.OBSERVE ? ", in observe mode" : ""}
            {returnsTo.reason === "" ? "" : `: “${visibleText(returnsTo.reason)}”`}.{" "}
            <span className="faint">
              {returnsTo.appliedAt ? (
                <Moment timeMs={timestampMs(returnsTo.appliedAt)} nowMs={nowMs} form="short" />
              ) : null}
              {returnsTo.appliedBy === "" ? "" : ` by ${visibleText(returnsTo.appliedBy)}`} ·{" "}
              <code>{shortDigest(returnsTo.stateDigest)}</code>
            </span>
          </>
        )}
      </p>
      <p className="soft">
        {groups.lost.length + groups.gained.length === 0
          ? "No access changes by that."
          : `${formatQuantity(groups.lost.length, "access", "accesses")} listed as lost would pass again, ${formatQuantity(groups.gained.length, "gained one", "gained ones")} would be denied again.`}
      </p>
    </section>
  );
}
