/** One look at a machine, as far as it has come. */
import type { CheckHostResponse, CheckStep, Platform, ShownHostKey } from "@wardline/api/wardline/console/v1/fleet";
import type { HostAccess } from "@wardline/api/wardline/console/v1/hosts";
import { useCallback, useEffect, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";

export interface CheckRun {
  readonly isRunning: boolean;
  /** The newest message of each step. */
  readonly steps: ReadonlyMap<CheckStep, CheckHostResponse>;
  readonly platform: Platform | null;
  /** The key that waits for trust. */
  readonly shownKey: ShownHostKey | null;
  /** The check itself could not be made. */
  readonly failure: ShownFailure | null;
}

export type CheckTarget = { readonly hostId: string } | { readonly access: HostAccess };

export function withStep(run: CheckRun, message: CheckHostResponse): CheckRun {
  return {
    ...run,
    steps: new Map(run.steps).set(message.step, message),
    platform: message.platform ?? run.platform,
    shownKey: message.shownKey ?? run.shownKey,
  };
}

const BEGUN: CheckRun = { isRunning: true, steps: new Map(), platform: null, shownKey: null, failure: null };

/** Checks one machine at a time; another check, and leaving the page, end the one before. */
export function useCheck(): { readonly run: CheckRun | null; readonly check: (target: CheckTarget) => void } {
  const { connection } = useConsole();
  const [run, setRun] = useState<CheckRun | null>(null);
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);
  const check = useCallback(
    (target: CheckTarget) => {
      controller.current?.abort();
      const next = new AbortController();
      controller.current = next;
      const { signal } = next;
      setRun(BEGUN);
      void (async () => {
        try {
          for await (const message of connection.fleet.checkHost(target, { signal })) {
            if (signal.aborted) return;
            setRun((before) => withStep(before ?? BEGUN, message));
          }
          if (!signal.aborted) setRun((before) => ({ ...(before ?? BEGUN), isRunning: false }));
        } catch (error) {
          if (signal.aborted) return;
          setRun((before) => ({ ...(before ?? BEGUN), isRunning: false, failure: shownFailure(error) }));
        }
      })();
    },
    [connection],
  );
  return { run, check };
}
