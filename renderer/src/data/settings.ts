/**
 * The person's settings in this window. The file on the disk of the console is the truth; the window follows it through the
 * activity stream, shows a change at once, and keeps a copy so that the first paint looks as the last one did.
 */
import type { SettingsState } from "@wardline/api/wardline/console/v1/settings";
import {
  goodValues,
  isSameSetting,
  SETTING_KEYS,
  type SettingKey,
  type SettingsValues,
  withDefaults,
} from "@wardline/domain/settings";
import { create } from "zustand";
import { type ShownFailure, shownFailure } from "./failure.ts";

export type { SettingKey, SettingsValues } from "@wardline/domain/settings";
export type Theme = SettingsValues["display.theme"];
export type Density = SettingsValues["display.density"];
export type Environment = SettingsValues["display.environment"];

export type SettingsChange = Partial<SettingsValues>;

export interface SettingsStore {
  /** What counts in this window: each value fits its setting. */
  readonly values: SettingsValues;
  /** What the console says of its files; `null` until it was heard. */
  readonly state: SettingsState | null;
  /** Why the last change was not written; what this window shows then lasts as long as the window. */
  readonly failure: ShownFailure | null;
  /** Shows the change at once and writes it. `null` when it was written, else why not. */
  readonly change: (change: SettingsChange, options?: { replaceBroken?: boolean }) => Promise<ShownFailure | null>;
  /** What the console says. */
  readonly receive: (state: SettingsState) => void;
  readonly forgetFailure: () => void;
  /** Drops what only this window has of a setting. */
  readonly forget: (key: SettingKey) => void;
}

/** Writes to the console. */
export type WriteSettings = (change: SettingsChange, replaceBroken: boolean) => Promise<SettingsState | undefined>;

const COPY_KEY = "wardline.settings";
let write: WriteSettings | null = null;
/** What this window shows beyond the file: changes on their way, and those that could not be written. */
let overlay: SettingsChange = {};

export const useSettings = create<SettingsStore>()((set, get) => ({
  values: withDefaults(readCopy()),
  state: null,
  failure: null,
  change: async (change, { replaceBroken = false } = {}) => {
    overlay = { ...overlay, ...change };
    set({ values: joined(get().state, get().values), failure: null });
    keepCopy(get().values);
    try {
      const state = await write?.(change, replaceBroken);
      if (write) overlay = without(overlay, change);
      if (state) get().receive(state);
      return null;
    } catch (error) {
      const failure = shownFailure(error);
      set({ failure });
      // A lock is not got around, not even for a moment; everything else the person may have for this window.
      if (failure.code === "SETTING_LOCKED") {
        overlay = without(overlay, change);
        set({ values: joined(get().state, get().values) });
      }
      return failure;
    }
  },
  receive: (state) => {
    set({ state, values: joined(state, get().values) });
    keepCopy(get().values);
  },
  forgetFailure: () => set({ failure: null }),
  forget: (key) => {
    overlay = without(overlay, { [key]: null });
    set({ values: joined(get().state, get().values) });
  },
}));

/** One setting; the component is drawn again only when this one changes. */
export function useSetting<Key extends SettingKey>(key: Key): SettingsValues[Key] {
  return useSettings((store) => store.values[key]);
}

/** For code that is no component. */
export function settingNow<Key extends SettingKey>(key: Key): SettingsValues[Key] {
  return useSettings.getState().values[key];
}

/** Shows the change at once and writes it; see `SettingsStore.change`. */
export function changeSettings(change: SettingsChange): Promise<ShownFailure | null> {
  return useSettings.getState().change(change);
}

/** Says where changes are written to. */
export function connectSettings(writer: WriteSettings): void {
  write = writer;
}

function without(from: SettingsChange, taken: object): SettingsChange {
  return Object.fromEntries(Object.entries(from).filter(([key]) => !Object.hasOwn(taken, key)));
}

/** Values that did not change stay the same objects, so that nobody is drawn again for them. */
function joined(state: SettingsState | null, before: SettingsValues): SettingsValues {
  const next = { ...(state ? withDefaults(goodValues(state.values)) : before), ...overlay };
  const entries = SETTING_KEYS.map((key) => [key, isSameSetting(before[key], next[key]) ? before[key] : next[key]]);
  return Object.fromEntries(entries) as unknown as SettingsValues;
}

function readCopy(): SettingsChange {
  try {
    return goodValues(JSON.parse(localStorage.getItem(COPY_KEY) ?? "{}"));
  } catch {
    return {};
  }
}

function keepCopy(values: SettingsValues): void {
  try {
    localStorage.setItem(COPY_KEY, JSON.stringify(values));
  } catch {
    // Without storage the next window begins with the defaults until it has heard the console.
  }
}
