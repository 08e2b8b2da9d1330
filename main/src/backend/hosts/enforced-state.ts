/** The desired state behind what a host enforces now, asked again whenever its generation changes. */
import { toJsonString } from "@bufbuild/protobuf";
import { type Generation, GenerationSchema } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentConnection } from "../agent/agent-connection.ts";
import { boundMessage } from "../agent/bounded-message.ts";
import { ChangeSignal } from "../async/signal.ts";
import { requireWorkspaceBounds } from "../policies/limits.ts";
import type { Logger } from "../ports.ts";

const CALL_TIMEOUT_MS = 10_000;

export interface EnforcedFiles {
  /** Absent when nothing was ever applied. */
  readonly generation: Generation | null;
  /** Sorted by path. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

export class EnforcedState {
  /** Notifies when {@link latest} has changed. */
  readonly changes = new ChangeSignal();
  readonly #connection: AgentConnection;
  readonly #logger: Logger;
  #latest: EnforcedFiles | null = null;
  #latestKey = "";
  #isFollowed = false;

  constructor(connection: AgentConnection, logger: Logger) {
    this.#connection = connection;
    this.#logger = logger;
  }

  /** Last known; `null` when it could not be asked yet, or is not followed. */
  get latest(): EnforcedFiles | null {
    return this.#latest;
  }

  /** Asks the agent now. @throws Failure */
  async fetch(): Promise<EnforcedFiles> {
    const answer = await this.#connection.call((client) => client.getEnforcedState({}, { timeoutMs: CALL_TIMEOUT_MS }));
    const files = (answer.state?.files ?? []).map(({ path, text }) => ({ path, text }));
    requireWorkspaceBounds(
      files.length,
      files.reduce((sum, { path, text }) => sum + path.length + text.length, 0),
    );
    if (answer.generation) boundMessage(GenerationSchema, answer.generation);
    files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    const generation = answer.generation ?? null;
    const enforced = { generation, files };
    // Of many hosts that nobody follows the texts would only fill memory.
    if (this.#isFollowed) this.#keep(enforced);
    return enforced;
  }

  #keep(enforced: EnforcedFiles): void {
    this.#latest = enforced;
    const key = keyOf(enforced.generation);
    if (key === this.#latestKey) return;
    this.#latestKey = key;
    this.changes.notify();
  }

  /** Keeps {@link latest} up to date until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    this.#isFollowed = true;
    const { changes } = this.#connection;
    while (!signal.aborted) {
      const seen = changes.version;
      const status = this.#connection.state.status;
      const known = this.#latest !== null && keyOf(status?.enforced ?? null) === this.#latestKey;
      if (!known && (await this.#connection.waitForClient(signal))) {
        try {
          await this.fetch();
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          if (error.code !== ErrorCode.AGENT_UNREACHABLE) {
            this.#logger.warn({ code: error.code, problem: error.message }, "enforced state not read");
          }
        }
      }
      await changes.wait(seen, 60_000, signal);
    }
  }
}

function keyOf(generation: Generation | null): string {
  if (!generation || generation.number === 0n) return "nothing";
  return toJsonString(GenerationSchema, generation);
}
