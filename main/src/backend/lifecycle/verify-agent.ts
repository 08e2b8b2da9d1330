/** After an exchange: does the agent that answers now have the right version, and does it enforce what was enforced? */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type AgentReport, askAgent, enforcementDifference } from "./agent-check.ts";
import { connect, type HostWork } from "./host-work.ts";
import { type AgentIdentity, formatIdentity } from "./versions.ts";

/** An agent adopts what is pinned and answers within this time even on a busy machine. */
const SETTLE_MS = 5_000;
const PAUSE_MS = 200;

/** About the login or about sshd, not about the agent. */
const MAY_NOT_ASK = new Set([ErrorCode.PERMISSION_DENIED, ErrorCode.UNAUTHENTICATED, ErrorCode.HOST_UNSUPPORTED]);

export type Verification =
  | { readonly kind: "verified"; readonly report: AgentReport }
  /** It runs, and this login may not ask it anything. */
  | { readonly kind: "not-allowed" }
  | { readonly kind: "wrong"; readonly reason: string; readonly isFinal: boolean };

/**
 * Asks over a new connection: it has the groups of now, and shows that the host can still be logged into.
 * @throws Failure when the host cannot be connected to: that says nothing against the agent
 */
export async function verifyAgent(
  work: HostWork,
  expected: AgentIdentity | null,
  before: AgentReport | null,
): Promise<Verification> {
  const { ports, host, progress } = work;
  const session = await connect(ports, host, progress.signal);
  try {
    const limitMs = ports.clock.nowMs() + SETTLE_MS;
    for (;;) {
      const verification = await attempt(() => askAgent(session, host.access.agentSocket, host.name), expected, before);
      if (verification.kind !== "wrong" || verification.isFinal || ports.clock.nowMs() >= limitMs) return verification;
      if (session.ended.aborted) throw session.ended.reason;
      await ports.clock.sleep(PAUSE_MS);
    }
  } finally {
    session.close();
  }
}

async function attempt(
  ask: () => Promise<AgentReport>,
  expected: AgentIdentity | null,
  before: AgentReport | null,
): Promise<Verification> {
  try {
    const report = await ask();
    if (expected && formatIdentity(report.identity) !== formatIdentity(expected)) {
      const reason = `${formatIdentity(report.identity)} answers instead of ${formatIdentity(expected)}`;
      return { kind: "wrong", reason, isFinal: true };
    }
    const difference = before && enforcementDifference(before.status, report.status);
    return difference ? { kind: "wrong", reason: difference, isFinal: false } : { kind: "verified", report };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (MAY_NOT_ASK.has(error.code)) return { kind: "not-allowed" };
    return { kind: "wrong", reason: error.message, isFinal: false };
  }
}
