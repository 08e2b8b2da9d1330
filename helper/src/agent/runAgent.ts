/** Puts the agent together: locks, enforcer, records, audit log, server. The only place that knows all the parts. */
import { join } from "node:path";
import type { SyncReport } from "@wardline/api/wardline/v1/cluster";
import { AnomalyHost } from "../anomaly/anomalyHost.ts";
import { AnomalyRpcs } from "../anomaly/anomalyService.ts";
import { FindingStreams } from "../anomaly/findingStreams.ts";
import { Discovery } from "../cluster/discovery/discovery.ts";
import { ClusterHost } from "../cluster/node/clusterHost.ts";
import { ClusterRpcs } from "../cluster/service/clusterService.ts";
import { ClusterStreams } from "../cluster/service/clusterStreams.ts";
import { OverlayWatch, overlayClaim } from "../enforce/overlay/overlayWatch.ts";
import { Executables } from "../flows/executables.ts";
import { FlowHub } from "../flows/flowHub.ts";
import { RecordRpcs } from "../flows/records/recordRpcs.ts";
import { DEFAULT_RECORD_OPTIONS, startRecords } from "../flows/records/startRecords.ts";
import { decisionIds } from "../generations/contexts.ts";
import { GenerationController } from "../generations/controller.ts";
import type { Checkpoint } from "../generations/controllerTypes.ts";
import { Refresher } from "../generations/refresher.ts";
import { CgroupPaths } from "../linux/cgroupPaths.ts";
import { findCgroup2Mount } from "../linux/mounts.ts";
import { UserNames } from "../linux/passwd.ts";
import { HealingDesk } from "../mesh/healingDesk.ts";
import { HostHealing } from "../mesh/hostHealing.ts";
import { MeshHost, type MeshHostPorts } from "../mesh/meshHost.ts";
import { NO_MESH } from "../mesh/meshOptions.ts";
import { MeshRpcs } from "../mesh/meshService.ts";
import { MeshStreams } from "../mesh/meshStreams.ts";
import { PeerEditor } from "../mesh/peerEditor.ts";
import { allowsDecision } from "../metrics/decisions.ts";
import { startMetrics } from "../metrics/startMetrics.ts";
import { dnsLookup } from "../names/dnsLookup.ts";
import { type NameLookup, NameResolver } from "../names/nameResolver.ts";
import { ObservedNames } from "../names/observedNames.ts";
import { RuleCounters } from "../rules/ruleCounters.ts";
import { AgentRpcs } from "../server/agentService.ts";
import { Guard } from "../server/guard.ts";
import { PeerListener } from "../server/peers.ts";
import { RoleResolver, socketGroupId } from "../server/roles.ts";
import { createHttp2Server, type RunningServer, serve } from "../server/server.ts";
import { StreamSlots } from "../server/streamSlots.ts";
import { Streams } from "../server/streams.ts";
import { bootMs } from "./clock.ts";
import { ForeignPrograms } from "./foreignPrograms.ts";
import { Closers, controllerPorts, type FoundationPorts, layFoundation, retireOthers } from "./foundation.ts";
import { describeHost } from "./hostInfo.ts";
import type { AgentOptions } from "./options.ts";
import { StatusReader } from "./status.ts";

export interface AgentPorts extends FoundationPorts {
  readonly lookup?: NameLookup;
  readonly groupPath?: string;
  readonly passwdPath?: string;
  /** Doubles of what the mesh finds on the host, for tests. */
  readonly meshPorts?: Partial<Pick<MeshHostPorts, "plans" | "services" | "timing">>;
  /** Called between the steps of a change of generation, for tests. */
  readonly checkpoint?: (step: Checkpoint) => void;
}

export interface RunningAgent {
  readonly backend: string;
  /** Stops serving. What is enforced stays enforced. */
  close(): Promise<void>;
}

const NO_INVENTORY = { endpoints: [], namespaces: new Map(), domainAddresses: new Map() };
const NO_CGROUPS = { get: () => undefined, learn: async () => {} };

/** Starts the agent. Throws `StartError` when something on the host is in the way; nothing is left behind then. */
export async function runAgent(options: AgentOptions, ports: AgentPorts): Promise<RunningAgent> {
  const closers = new Closers();
  try {
    return await start(options, ports, closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function start(options: AgentOptions, ports: AgentPorts, closers: Closers): Promise<RunningAgent> {
  const foundation = await layFoundation(options, ports, closers);
  const { log, clock, engine, audit, trail, backend, contexts, bootId } = foundation;
  const { enforcer } = backend;
  const { hostName, stateDir } = options;

  let onApplied: (totalUs: number) => void = () => {};
  let onReport: (report: SyncReport) => void = () => {};
  const http2 = createHttp2Server();
  const peers = new PeerListener(http2);
  const lookup = ports.lookup ?? dnsLookup;
  const discovery = new Discovery({
    clock,
    log,
    inventory: () => contexts.get(controller.enforced.number)?.inventory ?? NO_INVENTORY,
    onInventoryChange: (listener) => controller.onChange(listener),
    lookup,
  });
  const { world: discovered, names } = discovery;
  const resolver = new NameResolver({
    lookup: names.before(lookup),
    nowMs: () => bootMs(clock),
    onWatch: (wanted) => names.want(wanted),
  });
  const counters = await RuleCounters.open({
    enforcer,
    idsOf: (generation, programDigest) => decisionIds(contexts.get(generation)?.program, programDigest),
    clock,
    bootId,
    path: join(stateDir, "counters.json"),
    log,
  });
  closers.add(() => counters.close());
  const controller = new GenerationController({
    ...controllerPorts(options, foundation),
    newestConnection: () => peers.newestConnection,
    onApplied: ({ totalUs }) => onApplied(totalUs),
    circumstances: async ({ domainNames }, { atOnce }) => {
      resolver.watch(domainNames);
      if (!atOnce) await resolver.update();
      return { domainAddresses: resolver.addresses() };
    },
    discovered: () => discovered.current(),
    ...(ports.checkpoint === undefined ? {} : { checkpoint: ports.checkpoint }),
  });
  await controller.start();
  // What the tables were made with counts until the cluster is heard.
  discovered.seed(contexts.upkeep(controller.enforced.number)?.circumstances.discovered ?? []);
  closers.add(() => controller.close());
  await retireOthers(foundation, controller);
  controller.onChange(() => counters.persistSoon());
  for (const problem of [...controller.problems, ...audit.problems]) log.error({ problem }, "found at start");
  const onProblem = (problem: string) => log.error({ problem }, "what is enforced could not be brought up to date");
  const refresher = new Refresher({ controller, contexts, resolver, discovered, names, clock, onProblem });
  closers.add(() => refresher.close());

  const cgroupMount = findCgroupMount();
  const nowMs = () => bootMs(clock);
  const cgroups = cgroupMount ? new CgroupPaths(cgroupMount, nowMs) : NO_CGROUPS;
  const users = new UserNames(nowMs, ports.passwdPath);
  const userNameOf = (userId: number) => users.get(userId);
  const recordOptions = options.records ?? DEFAULT_RECORD_OPTIONS;
  const observed = new ObservedNames(resolver, nowMs);
  const observedNameOf = (address: string) => observed.nameOf(address);
  const recordPorts = { stateDir, enforcer, contexts, clock, bootId, userNameOf, observedNameOf, log };
  const records = await startRecords({ ...recordPorts, options: recordOptions });
  closers.add(() => records.close());
  const hub = new FlowHub(enforcer, cgroups, new Executables({ nowMs }));
  closers.add(() => hub.close());
  records.roller.start(hub);
  const facts = { hostName, backend: enforcer.name, backendReason: backend.reason, startedAtMs: clock.wallMs() };
  const status = new StatusReader({
    enforcer,
    controller,
    contexts,
    counters,
    audit,
    resolver,
    discovered,
    records: records.journal,
    clock,
    describeHost: () => describeHost({ ...facts, ...backend, backendLimits: enforcer.limits }),
    foreignPrograms: new ForeignPrograms(backend.cgroupRoot, options.bpffsDir, () => bootMs(clock)),
  });
  const roles = new RoleResolver({
    agentUserId: process.geteuid?.() ?? 0,
    nowMs: () => bootMs(clock),
    ...(ports.groupPath === undefined ? {} : { groupPath: ports.groupPath }),
    ...(ports.passwdPath === undefined ? {} : { passwdPath: ports.passwdPath }),
  });
  const guard = new Guard({ roles, trail, log });
  const slots = new StreamSlots();
  const streams = new Streams({ status, controller, hub, contexts, clock, hostName, userNameOf }, slots);
  const anomaly = new AnomalyHost({
    ...{ stateDir, hostName, clock, log, journal: records.journal },
    options: options.anomaly ?? { isOff: true, learningHours: 24 },
  });
  closers.add(() => anomaly.close());
  const mesh = new MeshHost({ stateDir, hostName, clock, log, options: options.mesh ?? NO_MESH, ...ports.meshPorts });
  closers.add(() => mesh.close());
  const tellOverlay = (problem: string | null): void => mesh.setProblems("overlay", problem === null ? [] : [problem]);
  const overlay = new OverlayWatch({ enforcer, onProblem: tellOverlay });
  closers.add(() => overlay.close());
  mesh.onChange(() => overlay.learn(overlayClaim(mesh.observation())));
  const healing = new HealingDesk();
  const hostPorts = { stateDir, hostName, log, clock, trail };
  const hostHealing = new HostHealing({ ...hostPorts, mesh, desk: healing, cluster: () => host });
  const host: ClusterHost = new ClusterHost({
    ...{ ...hostPorts, controller, engine, discovery, anomaly },
    ...((options.mesh ?? NO_MESH).isOff ? {} : { mesh: hostHealing }),
    onReport: (report) => onReport(report),
  });
  const followsCluster = () => host.followsCluster();
  const agentPorts = { guard, trail, audit, controller, engine, status, streams, clock, hostName, followsCluster };
  const clusterStreams = new ClusterStreams(host, slots);
  const cluster = new ClusterRpcs({ guard, trail, cluster: host, streams: clusterStreams, hostName });
  const anomalyRpcs = new AnomalyRpcs({ guard, trail, anomaly, streams: new FindingStreams(anomaly, slots) });
  const rpcs = new AgentRpcs(agentPorts);
  const recordRpcs = new RecordRpcs({ guard, journal: records.journal, slots });
  const meshRpcs = new MeshRpcs({
    ...{ guard, trail, mesh, healing, hostName, wallMs: () => clock.wallMs() },
    peers: new PeerEditor(mesh),
    streams: new MeshStreams({ mesh, healing, slots }),
  });
  const services = { rpcs, cluster, records: recordRpcs, anomaly: anomalyRpcs, mesh: meshRpcs };
  const parts = { http2, peers, guard, ...services, isServing: () => status.isServing() };
  const metrics = await startMetrics(
    options.metrics ?? { listen: null, tokenPath: null },
    {
      status: () => status.read(),
      losses: () => hub.losses(),
      records: () => records.figures(),
      anomaly: () => anomaly.figures(),
      mesh: () => {
        if ((options.mesh ?? NO_MESH).isOff) return null;
        const coordinates = healing.coordinator() === hostName;
        return { observation: mesh.observation(), runs: healing.runs(), coordinates };
      },
      allows: (decisionId) => allowsDecision(contexts.get(controller.enforced.number)?.program, decisionId),
      // A host that has nothing to do with a cluster must not be made to load one.
      cluster: async () => (host.known() === null ? null : await host.status()),
    },
    log,
  );
  onApplied = metrics.applied;
  onReport = metrics.reported;
  closers.add(() => metrics.close());
  await host.start();
  closers.add(() => host.close());
  closers.add(() => hostHealing.close());
  anomaly.start();
  mesh.start();
  hostHealing.start();
  const server: RunningServer = await serve(parts, options.socketPath, socketGroupId(ports.groupPath));
  closers.add(() => server.close());
  return { backend: enforcer.name, close: () => closers.close() };
}

function findCgroupMount(): string | null {
  try {
    return findCgroup2Mount();
  } catch {
    return null;
  }
}
