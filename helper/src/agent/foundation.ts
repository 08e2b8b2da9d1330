/** What every start of the agent stands on: the lock, the audit log, the enforcer, the records. */
import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import { AuditTrail } from "../audit/audited.ts";
import { AuditLog } from "../audit/auditLog.ts";
import { makeDirectory } from "../files/directory.ts";
import { removeLeftovers } from "../files/leftovers.ts";
import { GenerationContexts } from "../generations/contexts.ts";
import type { GenerationController } from "../generations/controller.ts";
import type { ControllerPorts } from "../generations/controllerTypes.ts";
import { StateStore } from "../generations/stateStore.ts";
import { acquireFileLock, type FileLock } from "../linux/fileLock.ts";
import { StartError } from "../server/socket.ts";
import { type ChosenBackend, chooseBackend } from "./backend.ts";
import { bootMs, type Clock, systemClock } from "./clock.ts";
import { createDomainEngine } from "./domainEngine.ts";
import type { AgentOptions } from "./options.ts";
import type { PolicyEngine } from "./policyEngine.ts";

export interface FoundationPorts {
  readonly log: Logger;
  readonly clock?: Clock;
  readonly engine?: PolicyEngine;
  readonly bootId?: string;
  readonly chooseBackend?: (options: AgentOptions, clock: Clock) => Promise<ChosenBackend>;
}

export interface Foundation {
  readonly log: Logger;
  readonly clock: Clock;
  readonly engine: PolicyEngine;
  readonly audit: AuditLog;
  readonly trail: AuditTrail;
  readonly backend: ChosenBackend;
  readonly contexts: GenerationContexts;
  readonly store: StateStore;
  readonly bootId: string;
}

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** Throws `StartError` when another agent has it. */
export function openStateDirectory(stateDir: string): FileLock {
  try {
    makeDirectory(stateDir, 0o700);
    chmodSync(stateDir, 0o700);
  } catch (error) {
    throw new StartError(`the state directory cannot be used: ${error instanceof Error ? error.message : error}`);
  }
  const lock = acquireFileLock(join(stateDir, "agent.lock"));
  if ("heldBy" in lock) throw new StartError(`another agent (process ${lock.heldBy}) uses ${stateDir}`);
  removeLeftovers(stateDir);
  return lock;
}

/** What was opened so far, closed in the opposite order. */
export class Closers {
  readonly #closers: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) await close();
  }
}

/** Files go for their age one an hour at most: asked more often, none is an hour late. */
const AUDIT_TICK_MS = 600_000;

/** Throws `StartError` when something on the host is in the way. */
export async function layFoundation(
  options: AgentOptions,
  ports: FoundationPorts,
  closers: Closers,
): Promise<Foundation> {
  const { log, clock = systemClock, engine = createDomainEngine() } = ports;
  const stateLock = openStateDirectory(options.stateDir);
  closers.add(() => stateLock.release());
  const wallMs = () => clock.wallMs();
  const audit = await AuditLog.open(join(options.stateDir, "audit"), wallMs, () => bootMs(clock), {
    ...(options.audit ? { limits: options.audit } : {}),
  });
  closers.add(() => audit.close());
  // A host on which nobody does anything has a limit of age as well.
  const auditTimer = setInterval(() => void audit.tick(), AUDIT_TICK_MS).unref();
  closers.add(() => clearInterval(auditTimer));
  const trail = new AuditTrail(audit, wallMs);
  const backend = await (ports.chooseBackend ?? chooseBackend)(options, clock);
  closers.add(() => backend.enforcer.close());
  const { enforcer, reason, capabilities } = backend;
  log.info({ backend: enforcer.name, reason, capabilities }, "backend chosen");
  const store = new StateStore(options.stateDir);
  await store.prepareDirectory();
  const bootId = ports.bootId ?? readBootId();
  return { log, clock, engine, audit, trail, backend, contexts: new GenerationContexts(), store, bootId };
}

/** What a controller needs besides the parts that only a serving agent has. */
export function controllerPorts(
  options: AgentOptions,
  { log, clock, engine, trail, backend, contexts, store, bootId }: Foundation,
): Omit<ControllerPorts, "newestConnection" | "circumstances"> {
  return {
    enforcer: backend.enforcer,
    engine,
    contexts,
    hostName: options.hostName,
    store,
    clock,
    bootId,
    recordAutomatic: (action, detail) => {
      log.warn({ action, detail }, "the agent acted by itself");
      void trail.automatic(action, detail);
    },
    onStartFailure: options.bootFailure,
  };
}

/** Ends what another backend left on this host, unless this one could not take over. */
export async function retireOthers({ backend, log }: Foundation, controller: GenerationController): Promise<void> {
  if (controller.problems.length > 0) return;
  try {
    await backend.retire?.();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.error({ problem: error.message }, "what another backend left here could not be removed");
  }
}
