/** A cluster of this one host. It counts once `config.json` is there; whatever was made before is made again by a repetition. */
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { InitClusterRequest } from "@wardline/api/wardline/agent/v1/cluster";
import {
  type ClusterRecord,
  ClusterRecordSchema,
  MemberRecordSchema,
  StoreConfigurationSchema,
  StoreKind,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toTimestamp } from "../../agent/clock.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import { readPeerAddress } from "../service/fields.ts";
import { readStore } from "../service/storeRequest.ts";
import type { Asker } from "../service/writes.ts";
import type { ClusterStore, Operation } from "../store/clusterStore.ts";
import { encode } from "./clusterRecord.ts";
import type { NodeConfiguration } from "./configFile.ts";
import { copyEverything, inspectTarget } from "./moving.ts";
import type { NodeLife } from "./nodeLife.ts";
import { KEYS, USUAL_LEASE_MS } from "./nodePorts.ts";
import { checkOwnAddress } from "./ownAddress.ts";
import { openStore } from "./stores.ts";

/** How long the answer waits for this host to lead, which takes a few milliseconds on a store that answers. */
const LEADING_WITHIN_MS = 10_000;

export function refuseSecondCluster(life: NodeLife): void {
  const { configuration } = life;
  if (configuration !== null) {
    throw new Failure({
      code: ErrorCode.ALREADY_EXISTS,
      message: `This host is a member of the cluster ${configuration.clusterName}.`,
      hint: "Let it leave first: wardline cluster leave.",
    });
  }
  if (!life.isAlone) throw life.unavailable();
}

/** Throws `Failure`; then this host is alone as before. */
export function initCluster(life: NodeLife, request: InitClusterRequest, asker: Asker, accept: Accept): Promise<void> {
  return life.changes.run(async () => {
    refuseSecondCluster(life);
    const plan = await planOf(life, request, asker);
    await accept();
    await life.shut();
    try {
      await found(life, plan);
      await life.notice.remove();
    } catch (error) {
      await life.reopen();
      throw error;
    }
    const working = await life.openMember(plan.configuration);
    await working.leading(LEADING_WITHIN_MS);
  });
}

async function planOf(life: NodeLife, request: InitClusterRequest, { actor }: Asker) {
  const { hostName, clock } = life.ports;
  const { foundCluster } = await import("../../identity/founding.ts");
  const trustDomain = request.trustDomain || `${request.clusterName}.wardline`;
  const peerAddress = readPeerAddress(request.peerAddress);
  const store = request.store
    ? readStore(request.store)
    : create(StoreConfigurationSchema, { kind: StoreKind.EMBEDDED });
  if (store.usersPerMember) throw certificatesFirst();
  const leaseMs = request.lease ? durationMs(request.lease) : USUAL_LEASE_MS;
  await checkOwnAddress(peerAddress);
  const { clusterName, labels } = request;
  const nowMs = clock.wallMs();
  const who = { clusterName, trustDomain, memberName: hostName, peerAddress };
  const founding = await foundCluster({ ...who, labels, admittedBy: actor, nowMs });
  const clusterId = randomBytes(16).toString("hex");
  const record = create(ClusterRecordSchema, {
    clusterName,
    trustDomain,
    clusterId,
    store,
    lease: durationFromMs(leaseMs),
    createdAt: toTimestamp(nowMs),
    createdBy: actor,
    incomplete: true,
  });
  const configuration: NodeConfiguration = { ...who, clusterId, candidate: true, store, leaseMs, knownMembers: [] };
  return { founding, record, configuration };
}

type Plan = Awaited<ReturnType<typeof planOf>>;

/** Everything on disk and in the store when it returns. */
async function found(life: NodeLife, plan: Plan): Promise<void> {
  const { founding, configuration } = plan;
  const { IdentityStore } = await import("../../identity/identityStore.ts");
  const identities = new IdentityStore(life.ports.stateDir);
  const { context } = life;
  const own = await openStore(create(StoreConfigurationSchema, { kind: StoreKind.EMBEDDED }), context, null);
  try {
    if (configuration.store.kind === StoreKind.EMBEDDED) {
      await forgetAttempt(own);
      await writeFounding(own, plan, [put(KEYS.cluster, encode(ClusterRecordSchema, plan.record))]);
    } else await foundElsewhere(life, own, plan);
  } finally {
    await own.close();
  }
  await identities.writeSealKey(founding.sealKey);
  await identities.writeAuthority(founding.authority.toRecord(founding.sealKey));
  await identities.writeIdentity(founding.identity);
  await life.file.write(configuration);
}

/** In an etcd from the start: what this host wrote while it was alone goes along. */
async function foundElsewhere(life: NodeLife, own: ClusterStore, plan: Plan): Promise<void> {
  const target = await openStore(plan.configuration.store, life.context, null);
  try {
    const state = await inspectTarget(target, (record) => isOwnAttempt(record, plan.record));
    if (state.kind === "taken") throw state.failure;
    if (state.kind === "this-cluster") throw alreadyThere(plan.record.clusterName);
    await copyEverything(own, target, state.leftover, plan.record);
    await writeFounding(target, plan, []);
  } finally {
    await target.close();
  }
}

/** Left by an init of the same name on this same host that did not come to its end. */
function isOwnAttempt(found: ClusterRecord, wanted: ClusterRecord): boolean {
  const hostOf = ({ createdBy }: ClusterRecord) => createdBy.slice(createdBy.lastIndexOf(" on "));
  return found.incomplete && found.clusterName === wanted.clusterName && hostOf(found) === hostOf(wanted);
}

function certificatesFirst(): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "An etcd that knows members by their certificates needs an authority first, and there is none yet.",
    hint: "Make the cluster in the embedded store, issue certificates for etcd, and change to it then.",
  });
}

function alreadyThere(clusterName: string): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `That store holds the cluster ${clusterName} already.`,
  });
}

async function writeFounding(store: ClusterStore, { founding }: Plan, more: readonly Operation[]): Promise<void> {
  const { AuthorityStore } = await import("../../identity/authorityStore.ts");
  const { authority, sealKey, record } = founding;
  const { clusterName, trustDomain } = authority;
  const authorities = new AuthorityStore({ store, keys: KEYS, sealKey, clusterName, trustDomain });
  await authorities.initialise(authority, [put(KEYS.member(record.name), encode(MemberRecordSchema, record)), ...more]);
}

/** The embedded store is this host's alone: an authority in it without a configuration is what a crash left. */
async function forgetAttempt(own: ClusterStore): Promise<void> {
  await own.transact({
    compare: [],
    then: [
      { kind: "delete", key: KEYS.cluster },
      { kind: "delete-prefix", prefix: KEYS.identity },
    ],
  });
}

const put = (key: string, value: Uint8Array): Operation => ({ kind: "put", key, value });
