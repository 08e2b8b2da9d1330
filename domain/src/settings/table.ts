/** Every setting of the console. docs/settings.md is made from this table. */
import type { SettingDefinition, ValueOf } from "./definition.ts";

/** Keys as in the file: `display.theme` is `theme` under `display`. */
export const SETTINGS = {
  "display.theme": {
    type: "choice",
    group: "Display",
    choices: ["system", "dark", "light", "contrast"],
    default: "system",
    title: "Theme",
    help: "Colours of the window. `system` follows the desktop, its wish for more contrast included.",
  },
  "display.density": {
    type: "choice",
    group: "Display",
    choices: ["compact", "comfortable"],
    default: "compact",
    title: "Density",
    help: "Height of rows: 28 pixels compact, 36 comfortable.",
  },
  "display.zoom": {
    type: "number",
    group: "Display",
    minimum: 50,
    maximum: 200,
    unit: "%",
    default: 100,
    title: "Text size",
    help: "Size of text. The zoom of the browser or of the shell scales everything else and comes on top.",
  },
  "display.motion": {
    type: "choice",
    group: "Display",
    choices: ["system", "reduced", "full"],
    default: "system",
    title: "Motion",
    help: "Whether things move when they change place. `system` follows the desktop.",
  },
  "display.environment": {
    type: "choice",
    group: "Display",
    choices: ["none", "lab", "staging", "production"],
    default: "none",
    title: "Environment of this console",
    help: "Named in the bar and on every confirmation, with its colour. Hosts and groups keep colours of their own.",
  },
  "time.zone": {
    type: "choice",
    group: "Time",
    choices: ["local", "utc"],
    default: "local",
    title: "Time zone",
    help: "In which zone times are written. Pointing at a time, or the focus on it, shows it in both. What is exported is always UTC.",
  },
  "time.clock": {
    type: "choice",
    group: "Time",
    choices: ["24h", "12h"],
    default: "24h",
    title: "Clock",
    help: "14:03:22 or 2:03:22 pm.",
  },
  "keyboard.singleKeys": {
    type: "switch",
    group: "Keyboard",
    default: true,
    title: "Single-key shortcuts",
    help: "Keys without Ctrl or Alt, such as ? and /. Off for those who dictate, or whose keys are pressed by accident.",
  },
  "keyboard.bindings": {
    type: "map",
    group: "Keyboard",
    keyPattern: /^[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*$/,
    valuePattern:
      /^(?:|(?:(?:Ctrl|Alt|Shift|Meta)\+){0,4}(?:[\p{L}\p{N}\p{P}\p{S}]|[A-Z][A-Za-z0-9]{1,15})(?: (?:(?:Ctrl|Alt|Shift|Meta)\+){0,4}(?:[\p{L}\p{N}\p{P}\p{S}]|[A-Z][A-Za-z0-9]{1,15}))?)$/u,
    form: "action: keys, as `palette.open: Ctrl+P`; empty keys take the action's own away",
    mostEntries: 200,
    default: {},
    title: "Key bindings",
    help: "Other keys for actions, by the name that the list of shortcuts shows. Two actions on the same keys are reported.",
  },
  "notifications.desktop": {
    type: "choice",
    group: "Notifications",
    choices: ["off", "urgent", "all"],
    default: "urgent",
    title: "On the desktop",
    help: "What is also told outside of the window, where the desktop allows it: nothing, what cannot wait, or everything that the centre lists.",
  },
  "notifications.quietHours": {
    type: "text",
    group: "Notifications",
    pattern: /^(?:|(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d)$/,
    form: "HH:MM-HH:MM, or empty",
    default: "",
    title: "Quiet hours",
    help: "Local time in which nothing is told on the desktop; `22:00-07:00` goes over midnight. The centre goes on listing.",
  },
  "notifications.perMinute": {
    type: "number",
    group: "Notifications",
    minimum: 1,
    maximum: 60,
    unit: "a minute",
    default: 6,
    title: "Most on the desktop",
    help: "More than this in a minute become one that says how many.",
  },
  "notifications.keepDays": {
    type: "number",
    group: "Notifications",
    minimum: 1,
    maximum: 90,
    unit: "days",
    default: 14,
    title: "Kept for",
    help: "How long the centre keeps what is over. What still needs a person stays.",
  },
  "notifications.hosts": {
    type: "switch",
    group: "Notifications",
    default: true,
    title: "Hosts that cannot be reached",
    help: "List hosts that this console has lost. Off where laptops come and go; Hosts shows them all the same.",
  },
  "notifications.anomalies": {
    type: "switch",
    group: "Notifications",
    default: true,
    title: "Anomalies",
    help: "List new findings. Alerts by rule are told by their receivers, whatever this says.",
  },
  "desktop.tray": {
    type: "switch",
    group: "Desktop",
    default: false,
    title: "Sign in the tray",
    help: "Of the desktop program. GNOME shows none without an extension.",
  },
  "desktop.closeToTray": {
    type: "switch",
    group: "Desktop",
    default: false,
    title: "Closing keeps the console",
    help: "Closing the last window hides it, connections stay, and the tray brings it back. Quitting always quits. Without a sign in the tray it does nothing.",
  },
  "desktop.updates": {
    type: "choice",
    group: "Desktop",
    choices: ["off", "notify"],
    default: "off",
    title: "Newer versions",
    help: "Whether the desktop program asks once a day for a newer version and tells of it. This build names no place where releases are made known: whatever is chosen here, nothing is asked, and `Look for a newer version` says so. No build downloads or installs one; a program that apt or dnf installed is left to them.",
  },
  "support.addresses": {
    type: "choice",
    group: "Support",
    choices: ["pseudonyms", "as-they-are"],
    default: "pseudonyms",
    title: "Addresses in support bundles",
    help: "`pseudonyms` writes every address and name of a host as one made up for this bundle, the same wherever it occurs.",
  },
  "safety.readOnly": {
    type: "switch",
    group: "Safety",
    default: false,
    needsRestart: true,
    title: "Read-only console",
    help: "Refuse every change of hosts and policies, from the window and from commands alike. Meant to be locked by an administrator.",
  },
} as const satisfies Readonly<Record<string, SettingDefinition>>;

export type SettingKey = keyof typeof SETTINGS;
export type SettingsValues = { readonly [Key in SettingKey]: ValueOf<(typeof SETTINGS)[Key]> };

export const SETTING_KEYS = Object.keys(SETTINGS) as readonly SettingKey[];

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(SETTINGS, key);
}

export function definitionOf(key: SettingKey): SettingDefinition {
  return SETTINGS[key];
}
