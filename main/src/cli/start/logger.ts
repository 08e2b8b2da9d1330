/** The console's log: one file, kept small, readable by its owner only. */

import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { makeDirectory } from "../../backend/files/directory.ts";
import type { Logger } from "../../backend/ports.ts";

const ROTATE_BYTES = 5 * 1024 * 1024;

export interface ConsoleLog {
  readonly logger: Logger;
  readonly path: string;
}

/** The file of the run before is kept as `.1` once it has grown. */
export function openConsoleLog(stateDir: string): ConsoleLog {
  const dir = join(stateDir, "logs");
  makeDirectory(dir, 0o700);
  const path = join(dir, "console.log");
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (sizeBytes > ROTATE_BYTES) renameSync(path, `${path}.1`);
  const destination = pino.destination({ dest: path, mode: 0o600, sync: true });
  const redact = ["token", "*.token", "url", "text", "*.text", "files", "*.files"];
  return { logger: pino({ redact, base: { pid: process.pid } }, destination), path };
}
