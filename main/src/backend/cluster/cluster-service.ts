/** `wardline.console.v1.ClusterService`: checks what is asked, and passes it to the member that it is for. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import * as agent from "@wardline/api/wardline/agent/v1/cluster";
import { type ClusterList, ClusterListSchema } from "@wardline/api/wardline/console/v1/activity";
import * as wire from "@wardline/api/wardline/console/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { HostRegistry, ManagedHost } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { boundedReason, type Guard } from "../rpc/guard.ts";
import {
  bounded,
  boundedDocument,
  boundedList,
  CHANGE_TIMEOUT_MS,
  READ_TIMEOUT_MS,
  WRITE_TIMEOUT_MS,
} from "./cluster-calls.ts";
import { createCluster, joinHosts } from "./cluster-creation.ts";
import type { ClusterGateway } from "./cluster-gateway.ts";
import { viewOf } from "./known-cluster.ts";
import type { SharedNotes } from "./notes/shared-notes.ts";
import { requirePlainText } from "./requests.ts";
import { pullDocuments, sync } from "./sync/sync.ts";
import { SyncPlans, type SyncPorts } from "./sync/sync-plans.ts";

const LONGEST_SILENCE_MS = 60_000;
const SHORTEST_INTERVAL_MS = 250;
/** A set that is confirmed by its digest was seen. */
const DIGEST = /^[0-9a-f]{64}$/;

export interface ClusterServicePorts extends Omit<SyncPorts, "gateway"> {
  readonly gateway: ClusterGateway;
  readonly registry: HostRegistry;
  readonly clock: Clock;
  readonly notes: SharedNotes;
}

export class ClusterServiceImpl {
  readonly #ports: ClusterServicePorts;
  readonly #plans: SyncPlans;

  constructor(ports: ClusterServicePorts) {
    this.#ports = ports;
    this.#plans = new SyncPlans(ports);
  }

  routes(guard: Guard): ServiceImpl<typeof wire.ClusterService> {
    const ports = this.#ports;
    return {
      watchClusters: guard.stream((_request: wire.WatchClustersRequest, signal) => this.watch(signal)),
      createCluster: guard.unary(async (request: wire.CreateClusterRequest) => {
        const host = await createCluster(ports, request);
        return create(wire.CreateClusterResponseSchema, this.#viewThrough(host));
      }),
      joinHosts: guard.unary(async (request: wire.JoinHostsRequest) =>
        create(wire.JoinHostsResponseSchema, { results: await joinHosts(ports, request) }),
      ),
      leaveHost: guard.unary((request: wire.LeaveHostRequest) => this.leave(request)),
      removeMember: guard.unary((request: wire.RemoveMemberRequest) => this.remove(request)),
      resignLeader: guard.unary((request: wire.ResignLeaderRequest) => this.resign(request)),
      listDocuments: guard.unary((request: wire.ListDocumentsRequest) => this.listDocuments(request)),
      getDocument: guard.unary((request: wire.GetDocumentRequest) => this.getDocument(request)),
      listDocumentHistory: guard.unary((request: wire.ListDocumentHistoryRequest) => this.listHistory(request)),
      listSets: guard.unary((request: wire.ListSetsRequest) => this.listSets(request)),
      planSync: guard.unary((request: wire.PlanSyncRequest) => this.#plans.plan(request)),
      sync: guard.unary((request: wire.SyncRequest) => sync(ports, this.#plans, request)),
      pullDocuments: guard.unary((request: wire.PullDocumentsRequest) => pullDocuments(ports, this.#plans, request)),
      rollbackDocuments: guard.unary((request: wire.RollbackDocumentsRequest) => this.rollback(request)),
      confirmSet: guard.unary((request: wire.ConfirmSetRequest) => this.confirm(request)),
      watchNotes: guard.stream((request: wire.WatchNotesRequest, signal) => this.watchNotes(request, signal)),
      setNote: guard.unary(async (request: wire.SetNoteRequest) => {
        await ports.notes.set(request);
        return create(wire.SetNoteResponseSchema);
      }),
    };
  }

  /** All clusters at once, then after each change. Connects the hosts: who asks has no window that does. */
  async *watch(signal: AbortSignal): AsyncGenerator<wire.WatchClustersResponse> {
    const { gateway, registry } = this.#ports;
    const needs = registry.hosts.map(({ connection }) => connection.need());
    const release = () => {
      for (const leave of needs.splice(0)) leave();
    };
    signal.addEventListener("abort", release, { once: true });
    try {
      await gateway.askAll();
      let sequence = 1n;
      for await (const { clusters, unclusteredHostIds, outdatedHostIds } of this.follow(signal)) {
        yield create(wire.WatchClustersResponseSchema, {
          ...{ sequence: sequence++, clusters, unclusteredHostIds, outdatedHostIds },
        });
      }
    } finally {
      signal.removeEventListener("abort", release);
      release();
    }
  }

  /** The part of the window's one stream. Hosts that nobody needs are not connected for it. */
  async *follow(signal: AbortSignal): AsyncGenerator<ClusterList> {
    const { gateway, clock } = this.#ports;
    const leave = gateway.look();
    signal.addEventListener("abort", leave, { once: true });
    try {
      for (let shown = ""; !signal.aborted; ) {
        const seen = gateway.changes.version;
        const revision = gateway.revision();
        if (revision !== shown) {
          shown = revision;
          yield this.#list();
        }
        await clock.sleep(SHORTEST_INTERVAL_MS, signal);
        await gateway.changes.wait(seen, LONGEST_SILENCE_MS, signal);
      }
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }

  async leave({ hostId, reason }: wire.LeaveHostRequest) {
    const { registry, gateway } = this.#ports;
    const host = registry.byId(hostId);
    const request = { reason: boundedReason(reason) };
    const answer = await gateway.onHost(host, (client) =>
      client.leaveCluster(request, { timeoutMs: CHANGE_TIMEOUT_MS }),
    );
    await gateway.hosts.probe(host).catch(() => gateway.hosts.forget(host.id));
    const { problems } = bounded(agent.LeaveClusterResponseSchema, answer);
    return create(wire.LeaveHostResponseSchema, { problems });
  }

  async remove({ clusterName, memberName, reason }: wire.RemoveMemberRequest) {
    requirePlainText(memberName, "the name of a member", 253);
    const request = { memberName, reason: boundedReason(reason) };
    await this.#ports.gateway.write(clusterName, (client) =>
      client.removeMember(request, { timeoutMs: WRITE_TIMEOUT_MS }),
    );
    return create(wire.RemoveMemberResponseSchema);
  }

  async resign({ clusterName, reason }: wire.ResignLeaderRequest) {
    const request = { reason: boundedReason(reason) };
    await this.#ports.gateway.write(clusterName, (client) =>
      client.resignLeadership(request, { timeoutMs: WRITE_TIMEOUT_MS }),
    );
    return create(wire.ResignLeaderResponseSchema);
  }

  async listDocuments({ clusterName, query }: wire.ListDocumentsRequest) {
    const request = create(agent.ListDocumentsRequestSchema, query);
    const documents = await this.#ports.gateway.read(clusterName, async (client) =>
      boundedList(await client.listDocuments(request, { timeoutMs: READ_TIMEOUT_MS })),
    );
    return create(wire.ListDocumentsResponseSchema, { documents });
  }

  async getDocument({ clusterName, key, version }: wire.GetDocumentRequest) {
    requirePlainText(key, "the key of a document", 512);
    const { document } = await this.#ports.gateway.read(clusterName, async (client) =>
      boundedDocument(await client.getDocument({ key, version }, { timeoutMs: READ_TIMEOUT_MS })),
    );
    return create(wire.GetDocumentResponseSchema, document ? { document } : {});
  }

  async listHistory({ clusterName, query }: wire.ListDocumentHistoryRequest) {
    const request = create(agent.ListDocumentHistoryRequestSchema, query);
    requirePlainText(request.key, "the key of a document", 512);
    const history = await this.#ports.gateway.read(clusterName, async (client) => {
      const answer = await client.listDocumentHistory(request, { timeoutMs: READ_TIMEOUT_MS });
      // Versions of a history come without their texts.
      return bounded(agent.ListDocumentHistoryResponseSchema, answer);
    });
    return create(wire.ListDocumentHistoryResponseSchema, { history });
  }

  async listSets({ clusterName, query }: wire.ListSetsRequest) {
    const request = create(agent.ListSetsRequestSchema, query);
    const sets = await this.#ports.gateway.read(clusterName, async (client) =>
      bounded(agent.ListSetsResponseSchema, await client.listSets(request, { timeoutMs: READ_TIMEOUT_MS })),
    );
    return create(wire.ListSetsResponseSchema, { sets });
  }

  async rollback({ clusterName, rollback }: wire.RollbackDocumentsRequest) {
    const request = create(agent.RollbackDocumentsRequestSchema, rollback);
    request.reason = boundedReason(request.reason);
    if ((request.key === "") === (request.toSetNumber === 0n)) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "A roll-back is of one document to one of its versions, or of everything to a set.",
      });
    }
    const answer = await this.#ports.gateway.write(clusterName, (client) =>
      client.rollbackDocuments(request, { timeoutMs: WRITE_TIMEOUT_MS }),
    );
    const outcome = bounded(agent.RollbackDocumentsResponseSchema, answer);
    return create(wire.RollbackDocumentsResponseSchema, { outcome });
  }

  /** Over the connection that stands: the hosts prove for themselves that they can be reached. */
  async confirm({ clusterName, confirmation }: wire.ConfirmSetRequest) {
    const { gateway, bases } = this.#ports;
    const request = create(agent.ConfirmSetRequestSchema, confirmation);
    request.reason = boundedReason(request.reason);
    if (request.digest !== "" && !DIGEST.test(request.digest)) requirePlainText("", "the digest of a set", 64);
    const answer = await gateway.write(clusterName, (client) =>
      client.confirmSet(request, { timeoutMs: WRITE_TIMEOUT_MS }),
    );
    const { head } = bounded(agent.ConfirmSetResponseSchema, answer);
    const { key } = await gateway.require(clusterName);
    if (bases.pendingSets(key).includes(request.setNumber)) bases.settle(key, request.setNumber, !request.rollBack);
    return create(wire.ConfirmSetResponseSchema, head ? { head } : {});
  }

  async *watchNotes({ clusterName }: wire.WatchNotesRequest, signal: AbortSignal) {
    const { notes, gateway } = this.#ports;
    const { name } = await gateway.require(clusterName);
    let sequence = 1n;
    let shown = "";
    for await (const { clusters } of notes.follow(signal)) {
      const found = clusters.find((each) => each.clusterName === name)?.notes ?? [];
      const text = JSON.stringify(found.map((note) => [note.subject, note.text, note.author]));
      if (text === shown) continue;
      shown = text;
      yield create(wire.WatchNotesResponseSchema, { sequence: sequence++, notes: found });
    }
  }

  #list(): ClusterList {
    const { gateway } = this.#ports;
    return create(ClusterListSchema, {
      clusters: gateway.views(),
      unclusteredHostIds: gateway.hostIds("alone"),
      outdatedHostIds: gateway.hostIds("outdated"),
    });
  }

  #viewThrough(host: ManagedHost) {
    const cluster = this.#ports.gateway.list().find(({ hosts }) => hosts.some((each) => each.host === host));
    if (cluster) return { cluster: viewOf(cluster) };
    const receivedAt = timestampFromMs(this.#ports.clock.nowMs());
    return { cluster: create(wire.ClusterViewSchema, { throughHostId: host.id, receivedAt }) };
  }
}
