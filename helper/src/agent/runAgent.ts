/** Puts the agent together: locks, enforcer, records, audit log, server. The only place that knows all the parts. */
import { join } from "node:path";
import { Executables } from "../flows/executables.ts";
import { FlowHub } from "../flows/flowHub.ts";
import { decisionIds } from "../generations/contexts.ts";
import { GenerationController } from "../generations/controller.ts";
import type { Checkpoint } from "../generations/controllerTypes.ts";
import { Refresher } from "../generations/refresher.ts";
import { CgroupPaths } from "../linux/cgroupPaths.ts";
import { findCgroup2Mount } from "../linux/mounts.ts";
import { UserNames } from "../linux/passwd.ts";
import { dnsLookup } from "../names/dnsLookup.ts";
import { type NameLookup, NameResolver } from "../names/nameResolver.ts";
import { RuleCounters } from "../rules/ruleCounters.ts";
import { AgentRpcs } from "../server/agentService.ts";
import { Guard } from "../server/guard.ts";
import { PeerListener } from "../server/peers.ts";
import { RoleResolver, socketGroupId } from "../server/roles.ts";
import { createHttp2Server, type RunningServer, serve } from "../server/server.ts";
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
  /** Called between the steps of a change of generation, for tests. */
  readonly checkpoint?: (step: Checkpoint) => void;
}

export interface RunningAgent {
  readonly backend: string;
  /** Stops serving. What is enforced stays enforced. */
  close(): Promise<void>;
}

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

  const http2 = createHttp2Server();
  const peers = new PeerListener(http2);
  const resolver = new NameResolver({ lookup: ports.lookup ?? dnsLookup, nowMs: () => bootMs(clock) });
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
    circumstances: async ({ domainNames }) => {
      resolver.watch(domainNames);
      await resolver.update();
      return { domainAddresses: resolver.addresses() };
    },
    ...(ports.checkpoint === undefined ? {} : { checkpoint: ports.checkpoint }),
  });
  await controller.start();
  closers.add(() => controller.close());
  await retireOthers(foundation, controller);
  controller.onChange(() => counters.persistSoon());
  for (const problem of [...controller.problems, ...audit.problems]) log.error({ problem }, "found at start");
  const onProblem = (problem: string) => log.error({ problem }, "what is enforced could not be brought up to date");
  const refresher = new Refresher({ controller, contexts, resolver, clock, onProblem });
  closers.add(() => refresher.close());

  const cgroupMount = findCgroupMount();
  const nowMs = () => bootMs(clock);
  const cgroups = cgroupMount ? new CgroupPaths(cgroupMount, nowMs) : NO_CGROUPS;
  const hub = new FlowHub(enforcer, cgroups, new Executables({ nowMs }));
  closers.add(() => hub.close());
  const facts = { hostName, backend: enforcer.name, backendReason: backend.reason, startedAtMs: clock.wallMs() };
  const status = new StatusReader({
    enforcer,
    controller,
    contexts,
    counters,
    audit,
    resolver,
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
  const users = new UserNames(nowMs, ports.passwdPath);
  const userNameOf = (userId: number) => users.get(userId);
  const streams = new Streams({ status, controller, hub, contexts, clock, hostName, userNameOf });
  const rpcs = new AgentRpcs({ guard, trail, audit, controller, engine, status, streams, clock, hostName });
  const parts = { http2, peers, guard, rpcs, isServing: () => status.isServing() };
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
