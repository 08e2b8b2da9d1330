/** One login with the built-in client: the way there, machine by machine, each with its own key and its own proof. */
import type { Duplex } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { SshSummarySchema, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { QuestionAsker } from "../../questions/questions.ts";
import type { OpenedKeys } from "../authentication/identity-files.ts";
import type { JumpSpec } from "../config/addresses.ts";
import type { LoadedConfig } from "../config/config-files.ts";
import { resolveTarget, type SshTarget, type TargetEnvironment } from "../config/target.ts";
import type { PublicKey } from "../keys/public-key.ts";
import type { ConnectOptions } from "../ssh-session.ts";
import { connectionLost, type Place, strangersText, unreachable } from "./failures.ts";
import { type HandshakeInput, handshake, type PhaseLimitsMs, probeHostKey } from "./handshake.ts";
import { reach } from "./reach.ts";
import { BuiltInSession } from "./session.ts";

/** Ways that lead from one machine to the next, whatever the configuration says of each. */
const LONGEST_WAY = 8;

export interface BuiltInContext {
  readonly config: LoadedConfig;
  readonly environment: TargetEnvironment;
  readonly asker: QuestionAsker;
  readonly opened: OpenedKeys;
  readonly options: ConnectOptions;
  readonly limitsMs?: PhaseLimitsMs | undefined;
  /** What only the system's `ssh` could have offered to a machine that let nobody in. */
  readonly onUnsupported?: (what: readonly string[]) => void;
}

interface Way {
  readonly stream: Duplex;
  readonly place: Place;
  readonly via: readonly BuiltInSession[];
}

/** @throws Failure as `SshConnector.connect` */
export async function connectBuiltIn(
  context: BuiltInContext,
  target: SshTarget,
  command: string,
  depth = 0,
): Promise<BuiltInSession> {
  const { options } = context;
  const { stream, place, via } = await findWay(context, target, depth);
  try {
    const { client, hostKey } = await handshake(handshakeInput(context, target, stream, place));
    const summary = create(SshSummarySchema, {
      user: target.user,
      address: target.hostName,
      port: target.port,
      hostKeyFingerprint: hostKey.fingerprint,
      hostKeyType: hostKey.type,
      via: via.map(({ summary: { user, address, port } }) => `${user}@${address}:${port}`),
      transport: SshTransport.BUILT_IN,
      command,
    });
    const session = await BuiltInSession.open({ client, stream, place, summary, via });
    if (!options.signal.aborted) return session;
    session.close();
    throw new Failure({ code: ErrorCode.CANCELED, message: "Connecting was given up.", retryable: true });
  } catch (error) {
    for (const session of via) session.close();
    throw error;
  }
}

/** The key that the machine shows now. Whoever is in between is checked and logged in to as usual. */
export async function probeBuiltIn(context: BuiltInContext, target: SshTarget): Promise<PublicKey> {
  const { stream, place, via } = await findWay(context, target, 0);
  try {
    return await probeHostKey(handshakeInput(context, target, stream, place));
  } finally {
    for (const session of via) session.close();
  }
}

function handshakeInput(context: BuiltInContext, target: SshTarget, stream: Duplex, place: Place): HandshakeInput {
  const { asker, opened, options, onUnsupported, limitsMs } = context;
  const { hostId, isInteractive, signal, onStep } = options;
  return { target, stream, place, asker, opened, hostId, isInteractive, signal, onStep, onUnsupported, limitsMs };
}

async function findWay(context: BuiltInContext, target: SshTarget, depth: number): Promise<Way> {
  const { options } = context;
  const place = { hostName: target.hostName, port: target.port, from: "" };
  if (target.jumps.length === 0) return { stream: await reach(target, options), place, via: [] };
  if (depth >= LONGEST_WAY) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `The way to ${target.hostName} leads through more than ${LONGEST_WAY} machines: ProxyJump may lead in a circle.`,
      hint: "Check ProxyJump in ~/.ssh/config.",
    });
  }
  const via = await connectJumps(context, target.jumps, depth);
  const last = via.at(-1)!;
  try {
    options.onStep?.("name", null);
    options.onStep?.("name", `looked up by ${last.summary.address}`);
    options.onStep?.("route", null);
    const from = { ...place, from: last.summary.address };
    const stream = await openThrough(last, from);
    options.onStep?.("route", `through ${last.summary.address}`);
    return { stream, place: from, via };
  } catch (error) {
    for (const session of via) session.close();
    throw error;
  }
}

/** `-J a,b`: b is reached through a, whatever is configured for it; a as its own configuration says. */
async function connectJumps(
  context: BuiltInContext,
  jumps: readonly JumpSpec[],
  depth: number,
): Promise<BuiltInSession[]> {
  const before = jumps.slice(0, -1);
  const last = jumps.at(-1)!;
  const access = { address: last.address, port: last.port, user: last.user, identityFiles: [], jump: "" };
  const resolved = resolveTarget(context.config, access, context.environment);
  const target = before.length > 0 ? { ...resolved, jumps: before } : resolved;
  const { hostId, isInteractive, signal } = context.options;
  try {
    // The steps that are shown are those of the machine itself.
    const quiet = { ...context, options: { hostId, isInteractive, signal } };
    const session = await connectBuiltIn(quiet, target, "", depth + 1);
    return [session];
  } catch (error) {
    throw onTheWay(error, last.address);
  }
}

/** A failure of a machine in between says so; everything else about it stays. */
function onTheWay(error: unknown, jump: string): unknown {
  if (error instanceof Failure) error.message = `On the way through ${jump}: ${error.message}`;
  return error;
}

async function openThrough(session: BuiltInSession, place: Place): Promise<Duplex> {
  try {
    return await session.openTcp(place.hostName, place.port);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { reason, message } = error as Error & { reason?: number };
    // RFC 4254, section 5.1: 1 = administratively prohibited.
    if (reason === 1) {
      throw unreachable(
        `${place.from} forbids connections to other machines, so ${place.hostName} cannot be reached through it.`,
        "Set AllowTcpForwarding yes in its sshd_config, or take another way (ProxyJump).",
        error,
      );
    }
    const said = strangersText(message.replace("(SSH) Channel open failure: ", ""));
    if (reason === undefined) throw connectionLost(place, `(${said})`, error);
    throw unreachable(
      `${place.from} could not reach ${place.hostName}:${place.port}: ${said || "no reason given"}.`,
      "Check the name as that machine knows it, and its network.",
      error,
    );
  }
}
