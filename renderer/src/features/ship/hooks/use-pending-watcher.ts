import { useQueryClient } from "@tanstack/react-query";
import type { RolloutHost } from "@wardline/api/wardline/console/v1/rollout";
import { ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { useEffect, useRef } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import type { PendingOnHost } from "../../../data/hosts-snapshot.ts";
import { noteEnd } from "../model/ship-store.ts";

/** Notices that a generation no longer waits, and asks the receipts how it ended: kept, rolled back, or expired. */
export function usePendingWatcher(): void {
  const { connection } = useConsole();
  const pending = useHostsStream().value?.pending;
  const queryClient = useQueryClient();
  const former = useRef<readonly PendingOnHost[]>([]);
  useEffect(() => {
    if (!pending) return;
    const ended = former.current.filter(
      (entry) =>
        !pending.some(
          (now) => now.hostId === entry.hostId && now.pending.generation?.number === entry.pending.generation?.number,
        ),
    );
    former.current = pending;
    if (ended.length === 0) return;
    void queryClient.invalidateQueries();
    void connection.ship
      .listReceipts({ limit: 20 })
      .then(({ receipts }) => {
        const rolledOut = connection.activity.getState().value?.rollouts.flatMap(({ hosts }) => hosts) ?? [];
        for (const entry of ended) {
          const generation = entry.pending.generation?.number ?? 0n;
          // How it ended is in the receipt of its roll-out.
          const isOfRollout = ({ hostId, receipt }: RolloutHost) =>
            hostId === entry.hostId && receipt?.generation?.number === generation;
          if (rolledOut.some(isOfRollout)) continue;
          const receipt = receipts.find(
            (candidate) => candidate.hostId === entry.hostId && candidate.generation?.number === generation,
          );
          const outcome = receipt?.outcome ?? ReceiptOutcome.UNSPECIFIED;
          noteEnd({ hostId: entry.hostId, hostName: entry.hostName, generation, outcome });
        }
      })
      .catch(() => {
        // Without receipts the end is still shown by the host's state; the receipts are asked again by their views.
      });
  }, [pending, connection, queryClient]);
}
