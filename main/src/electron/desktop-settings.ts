/** The settings of the desktop program: known to the backend, which reads the file, and used by the shell. */
import type { SettingsValues } from "@wardline/domain/settings";

export type UpdateMode = "off" | "notify";

export interface DesktopSettings {
  readonly hasTray: boolean;
  /** Closing the last window hides it; only with a tray, which brings it back. */
  readonly hidesOnClose: boolean;
  readonly updates: UpdateMode;
}

export const DEFAULT_DESKTOP_SETTINGS: DesktopSettings = { hasTray: false, hidesOnClose: false, updates: "off" };

/** The message for the shell. */
export function desktopSettingsOf(values: SettingsValues): DesktopSettings & { readonly type: "desktop-settings" } {
  return {
    type: "desktop-settings",
    hasTray: values["desktop.tray"],
    hidesOnClose: values["desktop.closeToTray"],
    updates: values["desktop.updates"],
  };
}

/** Of the backend's process. Types do not survive the border between processes; `null` = it is no such message. */
export function readDesktopSettings(message: unknown): DesktopSettings | null {
  if (typeof message !== "object" || message === null) return null;
  const { type, hasTray, hidesOnClose, updates } = message as Record<string, unknown>;
  if (type !== "desktop-settings" || typeof hasTray !== "boolean" || typeof hidesOnClose !== "boolean") return null;
  return { hasTray, hidesOnClose: hasTray && hidesOnClose, updates: updates === "notify" ? "notify" : "off" };
}
