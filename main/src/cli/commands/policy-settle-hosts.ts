/** `wardline policy confirm|rollback --hosts SELECTOR` */
import { toJson } from "@bufbuild/protobuf";
import { type Generation, GenerationSchema } from "@wardline/api/wardline/v1/host";
import { Failure } from "@wardline/domain/errors";
import type { ManagedHost } from "../../backend/hosts/managed-host.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { selectHostIds } from "../input/host-selection.ts";
import type { Output } from "../output.ts";
import type { Session } from "../session.ts";
import { type AskWords, type Done, endOf, onEachHost, outcomeOf, requireWords, tell } from "./each-host.ts";

export interface SettleHostsOptions {
  readonly hosts: string;
  readonly reason: string;
  readonly typed: string;
}

/**
 * Asks every host first: what is kept or left is what it had then, whatever comes meanwhile. Hosts on which there is
 * nothing to settle are said and left alone; exit code 1 when that is all of them.
 * @throws Failure CONFIRMATION_REQUIRED, INVALID_ARGUMENT, NOT_FOUND: nothing was changed
 */
export async function settleHosts(
  output: Output,
  session: Pick<Session, "backend" | "ship">,
  verb: "confirm" | "rollback",
  { hosts: selector, reason, typed }: SettleHostsOptions,
  ask?: AskWords,
): Promise<ExitCode> {
  const hosts = session.backend.registry.select(selectHostIds(session, selector));
  const found = new Map<ManagedHost, bigint | Failure | null>();
  await Promise.all(hosts.map(async (host) => found.set(host, await outcomeOf(generationOf(host, verb)))));
  const targets = hosts.filter((host) => typeof found.get(host) === "bigint");
  await requireWords(verb === "confirm" ? "confirm" : "roll back", targets, typed, ask);
  const aside = hosts.flatMap((host) => {
    const why = found.get(host);
    if (typeof why === "bigint") return [];
    return [{ host, done: why instanceof Failure ? why : nothing(verb) }];
  });
  for (const result of aside) tell(output, result);
  const settled = await onEachHost(output, targets, async (host) => {
    const generation = found.get(host) as bigint;
    const request = { hostId: host.id, generation };
    if (verb === "confirm") return kept((await session.ship.confirm(request)).generation, generation);
    return left((await session.ship.rollback({ ...request, reason })).generation);
  });
  const byHost = new Map([...aside, ...settled].map((result) => [result.host, result]));
  const exitCode = endOf(
    output,
    hosts.flatMap((host) => byHost.get(host) ?? []),
  );
  return targets.length === 0 && exitCode === EXIT.done ? EXIT.problems : exitCode;
}

/** What there is to settle on a host; `null` for nothing. @throws Failure when it cannot be reached */
async function generationOf({ connection }: ManagedHost, verb: "confirm" | "rollback"): Promise<bigint | null> {
  await connection.client();
  const { status } = connection.state;
  const pending = status?.pending?.generation?.number;
  const enforced = status?.enforced?.number ?? 0n;
  if (pending !== undefined) return pending;
  return verb === "rollback" && enforced > 0n ? enforced : null;
}

function nothing(verb: "confirm" | "rollback"): Done {
  return { json: { generation: null }, words: verb === "confirm" ? "nothing waits" : "nothing is in force" };
}

function kept(generation: Generation | undefined, number: bigint): Done {
  return { json: jsonOf(generation), words: `confirmed: generation ${number} stays in force` };
}

function left(generation: Generation | undefined): Done {
  const now = generation?.number ?? 0n;
  const words = now === 0n ? "no policy is in force now" : `generation ${now} is in force now`;
  return { json: jsonOf(generation), words: `rolled back: ${words}` };
}

function jsonOf(generation: Generation | undefined) {
  return { generation: generation ? toJson(GenerationSchema, generation) : null };
}
