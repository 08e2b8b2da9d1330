/** wardline.agent.v1.ClusterService: every field checked, every mutating call audited, and then it is the node's. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import * as wire from "@wardline/api/wardline/agent/v1/cluster";
import type { AuditSubject, AuditTrail } from "../../audit/audited.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import { acceptInTime, type Guard, roleName } from "../../server/guard.ts";
import { METHOD_RULES, methodName } from "../../server/methods.ts";
import { digestOf } from "../../server/requests.ts";
import type { ClusterAccess } from "./clusterAccess.ts";
import { ClusterReader } from "./clusterReader.ts";
import type { ClusterStreams } from "./clusterStreams.ts";
import { DETAILS, describeStore } from "./details.ts";
import * as check from "./requests.ts";
import { type Asker, WRITES, type WriteName, type WriteRequest, type WriteResponse } from "./writes.ts";

export interface ClusterServicePorts {
  readonly guard: Guard;
  readonly trail: AuditTrail;
  readonly cluster: ClusterAccess;
  readonly streams: ClusterStreams;
  readonly hostName: string;
}

/** `alice (1000)` as this host's accounts say it, `alice (uid 1000) on a` as the cluster keeps it. */
export function actorOn(actor: string, hostName: string): string {
  return `${actor.replace(/\((\d+)\)$/, "(uid $1)")} on ${hostName}`;
}

export class ClusterRpcs {
  readonly #ports: ClusterServicePorts;
  readonly #reader: ClusterReader;

  constructor(ports: ClusterServicePorts) {
    this.#ports = ports;
    this.#reader = new ClusterReader(ports.cluster);
  }

  routes(): ServiceImpl<typeof wire.ClusterService> {
    const reader = this.#reader;
    return {
      ...this.#lifeCycle(),
      ...this.#writes(),
      ...this.#watches(),
      getCluster: async () => create(wire.GetClusterResponseSchema, { status: await this.#ports.cluster.status() }),
      listDocuments: (request) => reader.listDocuments(request),
      getDocument: (request) => reader.getDocument(request),
      listDocumentHistory: (request) => reader.listDocumentHistory(request),
      listSets: (request) => reader.listSets(request),
      listServices: (request) => reader.listServices(request),
      resolve: (request) => reader.resolve(request),
    };
  }

  #watches() {
    const { guard, streams } = this.#ports;
    return {
      watchCluster: (_request: wire.WatchClusterRequest, { signal }: HandlerContext) =>
        guard.stream("WatchCluster", streams.watchCluster(signal)),
      watchDocuments: (request: wire.WatchDocumentsRequest, { signal }: HandlerContext) =>
        guard.stream("WatchDocuments", streams.watchDocuments(request, signal)),
      watchEndpoints: (request: wire.WatchEndpointsRequest, { signal }: HandlerContext) =>
        guard.stream("WatchEndpoints", streams.watchEndpoints(request, signal)),
      watchNotes: (request: wire.WatchNotesRequest, { signal }: HandlerContext) =>
        guard.stream("WatchNotes", streams.watchNotes(request, signal)),
    };
  }

  /** What changes this host's own place in a cluster: it is never handed on. */
  #lifeCycle() {
    const { cluster } = this.#ports;
    return {
      initCluster: (request: wire.InitClusterRequest, context: HandlerContext) => {
        const detail = `${request.clusterName.slice(0, 100)} at ${request.peerAddress.slice(0, 100)} on ${describeStore(request.store)}`;
        return this.#audited(wire.InitClusterRequestSchema, request, context, detail, async (asker, accept) => {
          check.checkInit(request);
          await cluster.initCluster(request, asker, accept);
          return create(wire.InitClusterResponseSchema, { status: await cluster.status() });
        });
      },
      joinCluster: (request: wire.JoinClusterRequest, context: HandlerContext) => {
        // The digest alone: the token is a secret, and what it says is known once it was taken.
        const detail = `reached at ${request.peerAddress.slice(0, 100)}`;
        return this.#audited(wire.JoinClusterRequestSchema, request, context, detail, async (asker, accept) => {
          check.checkJoin(request);
          await cluster.joinCluster(request, asker, accept);
          return create(wire.JoinClusterResponseSchema, { status: await cluster.status() });
        });
      },
      leaveCluster: (request: wire.LeaveClusterRequest, context: HandlerContext) => {
        const detail = `reason: ${request.reason.slice(0, 500)}`;
        return this.#audited(wire.LeaveClusterRequestSchema, request, context, detail, async (asker, accept) => {
          check.checkLeave(request);
          const problems = await cluster.leaveCluster(request, asker, accept);
          return create(wire.LeaveClusterResponseSchema, { problems: [...problems] });
        });
      },
      testStore: (request: wire.TestStoreRequest, context: HandlerContext) =>
        this.#audited(wire.TestStoreRequestSchema, request, context, describeStore(request.store), (_asker, accept) => {
          check.checkStore(request);
          return cluster.testStore(request, accept);
        }),
    };
  }

  #writes(): Pick<ServiceImpl<typeof wire.ClusterService>, WriteName> {
    return {
      createJoinToken: (request, context) => this.#perform("createJoinToken", request, context),
      removeMember: (request, context) => this.#perform("removeMember", request, context),
      resignLeadership: (request, context) => this.#perform("resignLeadership", request, context),
      setStore: (request, context) => this.#perform("setStore", request, context),
      issueCertificate: (request, context) => this.#perform("issueCertificate", request, context),
      writeDocuments: (request, context) => this.#perform("writeDocuments", request, context),
      rollbackDocuments: (request, context) => this.#perform("rollbackDocuments", request, context),
      confirmSet: (request, context) => this.#perform("confirmSet", request, context),
      registerService: (request, context) => this.#perform("registerService", request, context),
      deregisterService: (request, context) => this.#perform("deregisterService", request, context),
      pushNotes: (request, context) => this.#perform("pushNotes", request, context),
    };
  }

  #perform<Name extends WriteName>(
    name: Name,
    request: WriteRequest<Name>,
    context: HandlerContext,
  ): Promise<WriteResponse<Name>> {
    const rule = WRITES[name];
    const run = (asker: Asker, accept: Accept) => {
      rule.check(request);
      return this.#ports.cluster.perform(name, request, asker, accept);
    };
    return this.#audited(rule.method.input, request as MessageShape<DescMessage>, context, DETAILS[name](request), run);
  }

  /** Who, what, and how it ended. `run` throws where it refuses, and calls `accept` before its first effect. */
  #audited<Desc extends DescMessage, T>(
    schema: Desc,
    request: MessageShape<Desc>,
    context: HandlerContext,
    detail: string,
    run: (asker: Asker, accept: Accept) => Promise<T>,
  ): Promise<T> {
    const { guard, trail, hostName } = this.#ports;
    const { actor, role } = guard.identify(context);
    const action = METHOD_RULES.get(methodName(context.method))?.audit ?? context.method.name;
    const subject: AuditSubject = { actor, role: roleName(role), action, argumentDigest: digestOf(schema, request) };
    const asker = { actor: actorOn(actor, hostName), role };
    return trail.around(subject, detail, async (accept) => run(asker, acceptInTime(context, accept)));
  }
}
