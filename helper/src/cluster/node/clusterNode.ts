/** What the cluster's service asks of this host, answered by what runs. */
import { create } from "@bufbuild/protobuf";
import type * as agent from "@wardline/api/wardline/agent/v1/cluster";
import { type ClusterStatus, ClusterStatusSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { toTimestamp } from "../../agent/clock.ts";
import type { Accept } from "../../generations/controllerTypes.ts";
import { stepDown } from "../mesh/meshDuties.ts";
import type { ClusterAccess, ClusterReads } from "../service/clusterAccess.ts";
import { readStore } from "../service/storeRequest.ts";
import type { Asker, WriteName, WriteRequest, WriteResponse } from "../service/writes.ts";
import { initCluster } from "./initialising.ts";
import { joinCluster } from "./joining.ts";
import { leaveCluster } from "./leaving.ts";
import { openMemberLinks } from "./memberLinks.ts";
import { watchMember } from "./memberWatch.ts";
import { NodeLife } from "./nodeLife.ts";
import type { NodePorts } from "./nodePorts.ts";
import { moveTo, testStore } from "./storeChange.ts";

export class ClusterNode implements ClusterAccess {
  readonly #life: NodeLife;

  constructor(ports: NodePorts) {
    this.#life = new NodeLife({
      ...ports,
      openLinks: (configuration, life) => openMemberLinks(configuration, life),
      onMember: (working) => watchMember(this.#life, working),
      status: () => this.status(),
      moveTo: (store) => moveTo(this.#life, store),
    });
  }

  /** Begins what the disk says. Never rejects, and does not wait for the store. */
  start(): Promise<void> {
    return this.#life.start();
  }

  /** Presence STOPPED, a held term resigned; at most a few seconds. What is enforced stays. */
  close(): Promise<void> {
    return this.#life.close();
  }

  get isAlone(): boolean {
    return this.#life.isAlone;
  }

  /** True from the first set of the cluster on that this host knows of. */
  followsCluster(): boolean {
    return this.#life.working?.parts.reconciler.followsCluster() ?? false;
  }

  /** What is known without asking anybody; `null` = this host is in no cluster. */
  known(): ClusterStatus | null {
    const { working, configuration, problems } = this.#life;
    if (configuration === null) return null;
    return working?.status.known(configuration, problems) ?? this.#bareStatus();
  }

  async status(): Promise<ClusterStatus> {
    const { working, configuration, problems } = this.#life;
    return working?.status.read(configuration, problems) ?? this.#bareStatus();
  }

  #bareStatus(): ClusterStatus {
    const { configuration, problems, ports } = this.#life;
    return create(ClusterStatusSchema, {
      clusterName: configuration?.clusterName ?? "",
      trustDomain: configuration?.trustDomain ?? "",
      self: ports.hostName,
      store: configuration?.store.kind ?? StoreKind.EMBEDDED,
      storeWritable: this.#life.isAlone,
      stale: !this.#life.isAlone,
      readAt: toTimestamp(this.#life.isAlone ? ports.clock.wallMs() : 0),
      problems: [...problems],
    });
  }

  /** Throws `Failure` NOT_LEADER, HOST_UNSUPPORTED, STORE_UNAVAILABLE. */
  async stepDown(): Promise<void> {
    const { working } = this.#life;
    if (!working) throw this.#life.unavailable();
    const { membership, leadership, plan } = working.parts;
    await stepDown({ memberName: plan.ports.hostName, membership, resign: () => leadership.resign() });
  }

  onChange(listener: () => void): () => void {
    return this.#life.onChange(listener);
  }

  async reads(): Promise<ClusterReads | null> {
    const { working, isAlone } = this.#life;
    if (working) return working.reads;
    if (isAlone) return null;
    throw this.#life.unavailable();
  }

  async perform<Name extends WriteName>(
    name: Name,
    request: WriteRequest<Name>,
    asker: Asker,
    accept: Accept,
  ): Promise<WriteResponse<Name>> {
    const { desk } = await this.#life.need();
    return desk.perform(name, request, asker, accept);
  }

  initCluster(request: agent.InitClusterRequest, asker: Asker, accept: Accept): Promise<void> {
    return initCluster(this.#life, request, asker, accept);
  }

  joinCluster(request: agent.JoinClusterRequest, asker: Asker, accept: Accept): Promise<void> {
    return joinCluster(this.#life, request, asker, accept);
  }

  leaveCluster(request: agent.LeaveClusterRequest, asker: Asker, accept: Accept): Promise<readonly string[]> {
    return leaveCluster(this.#life, request, asker, accept);
  }

  async testStore(request: agent.TestStoreRequest, accept: Accept): Promise<agent.TestStoreResponse> {
    const configuration = readStore(request.store);
    await accept();
    return testStore(this.#life, configuration);
  }
}
