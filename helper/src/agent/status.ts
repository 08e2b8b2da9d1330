/** The host's status, read from the datapath at the time of the message. */
import { create } from "@bufbuild/protobuf";
import {
  type HostInfo,
  type HostStatus,
  HostStatusSchema,
  type Quarantine,
  QuarantineSchema,
  type RuleCounter,
  Emergency as WireEmergency,
} from "@wardline/api/wardline/v1/host";
import type { AuditLog } from "../audit/auditLog.ts";
import type { DiscoveredWorld } from "../cluster/discovery/discoveredWorld.ts";
import type { BackendName, DatapathState, Emergency, Enforcer } from "../enforce/enforcer.ts";
import type { RecordJournal } from "../flows/records/recordJournal.ts";
import { decisionIds, type GenerationContexts } from "../generations/contexts.ts";
import type { GenerationController } from "../generations/controller.ts";
import { describeEmergency } from "../generations/emergencies.ts";
import { toWireGeneration, toWirePending } from "../generations/generationMessage.ts";
import { describeQuarantine } from "../generations/quarantines.ts";
import type { NameResolver } from "../names/nameResolver.ts";
import type { RuleCounters } from "../rules/ruleCounters.ts";
import { type Clock, toTimestamp } from "./clock.ts";
import type { ForeignPrograms } from "./foreignPrograms.ts";
import type { QuarantineRecord } from "./policyEngine.ts";

export interface StatusPorts {
  readonly enforcer: Enforcer;
  readonly controller: GenerationController;
  readonly contexts: GenerationContexts;
  readonly counters: Pick<RuleCounters, "recentTotals">;
  readonly audit: AuditLog;
  readonly resolver: Pick<NameResolver, "problems">;
  readonly discovered?: Pick<DiscoveredWorld, "problems">;
  readonly records?: Pick<RecordJournal, "problems">;
  readonly clock: Clock;
  readonly describeHost: () => HostInfo;
  readonly foreignPrograms: ForeignPrograms;
}

const WIRE_EMERGENCIES: Record<Emergency, WireEmergency> = {
  none: WireEmergency.NONE,
  open: WireEmergency.OPEN,
  closed: WireEmergency.CLOSED,
};

function toWireQuarantine({ sinceMs, match: _match, ...record }: QuarantineRecord): Quarantine {
  const { managementCidrs, managementPorts, ...rest } = record;
  return create(QuarantineSchema, {
    ...rest,
    managementCidrs: [...managementCidrs],
    managementPorts: [...managementPorts],
    since: toTimestamp(sinceMs),
  });
}

export class StatusReader {
  readonly #ports: StatusPorts;

  constructor(ports: StatusPorts) {
    this.#ports = ports;
  }

  read(): HostStatus {
    const { enforcer, controller, clock } = this.#ports;
    const state = enforcer.state();
    const { enforced, pending } = controller;
    const status = create(HostStatusSchema, {
      info: this.#ports.describeHost(),
      enforced: toWireGeneration(enforced),
      counters: this.#counters(state.generation),
      attached: state.attached,
      observedAt: toTimestamp(clock.wallMs()),
      problems: [
        ...this.#cuts(state),
        ...controller.problems,
        ...this.#ports.audit.problems,
        ...this.#ports.resolver.problems,
        ...(this.#ports.discovered?.problems ?? []),
        ...(this.#ports.records?.problems ?? []),
        ...(enforcer.problems?.() ?? []),
        ...datapathProblems(enforcer.name, state, enforced.number),
      ],
      memoryBytes: BigInt(process.memoryUsage.rss()),
      emergency: WIRE_EMERGENCIES[state.emergency],
      quarantines: controller.quarantines.map(toWireQuarantine),
      foreignPrograms: this.#ports.foreignPrograms.list(),
      edgeInterfaces: [...(enforcer.edgeInterfaces?.() ?? [])],
    });
    if (pending) status.pending = toWirePending(pending, clock);
    return status;
  }

  /** The brake and the quarantines: on purpose, and yet the first thing to know about a host. */
  #cuts(state: DatapathState): string[] {
    const { controller } = this.#ports;
    const emergency = describeEmergency(state.emergency, controller.emergency);
    return [...(emergency === null ? [] : [emergency]), ...controller.quarantines.map(describeQuarantine)];
  }

  /** False when policies should be enforced and the datapath is not there. */
  isServing(): boolean {
    const { enforcer, controller } = this.#ports;
    return enforcer.name === "observe" || controller.enforced.number === 0 || enforcer.state().attached;
  }

  #counters(generation: number): RuleCounter[] {
    const program = this.#ports.contexts.get(generation)?.program;
    const ids = program && decisionIds(program, program.digest);
    if (!ids) return [];
    const totals = this.#ports.counters.recentTotals(ids);
    return [...totals].map(([decisionId, { packets, bytes, lastSeenMs }]) => {
      const counter: RuleCounter = { $typeName: "wardline.v1.RuleCounter", decisionId, packets, bytes };
      if (lastSeenMs > 0) counter.lastSeen = toTimestamp(lastSeenMs);
      return counter;
    });
  }
}

function datapathProblems(backend: BackendName, state: DatapathState, enforced: number): string[] {
  const problems: string[] = [];
  if (backend !== "observe" && enforced !== 0 && !state.attached)
    problems.push("The kernel programs are not attached: nothing is enforced.");
  if (enforced !== 0 && state.generation !== enforced) {
    problems.push(`The kernel holds generation ${state.generation} where ${enforced} is expected.`);
  }
  if (state.expired)
    problems.push("The kernel fell back to the generation before by itself; the agent is settling it.");
  return problems;
}
