/** Another place for what the cluster agreed on: asked, compared, filled, and only then used. */
import { create } from "@bufbuild/protobuf";
import { type TestStoreResponse, TestStoreResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import {
  type ClusterRecord,
  ClusterRecordSchema,
  type StoreConfiguration,
  StoreKind,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { sentenceOf } from "../leadership/waiting.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { encode, readClusterRecord } from "./clusterRecord.ts";
import { type MemberUsers, readMembers } from "./memberUsers.ts";
import { copyEverything, inspectTarget, isSameStore } from "./moving.ts";
import type { NodeLife } from "./nodeLife.ts";
import { KEYS } from "./nodePorts.ts";
import { openStore } from "./stores.ts";
import type { Working } from "./working.ts";

const TEST_TIMEOUT_MS = 5_000;
const LEADING_WITHIN_MS = 10_000;

/** Asks whether it could be used, and says in sentences what is in the way. Nothing is written there. */
export async function testStore(life: NodeLife, configuration: StoreConfiguration): Promise<TestStoreResponse> {
  if (configuration.kind === StoreKind.EMBEDDED) return create(TestStoreResponseSchema, { usable: true });
  const store = await openStore(configuration, life.context, life.working?.parts.plan.links?.identity ?? null);
  try {
    const endpoints = await store.endpoints({ timeoutMs: TEST_TIMEOUT_MS });
    const problems = endpoints.flatMap((each) => {
      const alarms = each.alarms.map((alarm) => `${each.endpoint} has the alarm ${alarm}.`);
      return each.reachable ? alarms : [`${each.endpoint} does not answer: ${each.problem || "no reason was given"}`];
    });
    const obstacle = await obstacleIn(store, life.configuration?.clusterId ?? null);
    const users = configuration.usersPerMember ? await usersOf(life, configuration).obstacles() : [];
    const obstacles = [...(obstacle === null ? [] : [obstacle]), ...users];
    const all = [...problems, ...obstacles];
    return create(TestStoreResponseSchema, {
      endpoints: [...endpoints],
      usable: obstacles.length === 0,
      problems: all,
    });
  } finally {
    await store.close();
  }
}

/** Why that store cannot be used by this node, or `null`. A read there needs a majority, so it shows that as well. */
async function obstacleIn(store: ClusterStore, clusterId: string | null): Promise<string | null> {
  try {
    const state = await inspectTarget(store, (record) => record.clusterId === clusterId);
    return state.kind === "taken" ? state.failure.message : null;
  } catch (error) {
    return sentenceOf(error);
  }
}

/** Within no other change. Throws `Failure`; then the cluster is where it was. */
export async function moveTo(life: NodeLife, configuration: StoreConfiguration): Promise<void> {
  const { working } = life;
  if (working === null || life.configuration === null) throw notAMember();
  const { clusterId } = life.configuration;
  const target = await openForMove(life, configuration);
  let isClosed = false;
  const close = async () => {
    if (!isClosed) await target.close();
    isClosed = true;
  };
  try {
    const state = await inspectTarget(target, (record) => record.clusterId === clusterId);
    if (state.kind === "taken") throw state.failure;
    if (state.kind === "this-cluster") await announce(life, working, target, configuration);
    else await carryOver(life, working, { store: target, leftover: state.leftover, close }, configuration);
  } finally {
    await close();
  }
}

interface Target {
  readonly store: ClusterStore;
  readonly leftover: Parameters<typeof copyEverything>[2];
  /** Before it is opened again as the cluster's own: the embedded one is open once. */
  readonly close: () => Promise<void>;
}

async function openForMove(life: NodeLife, configuration: StoreConfiguration): Promise<ClusterStore> {
  const { working } = life;
  if (configuration.kind === StoreKind.EMBEDDED) {
    if (working?.parts.store.kind === "embedded") throw alreadyThere();
    // What lies there is from before this host came to etcd.
    await life.putEmbeddedAside();
  }
  return openStore(configuration, life.context, working?.parts.plan.links?.identity ?? null);
}

/** Throws `Failure` NOT_A_MEMBER. */
function usersOf({ working }: NodeLife, configuration: StoreConfiguration): MemberUsers {
  const links = working?.parts.plan.links;
  if (!links) throw notAMember();
  return links.memberUsers(configuration);
}

/** Other endpoints of the store that the cluster is in: each member learns them from the cluster's record. */
async function announce(
  life: NodeLife,
  { parts }: Working,
  target: ClusterStore,
  configuration: StoreConfiguration,
): Promise<void> {
  const term = parts.leadership.held();
  if (term === null || !(await isSameStore(parts.store, target, term))) {
    throw new Failure({
      code: ErrorCode.ALREADY_EXISTS,
      message: "That store holds a copy of this cluster, but it is another store than the present one.",
      hint: "Delete what is in it first. Nothing was changed.",
    });
  }
  const read = await readClusterRecord(parts.store);
  if (read === null) throw notAMember();
  if (configuration.usersPerMember) await usersOf(life, configuration).enable(await readMembers(parts.store));
  else if (read.record.store?.usersPerMember) await usersOf(life, configuration).disable();
  const record = create(ClusterRecordSchema, { ...read.record, store: configuration });
  const { succeeded } = await parts.store.transact({
    compare: [...term.fence, { key: KEYS.cluster, target: "mod", operator: "=", number: read.modRevision }],
    then: [{ kind: "put", key: KEYS.cluster, value: encode(ClusterRecordSchema, record) }],
  });
  if (!succeeded) throw conflict();
}

async function carryOver(life: NodeLife, working: Working, target: Target, store: StoreConfiguration): Promise<void> {
  const { hostName } = life.ports;
  const others = working.parts.membership.members().filter(({ record }) => record?.name !== hostName);
  if (others.length > 0) throw notAlone(others.map(({ record }) => record?.name ?? "?"));
  const read = await readClusterRecord(working.parts.store);
  const { configuration } = life;
  if (read === null || configuration === null) throw notAMember();
  const record: ClusterRecord = create(ClusterRecordSchema, { ...read.record, store, incomplete: true });
  const next = { ...configuration, store };
  const users = store.usersPerMember ? usersOf(life, store) : null;
  const usersBefore = configuration.store.usersPerMember ? usersOf(life, configuration.store) : null;
  await users?.refuseObstacles();
  await life.changes.run(async () => {
    try {
      await life.shut("resigned", async () => {
        await copyEverything(working.parts.store, target.store, target.leftover, record);
        await users?.enable([{ name: hostName, candidate: true }]);
        // From here on the new store counts.
        await life.file.write(next);
        // Nobody of this cluster will come back there to open it for others.
        await usersBefore?.disable();
      });
    } finally {
      await target.close();
      await life.reopen();
    }
  });
  if (configuration.store.kind === StoreKind.EMBEDDED) await life.putEmbeddedAside();
  await life.working?.leading(LEADING_WITHIN_MS);
}

function notAlone(names: readonly string[]): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The cluster has other members (${names.slice(0, 5).join(", ")}): their writes would be lost on the way into an empty store.`,
    hint: "Add members to etcd itself, or let the other hosts leave first.",
  });
}

function alreadyThere(): Failure {
  return new Failure({ code: ErrorCode.ALREADY_EXISTS, message: "The cluster is in the embedded store already." });
}

function notAMember(): Failure {
  return new Failure({
    code: ErrorCode.NOT_A_MEMBER,
    message: "This host is in no cluster.",
    hint: "Make one first: wardline cluster init.",
  });
}

function conflict(): Failure {
  return new Failure({
    code: ErrorCode.VERSION_CONFLICT,
    message: "The cluster's settings were changed at the same moment. Nothing was changed.",
    retryable: true,
  });
}
