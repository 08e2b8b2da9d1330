import { create, type JsonObject } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/console/v1/settings";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isSettingKey, SETTING_KEYS, type SettingKey, type SettingValue } from "@wardline/domain/settings";
import { toWireDiagnostic } from "@wardline/domain/wire";
import { refuseUnknown } from "./refusals.ts";
import type { SettingsSnapshot } from "./settings-files.ts";

const ORIGINS = {
  default: wire.SettingOrigin.DEFAULT,
  user: wire.SettingOrigin.USER,
  locked: wire.SettingOrigin.LOCKED,
  kept: wire.SettingOrigin.KEPT,
} as const;

export function toWireSettings(snapshot: SettingsSnapshot): wire.SettingsState {
  const { values, facts, problems, path, exists, lockedPath, isBroken, isSafeMode, readAtMs } = snapshot;
  return create(wire.SettingsStateSchema, {
    values: values as unknown as JsonObject,
    facts: facts.map(({ key, origin, file, line, userValue }) => ({
      key,
      origin: ORIGINS[origin],
      file,
      line,
      userValueJson: userValue === undefined ? "" : JSON.stringify(userValue),
    })),
    problems: problems.map(toWireDiagnostic),
    ...{ path, exists, lockedPath, broken: isBroken, safeMode: isSafeMode, readAt: timestampFromMs(readAtMs) },
  });
}

/** @throws Failure INVALID_ARGUMENT for a key that is no setting */
export function editsFromWire(values: JsonObject): Map<SettingKey, SettingValue | null> {
  const edits = new Map<SettingKey, SettingValue | null>();
  for (const [key, value] of Object.entries(values)) {
    if (value === null) throw refuseUnknown(`${key} has no value; to take it out of the file, reset it.`);
    edits.set(known(key), value as SettingValue);
  }
  if (edits.size === 0)
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "No setting was named: nothing was changed." });
  return edits;
}

/** Empty = all. @throws Failure INVALID_ARGUMENT */
export function resetsFromWire(keys: readonly string[]): Map<SettingKey, null> {
  return new Map((keys.length === 0 ? SETTING_KEYS : keys.map(known)).map((key) => [key, null]));
}

function known(key: string): SettingKey {
  if (isSettingKey(key)) return key;
  throw refuseUnknown(`There is no setting "${key.slice(0, 100)}".`);
}
