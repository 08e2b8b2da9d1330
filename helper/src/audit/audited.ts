/** The frame around every mutating call: an entry before its first effect, another one with its outcome. */

import type { AuditContent } from "@wardline/domain/audit";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Accept } from "../generations/controllerTypes.ts";
import type { AuditLog } from "./auditLog.ts";

export type AuditSubject = Omit<AuditContent, "outcome" | "detail">;

/** Refusals per minute and actor that get an entry; more are counted in the next one, so that nobody fills the disk. */
const REFUSALS_PER_MINUTE = 30;

interface RefusalWindow {
  minute: number;
  written: number;
  skipped: number;
}

export class AuditTrail {
  readonly #log: AuditLog;
  readonly #wallMs: () => number;
  readonly #refusals = new Map<string, RefusalWindow>();

  constructor(log: AuditLog, wallMs: () => number) {
    this.#log = log;
    this.#wallMs = wallMs;
  }

  /** Runs a mutating call. `run` calls `accept` before its first effect; a full disk refuses the call there. */
  async around<T>(subject: AuditSubject, detail: string, run: (accept: Accept) => Promise<T>): Promise<T> {
    let isAccepted = false;
    const accept: Accept = async (options) => {
      const entry = { ...subject, outcome: "started", detail } as const;
      if (options?.evenWhenUnrecorded) await this.#log.record(entry);
      else await this.#log.append(entry);
      isAccepted = true;
    };
    try {
      const result = await run(accept);
      await this.#log.record({ ...subject, outcome: "done", detail });
      return result;
    } catch (error) {
      const reason = describeError(error);
      if (isAccepted) await this.#log.record({ ...subject, outcome: "failed", detail: reason });
      else await this.refused(subject, reason);
      throw error;
    }
  }

  async refused(subject: AuditSubject, reason: string): Promise<void> {
    const window = this.#windowOf(subject.actor);
    if (window.written >= REFUSALS_PER_MINUTE) {
      window.skipped += 1;
      return;
    }
    window.written += 1;
    const more = window.skipped > 0 ? ` (and ${window.skipped} more refusals without an entry)` : "";
    window.skipped = 0;
    await this.#log.record({ ...subject, outcome: "refused", detail: `${reason}${more}` });
  }

  /** Something that the agent did by itself. */
  automatic(action: string, detail: string): Promise<void> {
    return this.#log.record({ actor: "agent", role: "none", action, argumentDigest: "", outcome: "automatic", detail });
  }

  #windowOf(actor: string): RefusalWindow {
    const minute = Math.floor(this.#wallMs() / 60_000);
    const window = this.#refusals.get(actor) ?? { minute, written: 0, skipped: 0 };
    if (window.minute !== minute) {
      window.minute = minute;
      window.written = 0;
    }
    this.#refusals.set(actor, window);
    return window;
  }
}

function describeError(error: unknown): string {
  if (error instanceof Failure) return `${ErrorCode[error.code]}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
