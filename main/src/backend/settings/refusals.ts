/** Why settings are not written, each with what to do next. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Diagnostic } from "@wardline/domain/policy";
import type { SettingKey } from "@wardline/domain/settings";
import type { SettingsEdits } from "@wardline/domain/settings/file";
import type { SettingsSnapshot } from "./settings-files.ts";

export function refuseUnknown(message: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message,
    hint: "`wardline settings list` names every setting and what it takes.",
  });
}

/** @throws Failure SETTING_LOCKED when an edit is about a setting that an administrator has locked */
export function refuseLocked({ facts, lockedPath }: SettingsSnapshot, edits: SettingsEdits): void {
  const fact = facts.find(({ key, origin }) => origin === "locked" && edits.has(key));
  if (!fact) return;
  throw new Failure({
    code: ErrorCode.SETTING_LOCKED,
    message: `An administrator has locked ${fact.key} in ${lockedPath}${fact.line > 0 ? `, line ${fact.line}` : ""}. Nothing was changed.`,
    hint: "Ask whoever manages this machine.",
  });
}

export function refuseBroken(
  path: string,
  diagnostics: readonly Diagnostic[],
  keys: readonly SettingKey[] = [],
): Failure {
  const [first] = diagnostics;
  const place = first ? `, line ${first.source.line}, column ${first.source.column}: ${first.message}` : ".";
  const what = keys.length > 0 ? `${keys.join(", ")} has a value there that does not fit` : "the file has a mistake";
  return new Failure({
    code: ErrorCode.SETTINGS_BROKEN,
    message: `Nothing was written to ${path}: ${what}${place}`,
    hint: "Mend it there, or choose to replace it: then what cannot be read is kept beside it.",
    diagnostics: [...diagnostics],
  });
}

export function refuseSafeMode(): Failure {
  return new Failure({
    code: ErrorCode.READ_ONLY,
    message: "In safe mode the settings file is neither read nor written.",
    hint: "Start without --safe-mode to change settings.",
  });
}
