/** One login with the built-in client: the way there, machine by machine, each with its own key and its own proof. */
import type { Duplex } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { SshSummarySchema, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { Failure } from "@wardline/domain/errors";
import type { ConnectSlots } from "../../agent/connect-slots.ts";
import type { QuestionAsker } from "../../questions/questions.ts";
import type { OpenedKeys } from "../authentication/identity-files.ts";
import type { SshTarget } from "../config/target.ts";
import type { PublicKey } from "../keys/public-key.ts";
import type { ConnectOptions } from "../ssh-session.ts";
import { canceled, connectionLost, type Place, strangersText, unreachable } from "./failures.ts";
import { type Handshake, type HandshakeInput, handshake, type PhaseLimitsMs, probeHostKey } from "./handshake.ts";
import { reach } from "./reach.ts";
import { BuiltInSession } from "./session.ts";

export interface BuiltInContext {
  readonly asker: QuestionAsker;
  readonly opened: OpenedKeys;
  readonly options: ConnectOptions;
  /** How many key exchanges are made at once. */
  readonly slots: ConnectSlots;
  readonly limitsMs?: PhaseLimitsMs | undefined;
  /** What only the system's `ssh` could have offered to a machine that let nobody in. */
  readonly onUnsupported?: (what: readonly string[]) => void;
}

/** A byte stream to a machine, before anything is said on it. */
interface Reached {
  readonly stream: Duplex;
  readonly place: Place;
}

/**
 * @param way the machines in between, first to last, then the machine itself
 * @throws Failure as `SshConnector.connect`
 */
export async function connectBuiltIn(
  context: BuiltInContext,
  way: readonly SshTarget[],
  command: string,
): Promise<BuiltInSession> {
  const via = await connectHops(context, way);
  try {
    return await login(context, way.at(-1)!, via, command);
  } catch (error) {
    closeAll(via);
    throw error;
  }
}

/** The key that the machine shows now. Whoever is in between is checked and logged in to as usual. */
export async function probeBuiltIn(context: BuiltInContext, way: readonly SshTarget[]): Promise<PublicKey> {
  const target = way.at(-1)!;
  const via = await connectHops(context, way);
  try {
    const { stream, place } = await reachFrom(via.at(-1), target, context.options);
    return await probeHostKey(handshakeInput(context, target, stream, place));
  } finally {
    closeAll(via);
  }
}

/** Logs in to each machine in between, from the one before. */
async function connectHops(context: BuiltInContext, way: readonly SshTarget[]): Promise<BuiltInSession[]> {
  const { hostId, isInteractive, signal } = context.options;
  // The steps that are shown are those of the machine itself.
  const quiet = { ...context, options: { hostId, isInteractive, signal } };
  const via: BuiltInSession[] = [];
  for (const hop of way.slice(0, -1)) {
    try {
      via.push(await login(quiet, hop, via, ""));
    } catch (error) {
      closeAll(via);
      throw onTheWay(error, hop.hostName);
    }
  }
  return via;
}

async function login(
  context: BuiltInContext,
  target: SshTarget,
  via: readonly BuiltInSession[],
  command: string,
): Promise<BuiltInSession> {
  const { stream, place } = await reachFrom(via.at(-1), target, context.options);
  const { client, hostKey } = await handshakeInTurn(context, handshakeInput(context, target, stream, place));
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
  if (!context.options.signal.aborted) return session;
  session.close();
  throw canceled();
}

/** A machine that does not even answer takes nobody's turn: it never comes this far. */
async function handshakeInTurn({ slots, options }: BuiltInContext, input: HandshakeInput): Promise<Handshake> {
  const giveBack = await slots.take(options.signal);
  try {
    return await handshake(input);
  } finally {
    giveBack();
  }
}

/** From here, or through the machine before. */
async function reachFrom(
  last: BuiltInSession | undefined,
  target: SshTarget,
  options: ConnectOptions,
): Promise<Reached> {
  const { hostName, port } = target;
  if (!last) return { stream: await reach(target, options), place: { hostName, port, from: "" } };
  const place = { hostName, port, from: last.summary.address };
  options.onStep?.("name", null);
  options.onStep?.("name", `looked up by ${place.from}`);
  options.onStep?.("route", null);
  const stream = await openThrough(last, place);
  options.onStep?.("route", `through ${place.from}`);
  return { stream, place };
}

function closeAll(sessions: readonly BuiltInSession[]): void {
  for (const session of sessions.toReversed()) session.close();
}

function handshakeInput(context: BuiltInContext, target: SshTarget, stream: Duplex, place: Place): HandshakeInput {
  const { asker, opened, options, onUnsupported, limitsMs } = context;
  const { hostId, isInteractive, signal, onStep } = options;
  return { target, stream, place, asker, opened, hostId, isInteractive, signal, onStep, onUnsupported, limitsMs };
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
