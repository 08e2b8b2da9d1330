import { useQuery } from "@connectrpc/connect-query";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { useEffect, useRef } from "react";
import { isOpen } from "../../../data/activity.ts";
import { useActivity, useHostsStream, useWorkspaceStream } from "../../../data/context.tsx";
import { failureFromDetail, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, Notice, Sheet, Spinner, visibleText } from "../../../ui/index.ts";
import { useStop } from "../hooks/use-stop.ts";
import { shipStage } from "../model/ship-stage.ts";
import { useShip } from "../model/ship-store.ts";
import { ApplyFooter } from "./apply-form.tsx";
import { EarlierVersion } from "./earlier-version.tsx";
import { EnvironmentName } from "./environment-name.tsx";
import { HostPlanCard } from "./host-plan-card.tsx";
import { PendingCard } from "./pending-card.tsx";
import { PendingEndNotice } from "./pending-end-notice.tsx";
import { PlanReview } from "./plan-review.tsx";
import { RolloutCard } from "./rollout-card.tsx";
import { StageLine } from "./stage-line.tsx";
import "./ship-drawer.css";

/** One line from draft to kept: review, apply, wait for the word, done. Closing it stops nothing. */
export default function ShipDrawer() {
  const { overlay, show, scopeHostId } = useWindow();
  const hosts = useHostsStream();
  const workspace = useWorkspaceStream();
  const { rollouts } = useActivity();
  const rolling = rollouts.filter((rollout, index) => isOpen(rollout) || index === 0);
  const isRolling = rollouts.some(isOpen);
  const ofRollout = new Set(rollouts.filter(isOpen).flatMap(({ hosts }) => hosts.map(({ hostId }) => hostId)));
  // Those of a roll-out are shown with it, and decided by its gates.
  const pending = (hosts.value?.pending ?? []).filter(({ hostId }) => !ofRollout.has(hostId));
  const { job, ends } = useShip();
  const generations = (hosts.value?.hosts ?? []).map((host) => `${host.id}:${host.status?.enforced?.number}`).join();
  const hasPending = pending.length > 0 || isRolling;
  const plan = useQuery(
    ShipService.method.plan,
    { hostIds: scopeHostId === null ? [] : [scopeHostId] },
    { enabled: overlay === "ship" && !hasPending, staleTime: 0, gcTime: 0 },
  );
  usePlanFollows(`${workspace.value?.sequence}:${generations}`, () => void plan.refetch());
  const planned = plan.data?.hosts.filter(({ error }) => !error) ?? [];
  const stage = shipStage({
    rollouts,
    pending,
    isUnchanged: plan.data ? planned.length > 0 && planned.every(({ unchanged }) => unchanged) : null,
    isObserved: planned.some(({ current }) => current?.mode === EnforcementMode.OBSERVE),
  });
  const stop = useStop(rollouts.filter(isOpen), pending);
  return (
    <Sheet
      shape="drawer"
      title="Review and apply"
      isOpen={overlay === "ship"}
      onClose={() => show("none")}
      subtitle={<StageLine stage={stage} stop={stop} />}
      footer={
        hasPending ? (
          <span className="soft">
            You can close this: {isRolling ? "the roll-out goes on" : "the status bar keeps the countdown"}.
          </span>
        ) : (
          <ApplyFooter plan={plan.data ?? null} isPlanning={plan.isFetching} />
        )
      }
    >
      <div className="ship">
        <EnvironmentName />
        {ends.map((end) => (
          <PendingEndNotice key={`${end.hostId}:${end.generation}`} end={end} />
        ))}
        {job?.failure ? <FailureNotice failure={job.failure} title="Nothing was changed by this apply" /> : null}
        {[...(job?.hosts.values() ?? [])].map((message) =>
          message.error ? (
            <FailureNotice
              key={message.hostId}
              failure={failureFromDetail(message.error)}
              title={`Not applied on ${visibleText(message.hostId)}`}
            />
          ) : null,
        )}
        {job?.isRunning && !hasPending ? (
          <Notice tone="info" icon={<Spinner />}>
            Sending to the hosts: each checks, fills its inactive tables, tests them, then flips.
          </Notice>
        ) : null}
        {rolling.map((rollout) => (
          <RolloutCard key={rollout.id} rollout={rollout} />
        ))}
        {pending.map((entry) => (
          <PendingCard key={`${entry.hostId}:${entry.pending.generation?.number}`} entry={entry} />
        ))}
        {stage === "staged" ? <StagedProof /> : null}
        {isRolling ? null : hasPending ? (
          <WhileWaiting />
        ) : (
          <>
            <PlanReview
              plan={plan.data ?? null}
              failure={plan.error ? shownFailure(plan.error) : null}
              onRetry={() => void plan.refetch()}
            />
            <EarlierVersion onRestored={() => void plan.refetch()} />
          </>
        )}
      </div>
    </Sheet>
  );
}

/** What is observed proves itself by what it would have denied. */
function StagedProof() {
  const goTo = useWindow((state) => state.goTo);
  return (
    <Notice tone="observed">
      <span>Hosts evaluate this and drop nothing. After a while the verdicts say what enforcing it would deny.</span>
      <Button size="small" onPress={() => goTo("changes")}>
        See the verdicts
      </Button>
    </Notice>
  );
}

/** A plan is about one workspace and one state of the hosts: when either moves, it is made again. */
function usePlanFollows(basis: string, refetch: () => void): void {
  const former = useRef(basis);
  const latest = useRef(refetch);
  latest.current = refetch;
  useEffect(() => {
    if (former.current === basis) return;
    former.current = basis;
    latest.current();
  }, [basis]);
}

/** What helps to decide while it waits: what the new state denies, and what the flip cost. */
function WhileWaiting() {
  const set = useWindow((state) => state.set);
  const hosts = useShip((state) => state.job?.plan.hosts);
  const watch = () => set({ view: "flows", flowsMode: "live", overlay: "none", flowText: "verdict:deny" });
  return (
    <>
      <div className="while-waiting">
        <Button onPress={watch}>Watch what it denies</Button>
        <span className="soft">Opens Flows; the countdown stays in the status bar, and its keys work there too.</span>
      </div>
      <ApplyTimings />
      {hosts ? (
        <section className="ship-section" aria-labelledby="ship-applied">
          <h3 id="ship-applied">What it changed</h3>
          {hosts.map((host) => (
            <HostPlanCard key={host.hostId} plan={host} />
          ))}
        </section>
      ) : null}
    </>
  );
}

/** What the flip cost, as the agent measured it. */
function ApplyTimings() {
  const job = useShip((state) => state.job);
  const timings = [...(job?.hosts.values() ?? [])].find((message) => message.timings)?.timings;
  if (!timings) return null;
  const ms = (microseconds: number) => `${(microseconds / 1000).toFixed(1)} ms`;
  return (
    <p className="faint">
      Read {ms(timings.readUs)}, compiled {ms(timings.compileUs)}, filled {ms(timings.fillUs)}, self-tested{" "}
      {ms(timings.selfTestUs)}, flipped in {timings.flipUs} µs.
    </p>
  );
}
