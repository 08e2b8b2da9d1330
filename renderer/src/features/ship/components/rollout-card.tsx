import {
  type Rollout,
  type RolloutHost,
  RolloutHostState,
  RolloutState,
} from "@wardline/api/wardline/console/v1/rollout";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { useState } from "react";
import { isOpen } from "../../../data/activity.ts";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatQuantity,
  Moment,
  type NoticeTone,
  Spinner,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import "./rollout-card.css";

const STATES: Record<RolloutState, { readonly text: string; readonly tone: NoticeTone }> = {
  [RolloutState.UNSPECIFIED]: { text: "unknown", tone: "unknown" },
  [RolloutState.RUNNING]: { text: "running", tone: "info" },
  [RolloutState.WAITING]: { text: "waits for you", tone: "observed" },
  [RolloutState.DONE]: { text: "done", tone: "allow" },
  [RolloutState.HALTED]: { text: "halted", tone: "deny" },
  [RolloutState.STOPPED]: { text: "stopped", tone: "unknown" },
};

const HOST_STATES: Record<RolloutHostState, { readonly text: string; readonly tone: NoticeTone }> = {
  [RolloutHostState.UNSPECIFIED]: { text: "unknown", tone: "unknown" },
  [RolloutHostState.WAITING]: { text: "waits for its turn", tone: "unknown" },
  [RolloutHostState.APPLYING]: { text: "applying", tone: "info" },
  [RolloutHostState.PENDING]: { text: "watched", tone: "observed" },
  [RolloutHostState.CONFIRMED]: { text: "confirmed", tone: "allow" },
  [RolloutHostState.ROLLED_BACK]: { text: "rolled back", tone: "deny" },
  [RolloutHostState.FAILED]: { text: "failed", tone: "deny" },
  [RolloutHostState.AWAY]: { text: "away: gets it when it returns", tone: "observed" },
  [RolloutHostState.UNCHANGED]: { text: "enforces it already", tone: "unknown" },
  [RolloutHostState.NOT_STARTED]: { text: "not started", tone: "unknown" },
};

const RETRIED: readonly RolloutHostState[] = [
  RolloutHostState.FAILED,
  RolloutHostState.ROLLED_BACK,
  RolloutHostState.NOT_STARTED,
];

/** A change on its way through the hosts: the stage it is in, the receipt of each host, and the ways to stop it. */
export function RolloutCard({ rollout }: { rollout: Rollout }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isStopping, setStopping] = useState(false);
  const [typed, setTyped] = useState("");
  const act = (action: Promise<unknown>) => {
    setFailure(null);
    action.then(() => setStopping(false)).catch((error: unknown) => setFailure(shownFailure(error)));
  };
  const state = STATES[rollout.state];
  const startedMs = optionalMs(rollout.startedAt);
  const confirmed = rollout.hosts.filter((host) => host.state === RolloutHostState.CONFIRMED).length;
  const retried = rollout.hosts.filter((host) => RETRIED.includes(host.state)).length;
  const verb = rollout.mode === EnforcementMode.ENFORCE ? "Enforce" : "Observe";
  return (
    <section className="rollout" aria-label={`Roll-out: ${visibleText(rollout.reason)}`}>
      <header className="rollout-header">
        <h3 className="wrap-anywhere">{visibleText(rollout.reason)}</h3>
        <Tag tone={state.tone}>{state.text}</Tag>
        <span className="soft rollout-count">
          {confirmed} of {formatQuantity(rollout.hosts.length, "host")} confirmed
        </span>
      </header>
      <p className="faint">
        {verb} · {visibleText(rollout.author)}{" "}
        {startedMs === null ? null : (
          <>
            · <Moment timeMs={startedMs} nowMs={nowMs} />
          </>
        )}
      </p>
      <Stages rollout={rollout} />
      {rollout.explanation ? <p role="status">{visibleText(rollout.explanation)}</p> : null}
      <table className="rollout-hosts">
        <thead>
          <tr>
            <th scope="col">Stage</th>
            <th scope="col">Host</th>
            <th scope="col">State</th>
            <th scope="col">Generation</th>
            <th scope="col">Denied since, packets</th>
            <th scope="col">Time</th>
          </tr>
        </thead>
        <tbody>
          {rollout.hosts.map((host) => (
            <HostRow key={host.hostId} host={host} nowMs={nowMs} />
          ))}
        </tbody>
      </table>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      <div className="rollout-buttons">
        {isOpen(rollout) ? (
          <StopButtons
            isStopping={isStopping}
            hasConfirmed={confirmed > 0}
            onAsk={() => setStopping(!isStopping)}
            onStop={(confirmedToo) =>
              act(
                connection.rollouts.stopRollout({
                  rolloutId: rollout.id,
                  confirmedToo,
                  reason: "Stopped in the console",
                }),
              )
            }
          />
        ) : null}
        {rollout.state === RolloutState.WAITING ? (
          <Button
            tone="primary"
            onPress={() =>
              act(connection.rollouts.continueRollout({ rolloutId: rollout.id, stage: rollout.stage + 1 }))
            }
          >
            Go on with stage {rollout.stage + 2}
          </Button>
        ) : null}
        {!isOpen(rollout) && retried > 0 ? (
          <Button onPress={() => act(connection.rollouts.retryRollout({ rolloutId: rollout.id, typed }))}>
            Try {formatQuantity(retried, "host")} again
          </Button>
        ) : null}
        {failure?.code === "CONFIRMATION_REQUIRED" ? (
          <input
            className="field-input"
            aria-label="The words that are asked for"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        ) : null}
      </div>
    </section>
  );
}

function Stages({ rollout }: { rollout: Rollout }) {
  if (rollout.stageCount <= 1) return null;
  return (
    <ol className="rollout-stages" aria-label="Stages">
      {Array.from({ length: rollout.stageCount }, (_, stage) => {
        const hosts = rollout.hosts.filter((host) => host.stage === stage);
        const isDone = stage < rollout.stage || rollout.state === RolloutState.DONE;
        const isNow = stage === rollout.stage && isOpen(rollout);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: stages are numbered and never move.
          <li key={stage} data-done={isDone ? "" : undefined} aria-current={isNow ? "step" : undefined}>
            {isNow && rollout.state === RolloutState.RUNNING ? <Spinner /> : null}
            Stage {stage + 1} · {formatQuantity(hosts.length, "host")}
          </li>
        );
      })}
    </ol>
  );
}

function HostRow({ host, nowMs }: { host: RolloutHost; nowMs: number }) {
  const state = HOST_STATES[host.state];
  const { receipt } = host;
  const atMs = optionalMs(receipt?.confirmedAt) ?? optionalMs(receipt?.appliedAt);
  return (
    <>
      <tr>
        <td>{host.stage + 1}</td>
        <td className="wrap-anywhere">{visibleText(host.hostName)}</td>
        <td>
          <Tag tone={state.tone}>{state.text}</Tag>
        </td>
        <td>{receipt?.generation ? String(receipt.generation.number) : "–"}</td>
        <td>
          {receipt?.appliedAt ? (
            <>
              {formatCount(receipt.deniedPackets)}{" "}
              <span className="faint">
                of {formatCount(receipt.deniedPackets + receipt.allowedPackets)} · forecast{" "}
                {receipt.forecastDenialsPerMinute.toFixed(1)} a minute
              </span>
            </>
          ) : (
            "–"
          )}
        </td>
        <td>{atMs === null ? "–" : <Moment timeMs={atMs} nowMs={nowMs} />}</td>
      </tr>
      {host.error ? (
        <tr>
          <td />
          <td colSpan={5}>
            <FailureNotice isCompact failure={failureFromDetail(host.error)} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

interface StopButtonsProps {
  readonly isStopping: boolean;
  readonly hasConfirmed: boolean;
  readonly onAsk: () => void;
  readonly onStop: (confirmedToo: boolean) => void;
}

/** Stopping asks how far back: what waits returns in any case, what was confirmed only when that is said. */
function StopButtons({ isStopping, hasConfirmed, onAsk, onStop }: StopButtonsProps) {
  if (!isStopping) return <Button onPress={onAsk}>Stop…</Button>;
  return (
    <>
      <Button tone="danger" onPress={() => onStop(false)}>
        Stop, and roll back what waits
      </Button>
      {hasConfirmed ? (
        <Button tone="danger" onPress={() => onStop(true)}>
          Stop, and roll back every host of it
        </Button>
      ) : null}
      <Button onPress={onAsk}>Go on</Button>
    </>
  );
}
