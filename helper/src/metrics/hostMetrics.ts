/** What this host enforces and what that did to packets. */
import { Counter, Gauge, type Registry } from "@prometheus-io/client";
import { Emergency, type HostStatus } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import type { EventLosses } from "../enforce/enforcer.ts";
import { Growth } from "./growth.ts";

const VERDICTS = ["allowed", "denied"] as const;

export class HostMetrics {
  readonly #info: Gauge<"version" | "build" | "backend">;
  readonly #gauges: Readonly<Record<GaugeName, Gauge>>;
  readonly #packets: Counter<"verdict">;
  readonly #bytes: Counter<"verdict">;
  readonly #lost: Counter<"cause">;
  readonly #packetGrowth = new Growth();
  readonly #byteGrowth = new Growth();
  readonly #lostGrowth = new Growth();
  readonly #cpuGrowth = new Growth();
  readonly #cpuSeconds: Counter;

  constructor(registers: Registry[]) {
    this.#info = new Gauge({
      name: "wardline_agent_info",
      help: "Always 1; version, build and backend are labels.",
      labelNames: ["version", "build", "backend"],
      registers,
    });
    const gauges = Object.entries(GAUGES).map(([key, [name, help]]) => [key, new Gauge({ name, help, registers })]);
    this.#gauges = Object.fromEntries(gauges) as Record<GaugeName, Gauge>;
    this.#packets = new Counter({
      name: "wardline_packets_total",
      help: "Packets by verdict. Observed denials count as denied: see wardline_enforcing.",
      labelNames: ["verdict"],
      registers,
    });
    this.#bytes = new Counter({
      name: "wardline_packet_bytes_total",
      help: "Bytes of packets by verdict.",
      labelNames: ["verdict"],
      registers,
    });
    this.#lost = new Counter({
      name: "wardline_flow_events_lost_total",
      help: "Events of flows that no reader got, by cause. What was decided about the packets does not depend on them.",
      labelNames: ["cause"],
      registers,
    });
    this.#cpuSeconds = new Counter({
      name: "wardline_agent_cpu_seconds_total",
      help: "Processor time of the agent, in user space and in the kernel.",
      registers,
    });
    for (const verdict of VERDICTS) {
      this.#packets.inc({ verdict }, 0);
      this.#bytes.inc({ verdict }, 0);
    }
  }

  sample(status: HostStatus, losses: EventLosses, allows: (decisionId: string) => boolean | null): void {
    const { enforced, info } = status;
    const cpu = process.cpuUsage();
    this.#info.reset();
    this.#info.set(
      {
        version: info?.agentVersion ?? "",
        build: info?.agentBuild ?? "",
        backend: BACKENDS[info?.backend ?? 0] ?? "unknown",
      },
      1,
    );
    const values: Record<GaugeName, number> = {
      attached: Number(status.attached),
      enforcing: Number(enforced?.mode === EnforcementMode.ENFORCE),
      generation: Number(enforced?.number ?? 0n),
      policies: enforced?.policyCount ?? 0,
      rules: enforced?.ruleCount ?? 0,
      pending: Number(status.pending !== undefined),
      problems: status.problems.length,
      emergency: Number(status.emergency === Emergency.OPEN || status.emergency === Emergency.CLOSED),
      quarantines: status.quarantines.length,
      memory: Number(status.memoryBytes),
    };
    for (const [name, value] of Object.entries(values)) this.#gauges[name as GaugeName].set(value);
    this.#cpuSeconds.inc(this.#cpuGrowth.of("cpu", BigInt(cpu.user + cpu.system)) / 1e6);
    this.#count(status, allows);
    for (const [cause, count] of Object.entries({
      ring_full: losses.ringFull,
      rate_limited: losses.rateLimited,
      not_followed: losses.notFollowed,
    }))
      this.#lost.inc({ cause }, this.#lostGrowth.of(cause, count));
  }

  #count(status: HostStatus, allows: (decisionId: string) => boolean | null): void {
    for (const { decisionId, packets, bytes } of status.counters) {
      const isAllowed = allows(decisionId);
      if (isAllowed === null) continue;
      const verdict = isAllowed ? "allowed" : "denied";
      this.#packets.inc({ verdict }, this.#packetGrowth.of(decisionId, packets));
      this.#bytes.inc({ verdict }, this.#byteGrowth.of(decisionId, bytes));
    }
    const present = new Set(status.counters.map(({ decisionId }) => decisionId));
    this.#packetGrowth.keep(present);
    this.#byteGrowth.keep(present);
  }
}

const BACKENDS: readonly string[] = ["unknown", "ebpf", "nftables", "pf", "observe"];

const GAUGES = {
  attached: ["wardline_attached", "1 while the kernel programs are attached and were verified."],
  enforcing: ["wardline_enforcing", "1 when denials drop, 0 when they are only observed or nothing is in force."],
  generation: ["wardline_generation", "Number of the enforced generation; 0 = nothing was ever applied."],
  policies: ["wardline_policies_enforced", "Policies in the enforced generation."],
  rules: ["wardline_rules_enforced", "Rules in the enforced generation."],
  pending: ["wardline_confirmation_pending", "1 while a generation waits for confirmation."],
  problems: ["wardline_problems", "Things that are wrong on this host right now."],
  emergency: ["wardline_emergency_brake", "1 while the emergency brake is pulled, open or closed."],
  quarantines: ["wardline_quarantines", "Subjects that are cut off."],
  memory: ["wardline_agent_resident_memory_bytes", "Resident memory of the agent."],
} as const;
type GaugeName = keyof typeof GAUGES;
