import { toJson } from "@bufbuild/protobuf";
import { type Generation, GenerationSchema } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import { type Session, withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { SettleOptions } from "./policy-settle.options.ts";
import { type SettleHostsOptions, settleHosts } from "./policy-settle-hosts.ts";

/** `wardline policy confirm` */
export async function policyConfirm(output: Output, options: SettleOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    if (options.hosts !== undefined) return settleHosts(output, session, "confirm", ofMany(options, options.hosts));
    const { pending, name } = await contact(session, options.host);
    const generation = options.generation ?? pending;
    if (generation === null) {
      throw new Failure({ code: ErrorCode.NOTHING_PENDING, message: `Nothing waits for confirmation on ${name}.` });
    }
    const answer = await session.ship.confirm({ hostId: options.host, generation });
    show(output, answer.generation, `Confirmed: generation ${generation} stays in force on ${visible(name)}.`);
    return EXIT.done;
  });
}

/** `wardline policy rollback`: leaves the pending generation, or the confirmed one. */
export async function policyRollback(output: Output, options: SettleOptions): Promise<ExitCode> {
  requireChangesAllowed();
  return withSession(options, {}, async (session) => {
    if (options.hosts !== undefined) return settleHosts(output, session, "rollback", ofMany(options, options.hosts));
    const { pending, enforced, name } = await contact(session, options.host);
    const generation = options.generation ?? pending ?? enforced;
    if (generation === null) {
      throw new Failure({
        code: ErrorCode.NOTHING_PENDING,
        message: `Nothing is in force on ${name} that could be left.`,
      });
    }
    const { reason } = options;
    const answer = await session.ship.rollback({ hostId: options.host, generation, reason });
    const now = answer.generation?.number ?? 0n;
    const what = now === 0n ? "no policy is in force" : `generation ${now} is in force`;
    show(output, answer.generation, `Rolled back: ${what} on ${visible(name)} now.`);
    return EXIT.done;
  });
}

/** @throws UsageError */
function ofMany({ generation, reason, typed }: SettleOptions, hosts: string): SettleHostsOptions {
  if (generation === undefined) return { hosts, reason, typed };
  throw new UsageError("Generations are numbered by each host: --generation goes with --host only.");
}

/** What the host itself says now. @throws Failure when it cannot be reached */
async function contact(session: Session, hostId: string) {
  const { connection } = session.backend.registry.byId(hostId);
  await connection.client();
  const { status } = connection.state;
  const enforced = status?.enforced?.number ?? 0n;
  return {
    name: connection.hostName,
    pending: status?.pending?.generation?.number ?? null,
    enforced: enforced === 0n ? null : enforced,
  };
}

function show(output: Output, generation: Generation | undefined, sentence: string): void {
  if (output.format === "json") output.json({ generation: generation ? toJson(GenerationSchema, generation) : null });
  else output.text(`${sentence}\n`);
}
