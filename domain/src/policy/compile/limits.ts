import { ErrorCode, Failure } from "../../errors/index.ts";

/** Above this many entries in all tables together a program is refused. */
export const MAX_PROGRAM_ENTRIES = 1_000_000;

export function refuseAbove(entryCount: number): void {
  if (entryCount <= MAX_PROGRAM_ENTRIES) return;
  throw new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `The compiled policy needs more than ${MAX_PROGRAM_ENTRIES.toLocaleString("en")} table entries on one host.`,
    hint: "Name fewer addresses or port ranges, or use wider prefixes.",
  });
}
