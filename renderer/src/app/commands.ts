import type { ConsoleConnection } from "../data/console-connection.ts";
import { useWindow, type View } from "../data/window-store.ts";
import { decidePending, type PendingDecision, useShip } from "../features/ship/model/ship-store.ts";

export const VIEW_NAMES: Record<View, string> = {
  overview: "Overview",
  policies: "Policies",
  flows: "Flows",
  hosts: "Hosts",
};
export const VIEW_KEYS: Record<View, string> = { overview: "Alt+1", policies: "Alt+2", flows: "Alt+3", hosts: "Alt+4" };

/** Shortcuts as the person reads them; `useShortcuts` listens to the same keys. */
export const SHORTCUTS: readonly { readonly keys: string; readonly does: string; readonly group: string }[] = [
  { group: "Everywhere", keys: "Ctrl+K", does: "Command palette: go anywhere, do anything" },
  { group: "Everywhere", keys: "Alt+1 … Alt+4", does: "Overview, Policies, Flows, Hosts" },
  { group: "Everywhere", keys: "Ctrl+.", does: "Freeze or resume live rows" },
  { group: "Everywhere", keys: "?", does: "This list (single-key shortcuts can be turned off in Display)" },
  { group: "Everywhere", keys: "Esc", does: "Close what is open" },
  { group: "Policies", keys: "Ctrl+Enter", does: "Review and apply" },
  { group: "Policies", keys: "F8, Shift+F8", does: "Next and previous problem" },
  { group: "Policies", keys: "Ctrl+S", does: "Save the draft now" },
  { group: "Policies", keys: "Ctrl+Space", does: "Complete" },
  { group: "Policies", keys: "Esc, then Tab", does: "Leave the editor by keyboard" },
  { group: "While a generation waits", keys: "Alt+K", does: "Keep it" },
  { group: "While a generation waits", keys: "Alt+R", does: "Roll it back" },
  { group: "Flows", keys: "↑ ↓ Home End", does: "Move through the rows" },
  { group: "Flows", keys: "Enter", does: "Open the row in the inspector" },
  { group: "Flows", keys: "/", does: "Search the flows" },
  { group: "Flows", keys: "Click, Alt+click", does: "Show only this value, hide this value" },
];

/** Keeps or rolls back the generation that waits. With several hosts waiting, the drawer asks which. */
export function decideOnlyPending(connection: ConsoleConnection, decision: PendingDecision): void {
  const pending = connection.hosts.getState().value?.pending ?? [];
  const [entry] = pending;
  if (!entry) return;
  if (pending.length > 1) {
    useWindow.getState().show("ship");
    return;
  }
  const generation = entry.pending.generation?.number ?? 0n;
  if (useShip.getState().busy.size > 0) return;
  void decidePending(connection, decision, { hostId: entry.hostId, hostName: entry.hostName, generation });
}
