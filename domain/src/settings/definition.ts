/** What a setting can be. The table of all of them is in `table.ts`; file, window, command line and documentation use it. */

interface Common {
  /** Where the window shows it. */
  readonly group: SettingGroup;
  /** A few words. */
  readonly title: string;
  /** One or two sentences: what it does, and what it does not. */
  readonly help: string;
  /** True when it counts from the next start on. */
  readonly needsRestart?: boolean;
}

export type SettingGroup = "Display" | "Time" | "Keyboard" | "Notifications" | "Desktop" | "Support" | "Safety";

export interface ChoiceSetting<Choice extends string = string> extends Common {
  readonly type: "choice";
  readonly choices: readonly Choice[];
  readonly default: Choice;
}

export interface SwitchSetting extends Common {
  readonly type: "switch";
  readonly default: boolean;
}

/** A whole number. */
export interface NumberSetting extends Common {
  readonly type: "number";
  readonly minimum: number;
  readonly maximum: number;
  readonly unit: string;
  readonly default: number;
}

export interface TextSetting extends Common {
  readonly type: "text";
  /** Matches the whole of each good text. */
  readonly pattern: RegExp;
  /** What the pattern means, for people: `HH:MM-HH:MM, or empty`. */
  readonly form: string;
  readonly default: string;
}

/** Names to texts. */
export interface MapSetting extends Common {
  readonly type: "map";
  readonly keyPattern: RegExp;
  readonly valuePattern: RegExp;
  readonly form: string;
  readonly mostEntries: number;
  readonly default: Readonly<Record<string, string>>;
}

export type SettingDefinition = ChoiceSetting | SwitchSetting | NumberSetting | TextSetting | MapSetting;
export type SettingValue = string | number | boolean | Readonly<Record<string, string>>;

export type ValueOf<Definition> = Definition extends {
  readonly type: "choice";
  readonly choices: readonly (infer Choice)[];
}
  ? Choice
  : Definition extends { readonly type: "switch" }
    ? boolean
    : Definition extends { readonly type: "number" }
      ? number
      : Definition extends { readonly type: "text" }
        ? string
        : Readonly<Record<string, string>>;
