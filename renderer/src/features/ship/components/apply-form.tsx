import { useQuery } from "@connectrpc/connect-query";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import type { PlanResponse } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { useState } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import type { ShownFailure } from "../../../data/failure.ts";
import { mayOperate } from "../../../data/hosts-snapshot.ts";
import { useSetting } from "../../../data/settings.ts";
import {
  Button,
  ChoiceCards,
  FailureNotice,
  formatQuantity,
  Select,
  TextField,
  VerdictMark,
} from "../../../ui/index.ts";
import { applyPlan, startRollout, useShip } from "../model/ship-store.ts";
import { EnvironmentName } from "./environment-name.tsx";
import { RolloutFields, useTypedWords } from "./rollout-fields.tsx";

const WAITS = [
  { value: "30", label: "30 seconds" },
  { value: "60", label: "1 minute" },
  { value: "120", label: "2 minutes" },
  { value: "300", label: "5 minutes" },
  { value: "900", label: "15 minutes" },
] as const;

/** Why the plan cannot be applied now; null when it can. */
function useObstacle(plan: PlanResponse | null, isPlanning: boolean): string | null {
  const { drafts } = useConsole();
  const hosts = useHostsStream();
  const isRunning = useShip((state) => state.job?.isRunning ?? false);
  const session = useQuery(HostService.method.getSession, {}, { staleTime: Number.POSITIVE_INFINITY });
  if (session.data?.readOnly) return "This console is read-only: it changes no host.";
  if (isRunning) return "An apply is running.";
  if (hosts.status === "stale") return "The backend does not answer.";
  if (!plan || isPlanning) return "The plan is being made.";
  const unsaved = drafts.unsaved().length;
  if (unsaved > 0) return `${formatQuantity(unsaved, "draft")} not saved yet.`;
  const planned = (hosts.value?.hosts ?? []).filter((host) => plan.hosts.some((entry) => entry.hostId === host.id));
  if (planned.some((host) => !mayOperate(host))) return "Your role may not apply here; an operator can.";
  if (plan.planId === "") return "Mend what is listed above first.";
  if (plan.hosts.length > 1 && plan.hosts.every((host) => host.unchanged || host.error)) return "No host would change.";
  return null;
}

/** The action, with everything that decides how it can be undone. */
export function ApplyFooter({ plan, isPlanning }: { plan: PlanResponse | null; isPlanning: boolean }) {
  const { connection } = useConsole();
  const { mode, confirmWithinSeconds, reason, ticket, overrideTestsReason, set } = useShip();
  const [wasTried, setTried] = useState(false);
  const environment = useSetting("display.environment");
  const obstacle = useObstacle(plan, isPlanning);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const planned = (plan?.hosts ?? []).filter((host) => !host.error && !host.unchanged);
  const isRollout = (plan?.hosts.length ?? 0) > 1;
  const words = useTypedWords(isRollout ? planned.map(({ hostId }) => hostId) : []);
  const typed = useShip((state) => state.rollout.typed);
  const isTypedMissing = words !== null && typed.trim().toLowerCase() !== words.toLowerCase();
  const hostCount = plan?.hosts.filter((host) => !host.error).length ?? 0;
  const isEnforcing = mode === EnforcementMode.ENFORCE;
  const isReasonMissing = reason.trim() === "";
  const failedTestCount = plan?.tests?.failedCount ?? 0;
  const isOverrideMissing = failedTestCount > 0 && overrideTestsReason.trim() === "";
  const missing = isReasonMissing
    ? "Give a reason: it is kept with the receipt."
    : isOverrideMissing
      ? "Policy tests fail: say why to apply anyway."
      : isTypedMissing
        ? `Type “${words}” to go on.`
        : null;
  const apply = () => {
    setTried(true);
    if (obstacle !== null || missing !== null || !plan) return;
    setTried(false);
    setFailure(null);
    if (isRollout) void startRollout(connection, plan).then(setFailure);
    else void applyPlan(connection, plan);
  };
  return (
    <div className="apply-form">
      <ChoiceCards
        label="Mode"
        value={isEnforcing ? "enforce" : "observe"}
        onChange={(value) => set({ mode: value === "enforce" ? EnforcementMode.ENFORCE : EnforcementMode.OBSERVE })}
        choices={[
          {
            value: "observe",
            label: "Observe",
            icon: <VerdictMark verdict="observed" words={null} />,
            detail: "Nothing is dropped; what would be denied is shown as such in Flows.",
          },
          {
            value: "enforce",
            label: "Enforce",
            icon: <VerdictMark verdict="deny" words={null} />,
            detail: "The kernel drops what the policies deny, from the flip on.",
          },
        ]}
      />
      <div className="apply-fields">
        <TextField
          label="Reason"
          value={reason}
          onChange={(value) => set({ reason: value })}
          placeholder="for whoever reads the history at 3 a.m."
          isInvalid={wasTried && isReasonMissing}
          onSubmit={apply}
        />
        <TextField
          label="Ticket"
          value={ticket}
          onChange={(value) => set({ ticket: value })}
          placeholder="if there is one"
          onSubmit={apply}
        />
        <Select
          label="Rolls back unless kept within"
          value={WAITS.find((wait) => wait.value === String(confirmWithinSeconds))?.value ?? "120"}
          choices={WAITS}
          onChange={(value) => set({ confirmWithinSeconds: Number(value) })}
        />
      </div>
      {failedTestCount > 0 ? (
        <TextField
          label={`Why apply although ${formatQuantity(failedTestCount, "policy test")} ${failedTestCount === 1 ? "fails" : "fail"}`}
          value={overrideTestsReason}
          onChange={(value) => set({ overrideTestsReason: value })}
          placeholder="kept with the receipt and in the audit log of each host"
          isInvalid={wasTried && isOverrideMissing}
          onSubmit={apply}
        />
      ) : null}
      {isRollout ? <RolloutFields hostIds={planned.map(({ hostId }) => hostId)} words={words} /> : null}
      {failure ? <FailureNotice isCompact failure={failure} title="Nothing was changed" /> : null}
      <div className="apply-line">
        <span className="soft" role="status">
          {obstacle ?? (wasTried ? missing : null) ?? "The agent rolls back by itself unless you keep it."}
        </span>
        {environment === "none" ? null : <EnvironmentName />}
        <Button tone="primary" size="large" isDisabled={obstacle !== null} onPress={apply}>
          {isEnforcing ? "Enforce" : "Observe"} on {formatQuantity(isRollout ? planned.length : hostCount, "host")}
        </Button>
      </div>
    </div>
  );
}
