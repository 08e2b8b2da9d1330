/** Roll-outs on the command line: started, followed with a line for each change, and looked at later. */
import { toJson } from "@bufbuild/protobuf";
import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import {
  type Rollout,
  type RolloutHost,
  RolloutHostState,
  RolloutSchema,
  RolloutService,
  RolloutState,
} from "@wardline/api/wardline/console/v1/rollout";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { ApplyOptions } from "../program.ts";
import { type Session, withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import { withWords } from "./each-host.ts";
import type { RolloutOptions, RolloutVerbOptions } from "./policy-rollout.options.ts";

type Verb = "list" | "show" | "continue" | "stop" | "retry";

const clientOf = (session: Session) =>
  createClient(
    RolloutService,
    createRouterTransport((router) => session.backend.routes(router)),
  );

const lower = (name: string | undefined) => (name ?? "").toLowerCase().replaceAll("_", " ");

/** `wardline policy apply --hosts` after the plan was shown. */
export async function startRollout(
  output: Output,
  session: Session,
  options: ApplyOptions & RolloutOptions,
  planId: string,
): Promise<ExitCode> {
  const client = clientOf(session);
  const start = (typed: string) =>
    client.startRollout({
      planId,
      mode: options.mode === "enforce" ? EnforcementMode.ENFORCE : EnforcementMode.OBSERVE,
      confirmWithin: durationFromMs(options.confirmWithin),
      reason: options.reason,
      ticket: options.ticket,
      overrideFailedTestsReason: options.overrideTests ?? "",
      stagePercents: [...options.stages],
      canaryHostIds: options.canary.map((name) => session.backend.registry.byIdOrName(name).id),
      automatic: options.automatic,
      gates: {
        watchFor: durationFromMs(options.watch),
        denialsAboveForecast: options.watch > 0 ? options.maxDenials : 0,
      },
      catchUp: options.catchUp,
      typed,
    });
  const { rolloutId } = await withWords(options.typed, start);
  return follow(output, session, rolloutId);
}

/** `wardline policy rollout VERB`. */
export async function policyRollout(
  output: Output,
  options: RolloutVerbOptions,
  verb: Verb,
  given: string,
): Promise<ExitCode> {
  return withSession(options, {}, async (session) => {
    const client = clientOf(session);
    const rollouts = await current(session);
    if (verb === "list") {
      if (output.format === "json") output.json({ rollouts: rollouts.map((each) => toJson(RolloutSchema, each)) });
      else output.text(rollouts.length === 0 ? "There was no roll-out yet.\n" : formatList(rollouts));
      return EXIT.done;
    }
    const { id: rolloutId, stage } = find(rollouts, given);
    if (verb === "show") {
      show(output, find(rollouts, given));
      return EXIT.done;
    }
    if (verb === "continue") await client.continueRollout({ rolloutId, stage });
    if (verb === "stop") {
      const { confirmedToo, reason } = options;
      await client.stopRollout({ rolloutId, confirmedToo, reason });
    }
    if (verb !== "retry") return follow(output, session, rolloutId, verb === "stop");
    const retried = await withWords(options.typed, (typed) => client.retryRollout({ rolloutId, typed }));
    return follow(output, session, retried.rolloutId);
  });
}

async function current(session: Session): Promise<readonly Rollout[]> {
  for await (const { rollouts } of clientOf(session).watchRollouts({})) return rollouts;
  return [];
}

function find(rollouts: readonly Rollout[], given: string): Rollout {
  const found = rollouts.filter(({ id }) => id.startsWith(given));
  const [only] = found;
  if (only && found.length === 1) return only;
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `${found.length === 0 ? "No roll-out has" : "Several roll-outs have"} the id ${JSON.stringify(given.slice(0, 40))}.`,
    hint: "`wardline policy rollout list` shows the newest ones.",
  });
}

/** Until it has ended or waits for somebody; a receipt for each host as it comes. */
async function follow(output: Output, session: Session, id: string, isStop = false): Promise<ExitCode> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  process.once("SIGINT", leave);
  const told = new Map<string, RolloutHostState>();
  let last: Rollout | undefined;
  try {
    for await (const { rollouts } of clientOf(session).watchRollouts({}, { signal: leaving.signal })) {
      last = rollouts.find((rollout) => rollout.id === id) ?? last;
      if (!last) continue;
      for (const host of last.hosts) {
        if (told.get(host.hostId) === host.state) continue;
        told.set(host.hostId, host.state);
        output.note(`  ${visible(host.hostName)}: ${lower(RolloutHostState[host.state])}${evidence(host)}`);
      }
      if (last.endedAt || (last.state === RolloutState.WAITING && !isStop)) break;
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw failureFromConnectError(error) ?? error;
  } finally {
    process.removeListener("SIGINT", leave);
  }
  if (leaving.signal.aborted) return left(output, id, last);
  if (!last) return EXIT.problems;
  show(output, last);
  if (isStop) return EXIT.done;
  const isFine = last.state === RolloutState.DONE || last.state === RolloutState.WAITING;
  return isFine && last.hosts.every(({ state }) => state !== RolloutHostState.FAILED) ? EXIT.done : EXIT.problems;
}

function left(output: Output, id: string, last: Rollout | undefined): ExitCode {
  const pending = last?.hosts.filter(({ state }) => state === RolloutHostState.PENDING).length ?? 0;
  const short = id.slice(0, 8);
  output.note(
    `Left while it was under way. Hosts that were confirmed keep the change; ${pending} that wait return by themselves when\n` +
      "their time is over, unless a running console takes the roll-out up and confirms them.\n" +
      `  To end it now: wardline policy rollout stop ${short}\n  To look at it: wardline policy rollout show ${short}`,
  );
  return EXIT.problems;
}

function show(output: Output, rollout: Rollout): void {
  if (output.format === "json") {
    output.json(toJson(RolloutSchema, rollout));
    return;
  }
  const { id, state, explanation, stage, hosts } = rollout;
  const short = id.slice(0, 8);
  const why = explanation === "" ? "" : `\n  ${visible(explanation)}`;
  const next =
    state === RolloutState.WAITING
      ? `\n  To go on (stage ${stage + 1}): wardline policy rollout continue ${short}\n  To end it: wardline policy rollout stop ${short}`
      : "";
  output.text(`${output.style.bold(`Roll-out ${short}`)} is ${lower(RolloutState[state])}.${why}${next}\n`);
  output.text(
    formatTable(
      ["HOST", "STAGE", "STATE", "GENERATION", "DIGEST", "CONFIRMED", "DENIED", "FORECAST/MIN", "PROBLEM"],
      hosts.map((host) => [
        host.hostName,
        String(host.stage + 1),
        lower(RolloutHostState[host.state]),
        host.receipt?.generation ? String(host.receipt.generation.number) : "",
        host.receipt?.generation?.programDigest.slice(0, 12) ?? "",
        host.receipt?.confirmedAt ? timestampDate(host.receipt.confirmedAt).toISOString() : "",
        String(host.receipt?.deniedPackets ?? 0n),
        (host.receipt?.forecastDenialsPerMinute ?? 0).toFixed(1),
        host.error?.message ?? "",
      ]),
    ),
  );
}

function evidence({ receipt, error }: RolloutHost): string {
  if (error) return `: ${visible(error.message)}`;
  return receipt?.generation ? `, generation ${receipt.generation.number}` : "";
}

function formatList(rollouts: readonly Rollout[]): string {
  return formatTable(
    ["ID", "STARTED", "STATE", "HOSTS", "BY", "REASON"],
    rollouts.map(({ id, startedAt, state, hosts, author, reason }) => [
      id.slice(0, 8),
      startedAt ? timestampDate(startedAt).toISOString() : "",
      lower(RolloutState[state]),
      String(hosts.length),
      author,
      reason,
    ]),
  );
}
