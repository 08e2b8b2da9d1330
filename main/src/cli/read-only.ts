/** `WARDLINE_READ_ONLY=1` of every command. What goes through the console's services is refused there. */
import { defaultSettingsPath, LOCKED_SETTINGS_PATH } from "../backend/paths.ts";
import { readOnlyFailure } from "../backend/rpc/read-only.ts";
import { readSettingsFile, trustedBy } from "../backend/settings/read-file.ts";

export function isReadOnly(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment.WARDLINE_READ_ONLY === "1";
}

/** Before a command asks anybody, or changes something past the console's services. @throws Failure READ_ONLY */
export function requireChangesAllowed(): void {
  if (isReadOnly() || isReadOnlyBySetting()) throw readOnlyFailure();
}

/** `safety.readOnly`; the console's services read it by themselves. */
function isReadOnlyBySetting(): boolean {
  const locked = readSettingsFile(LOCKED_SETTINGS_PATH, trustedBy(LOCKED_SETTINGS_PATH, 0));
  const own = readSettingsFile(defaultSettingsPath());
  const settings = [locked, own].map(({ reading }) => reading.settings.get("safety.readOnly")?.value);
  return settings.find((value) => value !== undefined) === true;
}
