/** Notifications on the desktop: through the shell where it can, else by a window of this console that shows them. */
import type { ShellPort } from "../../ports.ts";
import type { AlertTables } from "../alert-tables.ts";
import { desktopText, titleOf } from "./message-text.ts";
import { type Attempt, failed, handedOver, type Outcome } from "./outcome.ts";

export interface DesktopDelivery {
  readonly shell: Pick<ShellPort, "notify">;
  readonly tables: AlertTables;
  readonly nowMs: () => number;
}

const SOON_MS = 2_000;

export async function showOnDesktop({ message }: Attempt, { shell, tables, nowMs }: DesktopDelivery): Promise<Outcome> {
  const notification = {
    title: titleOf(message),
    body: desktopText(message),
    tag: message.groupKey === "" ? message.id : `${message.kind} ${message.groupKey}`,
    isUrgent: message.kind === "firing" && message.severity === "critical",
  };
  if (shell.notify) {
    try {
      await shell.notify(notification);
      return handedOver("Handed to the desktop; whether somebody saw it is not known.");
    } catch (error) {
      return failed(`The desktop did not take it: ${error instanceof Error ? error.message : String(error)}`, true);
    }
  }
  const takenAtMs = tables.offerNotification(message.id, notification, nowMs());
  if (takenAtMs !== null)
    return handedOver("Handed to a window of this console; whether somebody saw it is not known.");
  return failed("No window of this console is open; it is shown when one opens within the hour.", false, "", SOON_MS);
}
