/** `WARDLINE_READ_ONLY=1` of every command. What goes through the console's services is refused there. */
import { readOnlyFailure } from "../backend/rpc/read-only.ts";

export function isReadOnly(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment.WARDLINE_READ_ONLY === "1";
}

/** Before a command asks anybody, or changes something past the console's services. @throws Failure READ_ONLY */
export function requireChangesAllowed(): void {
  if (isReadOnly()) throw readOnlyFailure();
}
