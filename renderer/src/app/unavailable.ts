/** Why something cannot be done now, in a sentence; `null` where it can. The palette shows these instead of doing nothing. */
import { SettingOrigin } from "@wardline/api/wardline/console/v1/settings";
import { type HostsSnapshot, mayOperate } from "../data/hosts-snapshot.ts";
import { type SettingKey, useSettings } from "../data/settings.ts";
import { visibleText } from "../ui/index.ts";

export interface WhatIsThere {
  readonly hosts: HostsSnapshot | null;
  /** Of the workspace; `null` = not heard yet. */
  readonly fileCount: number | null;
  /** The console's backend does not answer. */
  readonly isAway: boolean;
  /** Started to change nothing. */
  readonly isReadOnly: boolean;
  /** Generations that wait on hosts by themselves. */
  readonly waiting: number;
  /** Those that wait with a set of their cluster, which is decided for all hosts at once. */
  readonly waitingWithCluster: number;
}

const AWAY = "The console does not answer now.";

export function askRefusal({ isAway }: WhatIsThere): string | null {
  return isAway ? AWAY : null;
}

export function decideRefusal({ hosts, isAway, isReadOnly, ...there }: WhatIsThere): string | null {
  if (isAway) return AWAY;
  if (isReadOnly) return "This console is read-only: it changes no host.";
  if (hosts && !hosts.hosts.some(mayOperate)) {
    return "Your role on every host is viewer: it takes an operator to change one.";
  }
  if (there.waiting > 0) return null;
  return there.waitingWithCluster > 0
    ? "It waits with its cluster: decide it there, for all hosts at once."
    : "No generation waits for a decision.";
}

/** The drawer itself may be looked at by everybody. */
export function shipRefusal({ isAway, fileCount }: WhatIsThere): string | null {
  if (isAway) return AWAY;
  return fileCount === 0 ? "The workspace has no files yet." : null;
}

export function addHostsRefusal({ isAway, isReadOnly }: WhatIsThere): string | null {
  if (isAway) return AWAY;
  return isReadOnly ? "This console is read-only: it adds no hosts." : null;
}

export function settingRefusal(key: SettingKey): string | null {
  const { state } = useSettings.getState();
  const fact = state?.facts.find((each) => each.key === key);
  if (fact?.origin !== SettingOrigin.LOCKED) return null;
  return `Locked by an administrator in ${visibleText(fact.file || (state?.lockedPath ?? ""))}.`;
}
