import type { Rollout } from "@wardline/api/wardline/console/v1/rollout";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import type { PendingOnHost } from "../../../data/hosts-snapshot.ts";
import { decidePending, useShip } from "../model/ship-store.ts";

/** The one place that stops what is under way: the roll-out, else the generation that waits. `null` when nothing is. */
export function useStop(open: readonly Rollout[], pending: readonly PendingOnHost[]) {
  const { connection } = useConsole();
  const [isBusy, setBusy] = useState(false);
  const set = useShip((state) => state.set);
  const [rollout] = open;
  const [waiting] = pending;
  if (rollout) {
    const run = () => {
      setBusy(true);
      connection.rollouts
        .stopRollout({ rolloutId: rollout.id, confirmedToo: false, reason: "Stopped in the console" })
        .catch((error: unknown) => set({ decisionFailure: shownFailure(error) }))
        .finally(() => setBusy(false));
    };
    return { words: "Stop", isDisabled: isBusy, run };
  }
  if (!waiting || pending.length > 1) return null;
  const { hostId, hostName } = waiting;
  const generation = waiting.pending.generation?.number ?? 0n;
  return {
    words: "Stop",
    isDisabled: isBusy,
    run: () => void decidePending(connection, "roll-back", { hostId, hostName, generation }),
  };
}
