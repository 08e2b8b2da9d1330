/** What a member does beside its work while it runs: it follows the cluster's record, and keeps what it has to know at a start. */
import { create, equals } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type ClusterRecord, ClusterRecordSchema, StoreConfigurationSchema } from "@wardline/api/wardline/v1/cluster";
import { sentenceOf, waitFor } from "../leadership/waiting.ts";
import { encode, readClusterRecord } from "./clusterRecord.ts";
import type { NodeConfiguration } from "./configFile.ts";
import { endRemoved } from "./leaving.ts";
import type { NodeLife } from "./nodeLife.ts";
import { KEYS } from "./nodePorts.ts";
import { SelfWatch } from "./selfWatch.ts";
import type { Working } from "./working.ts";

/** Members change in bursts; what is kept for the next start may be this old. */
const REMEMBER_AFTER_MS = 2_000;
const ADOPT_AFTER_MS = 500;

/** Returns what ends it. */
export function watchMember(life: NodeLife, working: Working): () => Promise<void> {
  const { ports } = life;
  const { parts } = working;
  const { store, membership, leadership } = parts;
  const { hostName, clock, log } = ports;
  const complete = () =>
    void completeRecord(working).catch((error) => log.warn({ problem: sentenceOf(error) }, "not yet"));
  const watch = new SelfWatch({
    store,
    membership,
    hostName,
    clock,
    log,
    hasLease: () => parts.session.current() !== null,
    askOthers: async () => parts.plan.links?.isStillMember() ?? null,
    onRemoved: () => void endRemoved(life, working),
    onRecord: (record) => {
      if (record.incomplete) complete();
      void adoptSoon(life, working, record).catch((error) => log.error({ problem: sentenceOf(error) }, "not adopted"));
    },
  });
  const remember = rememberCandidates(life, working);
  const unsubscribers = [leadership.onChange(complete), membership.onChange(remember.later)];
  watch.start();
  return async () => {
    for (const unsubscribe of unsubscribers) unsubscribe();
    remember.cancel();
    await watch.stop();
  };
}

/** An init or a move has come to its end once its host leads from its own configuration. */
async function completeRecord({ parts }: Working): Promise<void> {
  const term = parts.leadership.held();
  if (term === null) return;
  const read = await readClusterRecord(parts.store);
  if (!read?.record.incomplete) return;
  const record = create(ClusterRecordSchema, { ...read.record, incomplete: false });
  await parts.store.transact({
    compare: [...term.fence, { key: KEYS.cluster, target: "mod", operator: "=", number: read.modRevision }],
    then: [{ kind: "put", key: KEYS.cluster, value: encode(ClusterRecordSchema, record) }],
  });
}

/** Not at once: whoever asked for the change waits for an answer over this very host, and not all members go away together. */
async function adoptSoon(life: NodeLife, working: Working, record: ClusterRecord): Promise<void> {
  const { configuration, ports } = life;
  if (configuration === null || configurationFrom(configuration, record) === null) return;
  await waitFor(ports.clock, ADOPT_AFTER_MS * (1 + Math.random()), working.parts.signal);
  await adopt(life, working, record);
}

/** Another way to the store, or another lease: on disk, and then everything is made anew. */
function adopt(life: NodeLife, working: Working, record: ClusterRecord): Promise<void> {
  return life.changes.run(async () => {
    const { configuration } = life;
    if (life.working !== working || configuration === null) return;
    const next = configurationFrom(configuration, record);
    if (next === null) return;
    await life.remember(next);
    const isSameWay = equals(StoreConfigurationSchema, next.store, configuration.store);
    if (!isSameWay || next.leaseMs !== configuration.leaseMs) await life.reopen();
  });
}

/** `null` = nothing is new, or the record is that of another cluster. */
function configurationFrom(present: NodeConfiguration, record: ClusterRecord): NodeConfiguration | null {
  if (record.clusterName !== present.clusterName || record.trustDomain !== present.trustDomain) return null;
  if (present.clusterId !== "" && present.clusterId !== record.clusterId) return null;
  const store = record.store ?? present.store;
  const leaseMs = record.lease ? durationMs(record.lease) : present.leaseMs;
  const isSame =
    equals(StoreConfigurationSchema, store, present.store) &&
    leaseMs === present.leaseMs &&
    present.clusterId === record.clusterId;
  return isSame ? null : { ...present, store, leaseMs, clusterId: record.clusterId };
}

/** Where candidates can be asked while the store cannot. */
function rememberCandidates(life: NodeLife, working: Working): { later: () => void; cancel: () => void } {
  let timer: NodeJS.Timeout | null = null;
  const run = () => {
    timer = null;
    const records = working.parts.membership.members().flatMap(({ record }) => (record?.candidate ? [record] : []));
    const knownMembers = records.map(({ name, peerAddress, candidate, spiffeId }) => {
      return { name, peerAddress, candidate, spiffeId };
    });
    void life.changes.run(async () => {
      const { configuration } = life;
      if (life.working !== working || configuration === null) return;
      const isSame = JSON.stringify(knownMembers) === JSON.stringify(configuration.knownMembers);
      // A list that was not read yet is no news.
      if (isSame || knownMembers.length === 0) return;
      await life.remember({ ...configuration, knownMembers }).catch(() => undefined);
    });
  };
  return {
    later: () => {
      timer ??= setTimeout(run, REMEMBER_AFTER_MS);
    },
    cancel: () => {
      if (timer) clearTimeout(timer);
    },
  };
}
