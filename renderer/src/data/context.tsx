import { createContext, type ReactNode, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { type Activity, NO_ACTIVITY } from "./activity.ts";
import type { ConsoleConnection } from "./console-connection.ts";
import type { DraftStore } from "./draft-store.ts";
import type { FlowBuffer } from "./flow-buffer.ts";
import type { HostsSnapshot } from "./hosts-snapshot.ts";
import type { StreamState } from "./live-stream.ts";

interface ConsoleServices {
  readonly connection: ConsoleConnection;
  readonly drafts: DraftStore;
}

const ConsoleContext = createContext<ConsoleServices | null>(null);

export function ConsoleProvider({ services, children }: { services: ConsoleServices; children: ReactNode }) {
  return <ConsoleContext value={services}>{children}</ConsoleContext>;
}

export function useConsole(): ConsoleServices {
  const services = useContext(ConsoleContext);
  if (!services) throw new Error("useConsole outside of ConsoleProvider");
  return services;
}

export function useHostsStream(): StreamState<HostsSnapshot> {
  const { hosts } = useConsole().connection;
  return useSyncExternalStore(hosts.subscribe, hosts.getState);
}

/** Jobs, roll-outs and questions; empty before they are known. */
export function useActivity(): Activity {
  const { activity } = useConsole().connection;
  return useSyncExternalStore(activity.subscribe, activity.getState).value ?? NO_ACTIVITY;
}

export function useWorkspaceStream() {
  const { workspace } = useConsole().connection;
  return useSyncExternalStore(workspace.subscribe, workspace.getState);
}

export function useFlowStream(): StreamState<FlowBuffer> {
  const { flows } = useConsole().connection;
  return useSyncExternalStore(flows.subscribe, flows.getState);
}

/** The monotonic clock of the window, read every `intervalMs`. */
export function useMonotonicNow(intervalMs: number): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return now;
}

/** The console's wall clock in milliseconds, read every second. */
export function useConsoleNow(): number {
  const offsetMs = useHostsStream().value?.clockOffsetMs ?? 0;
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now + offsetMs;
}
