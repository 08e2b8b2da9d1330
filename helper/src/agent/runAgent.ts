/** Puts the agent together: locks, enforcer, records, audit log, server. The only place that knows all the parts. */

import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { AuditTrail } from "../audit/audited.ts";
import { AuditLog } from "../audit/auditLog.ts";
import { makeDirectory } from "../files/directory.ts";
import { Executables } from "../flows/executables.ts";
import { FlowHub } from "../flows/flowHub.ts";
import { decisionIds, GenerationContexts } from "../generations/contexts.ts";
import { GenerationController } from "../generations/controller.ts";
import type { Checkpoint } from "../generations/controllerTypes.ts";
import { Refresher } from "../generations/refresher.ts";
import { StateStore } from "../generations/stateStore.ts";
import { CgroupPaths } from "../linux/cgroupPaths.ts";
import { acquireFileLock, type FileLock } from "../linux/fileLock.ts";
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
import { StartError } from "../server/socket.ts";
import { Streams } from "../server/streams.ts";
import { type ChosenBackend, chooseBackend } from "./backend.ts";
import { bootMs, type Clock, systemClock } from "./clock.ts";
import { domainEngine } from "./domainEngine.ts";
import { ForeignPrograms } from "./foreignPrograms.ts";
import { describeHost } from "./hostInfo.ts";
import type { AgentOptions } from "./options.ts";
import type { PolicyEngine } from "./policyEngine.ts";
import { StatusReader } from "./status.ts";

export interface AgentPorts {
  readonly log: Logger;
  readonly clock?: Clock;
  readonly engine?: PolicyEngine;
  readonly bootId?: string;
  readonly chooseBackend?: (options: AgentOptions, clock: Clock) => Promise<ChosenBackend>;
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

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

function openStateDirectory(stateDir: string): FileLock {
  try {
    makeDirectory(stateDir, 0o700);
    chmodSync(stateDir, 0o700);
  } catch (error) {
    throw new StartError(`the state directory cannot be used: ${error instanceof Error ? error.message : error}`);
  }
  const lock = acquireFileLock(join(stateDir, "agent.lock"));
  if ("heldBy" in lock) throw new StartError(`another agent (process ${lock.heldBy}) uses ${stateDir}`);
  return lock;
}

/** What was opened so far, closed in the opposite order. */
class Closers {
  readonly #closers: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) await close();
  }
}

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
  const { log, clock = systemClock, engine = domainEngine } = ports;
  const { hostName, stateDir } = options;
  const stateLock = openStateDirectory(stateDir);
  closers.add(() => stateLock.release());
  const wallMs = () => clock.wallMs();
  const audit = await AuditLog.open(join(stateDir, "audit.ndjson"), wallMs);
  closers.add(() => audit.close());
  const trail = new AuditTrail(audit, wallMs);
  const backend = await (ports.chooseBackend ?? chooseBackend)(options, clock);
  const { enforcer } = backend;
  closers.add(() => enforcer.close());
  log.info({ backend: enforcer.name, reason: backend.reason, capabilities: backend.capabilities }, "backend chosen");

  const http2 = createHttp2Server();
  const peers = new PeerListener(http2);
  const contexts = new GenerationContexts();
  const resolver = new NameResolver({ lookup: ports.lookup ?? dnsLookup, nowMs: () => bootMs(clock) });
  const store = new StateStore(stateDir);
  await store.prepareDirectory();
  const bootId = ports.bootId ?? readBootId();
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
    enforcer,
    engine,
    contexts,
    hostName,
    store,
    clock,
    bootId,
    newestConnection: () => peers.newestConnection,
    circumstances: async ({ domainNames }) => {
      resolver.watch(domainNames);
      await resolver.update();
      return { domainAddresses: resolver.addresses() };
    },
    recordAutomatic: (action, detail) => {
      log.warn({ action, detail }, "the agent acted by itself");
      void trail.automatic(action, detail);
    },
    onStartFailure: options.bootFailure,
    ...(ports.checkpoint === undefined ? {} : { checkpoint: ports.checkpoint }),
  });
  await controller.start();
  closers.add(() => controller.close());
  controller.onChange(() => void counters.persist());
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
