/** The end of a membership: by this host's own wish, or because the others removed it. What is enforced stays either way. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { LeaveClusterRequest } from "@wardline/api/wardline/agent/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Accept } from "../../generations/controllerTypes.ts";
import { sentenceOf, waitFor } from "../leadership/waiting.ts";
import { removal } from "../membership/memberRecords.ts";
import type { Asker } from "../service/writes.ts";
import type { Compare } from "../store/clusterStore.ts";
import type { NodeLife } from "./nodeLife.ts";
import { KEYS } from "./nodePorts.ts";
import type { Working } from "./working.ts";

const ATTEMPTS = 3;
const RETRY_MS = 500;

/**
 * Always ends the membership on this host. Resolves with sentences about what could not be done in the cluster, such as a
 * record that stays because the store does not answer. Throws `Failure` NOT_A_MEMBER.
 */
export function leaveCluster(
  life: NodeLife,
  { reason }: LeaveClusterRequest,
  asker: Asker,
  accept: Accept,
): Promise<readonly string[]> {
  return life.changes.run(async () => {
    const { configuration } = life;
    if (life.isAlone) throw notAMember();
    await accept();
    const problems: string[] = [];
    await life.shut("resigned", async (working) => {
      await sayGoodbyeSoon(working, asker).catch((error: unknown) =>
        problems.push(stillListed(life, sentenceOf(error))),
      );
    });
    if (life.working === null && configuration === null)
      problems.push("The configuration was damaged: the cluster was not told.");
    await forget(life);
    const because = reason === "" ? "" : ` (${reason.slice(0, 300)})`;
    const from = configuration === null ? "its cluster" : `the cluster ${configuration.clusterName}`;
    await life.notice.write(
      `This host left ${from}${because}: it is its own master and enforces what it enforced last.`,
    );
    await life.reopen();
    return problems;
  });
}

/** The cluster's record of this member is gone: the same on this side, without a word to the others. */
export function endRemoved(life: NodeLife, working: Working): Promise<void> {
  return life.changes.run(async () => {
    const { configuration } = life;
    if (life.working !== working || configuration === null) return;
    await life.shut("removed");
    await forget(life);
    const sentence = `This host was removed from the cluster ${configuration.clusterName}: it is its own master and enforces what it enforced last.`;
    await life.notice.write(sentence);
    life.ports.log.warn({}, sentence);
    await life.ports.trail.automatic("cluster.removed", sentence);
    await life.reopen();
  });
}

/** A store or a candidate that is busy with other changes refuses for a moment; a repetition of what was done says that it was. */
async function sayGoodbyeSoon(working: Working, asker: Asker): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sayGoodbye(working, asker);
    } catch (error) {
      const isDone = error instanceof Failure && [ErrorCode.NOT_A_MEMBER, ErrorCode.NOT_FOUND].includes(error.code);
      if (isDone && attempt > 1) return;
      if (attempt === ATTEMPTS) throw error;
      await waitFor(working.parts.plan.ports.clock, RETRY_MS, new AbortController().signal);
    }
  }
}

/** A candidate takes its own records out; a plain member, which must not write them, asks a candidate. */
async function sayGoodbye({ parts }: Working, asker: Asker): Promise<void> {
  const { plan, store } = parts;
  const { hostName } = plan.ports;
  // Asked of the store itself: a list that was not read yet is empty as well.
  const { items } = await store.range(KEYS.members, { keysOnly: true, limit: 2 });
  const isLast = items.length === 1 && items[0]?.key === KEYS.member(hostName);
  if (isLast && store.kind === "etcd") {
    // With its last member the cluster ends: nobody could read what would stay there.
    const isStillLast = items.map(({ key, modRevision }) => unchanged(key, modRevision));
    await store.transact({ compare: isStillLast, then: [{ kind: "delete-prefix", prefix: KEYS.root }] });
    // Its administrator goes with the authority: nobody could get into that etcd any more.
    if (plan.configuration.usersPerMember) await plan.links?.memberUsers(plan.configuration).disable();
  } else if (plan.candidate) {
    const { then } = removal(KEYS, hostName);
    await store.transact({ compare: [], then });
  } else await plan.links?.leave(asker.actor.replace(/ on [^ ]+$/, ""));
}

const unchanged = (key: string, modRevision: bigint): Compare => {
  return { key, target: "mod", operator: "=", number: modRevision };
};

/** Configuration first: from then on this host is no member, whatever happens to the rest. */
async function forget(life: NodeLife): Promise<void> {
  await life.file.remove();
  const { IdentityStore } = await import("../../identity/identityStore.ts");
  await new IdentityStore(life.ports.stateDir).remove();
  // Certificates for programs on this host, and what the reconciler knew of the cluster's sets.
  for (const name of ["tls", "etcd", "joining.json", "desired.json"]) {
    await rm(join(life.directory, name), { force: true, recursive: true });
  }
  await life.putEmbeddedAside();
}

function notAMember(): Failure {
  return new Failure({ code: ErrorCode.NOT_A_MEMBER, message: "This host is in no cluster." });
}

function stillListed({ ports }: NodeLife, reason: string): string {
  return `The cluster still lists this host, because it could not be told (${reason}). Remove it there: wardline cluster remove ${ports.hostName}.`;
}
