import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { Check, Undo2 } from "lucide-react";
import { useConsole, useMonotonicNow } from "../../../data/context.tsx";
import type { PendingOnHost } from "../../../data/hosts-snapshot.ts";
import { Button, CountdownRing, FailureNotice, visibleText } from "../../../ui/index.ts";
import { decidePending, useShip } from "../model/ship-store.ts";
import { EnvironmentName } from "./environment-name.tsx";
import "./pending-card.css";

/** A generation that waits: what it is, how long it waits, and the two ways out, equally large and far apart. */
export function PendingCard({ entry }: { entry: PendingOnHost }) {
  const { connection } = useConsole();
  const nowMs = useMonotonicNow(250);
  const isBusy = useShip((state) => state.busy.has(`${entry.hostId}:${entry.pending.generation?.number}`));
  const decisionFailure = useShip((state) => state.decisionFailure);
  const generation = entry.pending.generation?.number ?? 0n;
  const previous = entry.pending.previous?.number ?? 0n;
  const remainingMs = entry.deadlineMonotonicMs - nowMs;
  const isOver = remainingMs <= 0;
  const target = { hostId: entry.hostId, hostName: entry.hostName, generation };
  const isEnforcing = entry.pending.generation?.mode === EnforcementMode.ENFORCE;
  return (
    <section
      className="pending-card"
      aria-label={`Generation ${generation} on ${visibleText(entry.hostName)} waits for confirmation`}
    >
      <EnvironmentName />
      <div className="pending-middle">
        <CountdownRing remainingMs={remainingMs} totalMs={entry.totalMs} />
        <h2 className="wrap-anywhere">
          Generation {String(generation)} {isEnforcing ? "enforces" : "observes"} on {visibleText(entry.hostName)}
        </h2>
        <p className="soft pending-words">
          {isOver
            ? "The time is over. The agent returns to the former state; this page says so as soon as it hears from it."
            : `Unless you keep it, the agent returns to ${previous === 0n ? "no policy" : `generation ${previous}`} by itself, even when this window is closed or the network is gone.`}
        </p>
      </div>
      <div className="pending-buttons">
        <Button
          size="large"
          tone="danger"
          keys="Alt+R"
          icon={<Undo2 size={18} aria-hidden="true" />}
          isDisabled={isBusy || isOver}
          onPress={() => void decidePending(connection, "roll-back", target)}
        >
          Roll back
        </Button>
        <Button
          size="large"
          tone="primary"
          keys="Alt+K"
          icon={<Check size={18} aria-hidden="true" />}
          isDisabled={isBusy || isOver}
          onPress={() => void decidePending(connection, "keep", target)}
        >
          Keep
        </Button>
      </div>
      {decisionFailure ? <FailureNotice failure={decisionFailure} /> : null}
    </section>
  );
}
