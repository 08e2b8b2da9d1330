/**
 * The cluster's part of an agent, loaded when it is needed: at the start of a host that is in a cluster or wrote to its own
 * store before, and otherwise with the first call that changes something. Until then the answers are those of a host that is
 * alone, from here.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type * as agent from "@wardline/api/wardline/agent/v1/cluster";
import { type ClusterStatus, ClusterStatusSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toTimestamp } from "../../agent/clock.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import type { ClusterAccess, ClusterReads } from "../service/clusterAccess.ts";
import type { Asker, WriteName, WriteRequest, WriteResponse } from "../service/writes.ts";
import type { ClusterNode } from "./clusterNode.ts";
import type { NodePorts } from "./nodePorts.ts";

/** Any of them makes the node run from the start of the agent. */
const TRACES = ["config.json", "store.sqlite", "left.json"];

export class ClusterHost implements ClusterAccess {
  readonly #ports: NodePorts;
  readonly #listeners = new Set<() => void>();
  #node: ClusterNode | null = null;
  #loading: Promise<ClusterNode> | null = null;
  #isClosed = false;

  constructor(ports: NodePorts) {
    this.#ports = ports;
  }

  /** Does not wait for the store. */
  async start(): Promise<void> {
    const directory = join(this.#ports.stateDir, "cluster");
    if (TRACES.some((name) => existsSync(join(directory, name)))) await this.#load();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await (await this.#loading)?.close();
  }

  followsCluster(): boolean {
    return this.#node?.followsCluster() ?? false;
  }

  /** For metrics: what is known without asking anybody; `null` = this host is in no cluster. */
  known(): ClusterStatus | null {
    return this.#node?.known() ?? null;
  }

  /** In no cluster, and nothing says that it should be in one. */
  isAlone(): boolean {
    return this.#node?.isAlone ?? this.#loading === null;
  }

  /** Lets another candidate lead, where one can. Throws `Failure` NOT_LEADER, HOST_UNSUPPORTED, STORE_UNAVAILABLE. */
  async stepDown(): Promise<void> {
    const message = "This host is in no cluster.";
    if (!this.#node) throw new Failure({ code: ErrorCode.NOT_LEADER, message });
    await this.#node.stepDown();
  }

  async status(): Promise<ClusterStatus> {
    if (this.#node) return this.#node.status();
    const { hostName, clock } = this.#ports;
    const readAt = toTimestamp(clock.wallMs());
    const self = { self: hostName, store: StoreKind.EMBEDDED, storeWritable: true };
    return create(ClusterStatusSchema, { ...self, readAt });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async reads(): Promise<ClusterReads | null> {
    return this.#node?.reads() ?? null;
  }

  async perform<Name extends WriteName>(
    name: Name,
    request: WriteRequest<Name>,
    asker: Asker,
    accept: Accept,
  ): Promise<WriteResponse<Name>> {
    return (await this.#load()).perform(name, request, asker, accept);
  }

  async initCluster(request: agent.InitClusterRequest, asker: Asker, accept: Accept): Promise<void> {
    return (await this.#load()).initCluster(request, asker, accept);
  }

  async joinCluster(request: agent.JoinClusterRequest, asker: Asker, accept: Accept): Promise<void> {
    return (await this.#load()).joinCluster(request, asker, accept);
  }

  async leaveCluster(request: agent.LeaveClusterRequest, asker: Asker, accept: Accept): Promise<readonly string[]> {
    return (await this.#load()).leaveCluster(request, asker, accept);
  }

  async testStore(request: agent.TestStoreRequest, accept: Accept): Promise<agent.TestStoreResponse> {
    return (await this.#load()).testStore(request, accept);
  }

  #load(): Promise<ClusterNode> {
    this.#loading ??= this.#start();
    return this.#loading;
  }

  async #start(): Promise<ClusterNode> {
    const { ClusterNode } = await import("./clusterNode.ts");
    const node = new ClusterNode(this.#ports);
    node.onChange(() => {
      for (const listener of this.#listeners) listener();
    });
    if (!this.#isClosed) await node.start();
    this.#node = node;
    return node;
  }
}
