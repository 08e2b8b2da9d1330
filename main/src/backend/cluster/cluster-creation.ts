/** Making a cluster, letting hosts in, and leaving it again. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  CreateJoinTokenResponseSchema,
  InitClusterRequestSchema,
  type InitClusterResponse,
  InitClusterResponseSchema,
  JoinClusterResponseSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import {
  type CreateClusterRequest,
  type HostToJoin,
  type JoinHostResult,
  JoinHostResultSchema,
  type JoinHostsRequest,
} from "@wardline/api/wardline/console/v1/cluster";
import { StoreKind } from "@wardline/api/wardline/v1/cluster";
import { proposePeerAddress } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureToDetail } from "@wardline/domain/wire";
import { mapPooled } from "../async/pool.ts";
import { type HostRegistry, labelOf, type ManagedHost } from "../hosts/managed-host.ts";
import { bounded, boundStatus, CHANGE_TIMEOUT_MS, NotSent, WRITE_TIMEOUT_MS } from "./cluster-calls.ts";
import type { ClusterGateway } from "./cluster-gateway.ts";
import type { HostCluster } from "./host-clusters.ts";
import { requireFailure } from "./member-choice.ts";
import { invalid, requireClusterName, requireMemberLabels, requirePeerAddress } from "./requests.ts";

/** Each makes a certificate at the leader and a login at the host. */
const JOINS_AT_ONCE = 4;
const MAX_HOSTS = 1_000;
/** The token is used at once. */
const TOKEN_LIFETIME_MS = 10 * 60_000;

export interface CreationPorts {
  readonly gateway: ClusterGateway;
  readonly registry: HostRegistry;
}

/** @throws Failure INVALID_ARGUMENT, ALREADY_EXISTS, NOT_FOUND, and of the host */
export async function createCluster(
  { gateway, registry }: CreationPorts,
  { hostId, cluster }: CreateClusterRequest,
): Promise<ManagedHost> {
  const host = registry.byId(hostId);
  const request = create(InitClusterRequestSchema, cluster);
  requireClusterName(request.clusterName);
  requireMemberLabels(request.labels);
  await requireAlone(gateway, host);
  request.peerAddress ||= peerAddressOf(host);
  requirePeerAddress(request.peerAddress);
  const answer: InitClusterResponse = await gateway.onHost(host, (client) =>
    client.initCluster(request, { timeoutMs: CHANGE_TIMEOUT_MS }),
  );
  await learn(gateway, host, bounded(InitClusterResponseSchema, answer));
  return host;
}

/**
 * One result for each host, in their order. A host that is in this cluster already counts as joined, so that the same
 * request can be made again.
 * @throws Failure when the cluster itself cannot be found, or the request cannot be meant
 */
export async function joinHosts(
  ports: CreationPorts,
  { clusterName, hosts }: JoinHostsRequest,
): Promise<JoinHostResult[]> {
  const { gateway, registry } = ports;
  if (hosts.length === 0 || hosts.length > MAX_HOSTS) throw invalid(`Name 1 to ${MAX_HOSTS} hosts that shall join.`);
  if (new Set(hosts.map(({ hostId }) => hostId)).size < hosts.length) throw invalid("A host is named twice.");
  for (const { hostId, labels, peerAddress } of hosts) {
    registry.byId(hostId);
    requireMemberLabels(labels);
    if (peerAddress !== "") requirePeerAddress(peerAddress);
  }
  const { name, status } = await gateway.require(clusterName);
  if (status.store === StoreKind.EMBEDDED) throw oneHostOnly(name);
  return mapPooled(hosts, JOINS_AT_ONCE, async (each) => {
    try {
      await joinHost(ports, name, each);
      return create(JoinHostResultSchema, { hostId: each.hostId });
    } catch (error) {
      const problem = failureToDetail(requireFailure(error));
      return create(JoinHostResultSchema, { hostId: each.hostId, problem });
    }
  });
}

async function joinHost({ gateway, registry }: CreationPorts, clusterName: string, wanted: HostToJoin): Promise<void> {
  const host = registry.byId(wanted.hostId);
  if (isIn(await placeOf(gateway, host), clusterName)) return;
  await requireAlone(gateway, host);
  const peerAddress = wanted.peerAddress || peerAddressOf(host);
  const token = await createToken(gateway, clusterName, host, wanted);
  try {
    const answer = await gateway.onHost(host, (client) =>
      client.joinCluster({ token, peerAddress }, { timeoutMs: CHANGE_TIMEOUT_MS }),
    );
    await learn(gateway, host, bounded(JoinClusterResponseSchema, answer));
  } catch (error) {
    // The answer may be what was lost, not the joining.
    const place = await placeOf(gateway, host).catch(() => null);
    if (place && isIn(place, clusterName)) return;
    throw error;
  }
}

/** The embedded store is a file on one host: nobody else could read it. */
function oneHostOnly(clusterName: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `The cluster ${clusterName} keeps its state in a file on its one host, so no other host can join it.`,
    hint: "Move it to etcd first: wardline cluster backend set --etcd URL",
  });
}

/** For this host alone, and only in memory: it goes from one SSH connection to the other. */
async function createToken(
  gateway: ClusterGateway,
  clusterName: string,
  host: ManagedHost,
  { candidate, labels }: HostToJoin,
): Promise<string> {
  const request = {
    ...{ memberName: host.connection.hostName, candidate, labels },
    expiresIn: durationFromMs(TOKEN_LIFETIME_MS),
  };
  const answer = await gateway.write(
    clusterName,
    (client) => client.createJoinToken(request, { timeoutMs: WRITE_TIMEOUT_MS }),
    // A token that nobody knows ends by itself.
    { isRepeatable: true },
  );
  return bounded(CreateJoinTokenResponseSchema, answer).token;
}

/** @throws Failure ALREADY_EXISTS, VERSION_MISMATCH, and of the host */
async function requireAlone(gateway: ClusterGateway, host: ManagedHost): Promise<void> {
  const place = await placeOf(gateway, host);
  const name = labelOf(host);
  if (place.kind === "outdated") {
    throw new Failure({
      code: ErrorCode.VERSION_MISMATCH,
      message: `The agent on ${name} is older than clusters.`,
      hint: `Update it first: wardline host upgrade ${name}`,
      host: name,
    });
  }
  if (place.kind === "member") {
    throw new Failure({
      code: ErrorCode.ALREADY_EXISTS,
      message: `${name} is in the cluster ${place.status.clusterName} already.`,
      hint: "A host is in one cluster at a time: let it leave that one first.",
      host: name,
    });
  }
}

/** What the host says now. @throws Failure */
async function placeOf(gateway: ClusterGateway, host: ManagedHost): Promise<HostCluster> {
  try {
    return await gateway.hosts.probe(host);
  } catch (error) {
    throw error instanceof NotSent ? error.failure : error;
  }
}

async function learn(
  gateway: ClusterGateway,
  host: ManagedHost,
  { status }: Pick<InitClusterResponse, "status">,
): Promise<void> {
  if (status) gateway.learn(host, boundStatus(status));
  else await placeOf(gateway, host);
}

function isIn(place: HostCluster, clusterName: string): boolean {
  return place.kind === "member" && place.status.clusterName === clusterName;
}

/** @throws Failure INVALID_ARGUMENT */
function peerAddressOf(host: ManagedHost): string {
  const proposed = proposePeerAddress(host.connection.state.status?.info?.addresses ?? []);
  if (proposed !== null) return proposed;
  throw invalid(
    `${labelOf(host)} tells of no address at which the other members could reach it.`,
    "Say it: 10.0.0.1:7443 or [fd00::1]:7443.",
  );
}
