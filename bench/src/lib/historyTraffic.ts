/**
 * Flow records as a fleet of servers makes them: each host has a few hundred habits (who talks to it and to whom it talks,
 * on which port, by which program), of which some are much more frequent than others, and now and then somebody new.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FlowHook, FlowProcessSchema } from "@wardline/api/wardline/v1/flow";
import {
  type FlowRecord,
  type FlowRecordBatch,
  FlowRecordBatchSchema,
  FlowRecordSchema,
} from "@wardline/api/wardline/v1/flow_record";
import { DecisionSchema, Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import type { IngestBatch } from "@wardline/main/backend/history/flow-history";

export const WINDOW_MS = 10_000;
export const HABITS = 400;
/** Of all records: a peer that was never seen before (scanners, clients from anywhere). */
const NEWCOMERS = 0.01;
const PROGRAMS = [
  "nginx",
  "postgres",
  "node",
  "java",
  "sshd",
  "curl",
  "chronyd",
  "systemd-resolve",
  "python3",
  "envoy",
];
const PORTS = [22, 53, 80, 123, 443, 443, 443, 5432, 6379, 8080, 8443, 9090, 9100, 27_017];

export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}

interface Host {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly habits: readonly FlowRecord[];
  sequence: number;
}

export class FleetTraffic {
  readonly hosts: readonly Host[];
  readonly #random = seeded(42);
  #newcomers = 0;

  constructor(hostCount: number) {
    const names = Array.from({ length: hostCount }, (_, index) => ({
      name: `${["web", "app", "db", "cache", "batch"][index % 5]}-${Math.floor(index / 5) + 1}`,
      address: `10.${Math.floor(index / 250)}.${index % 250}.10`,
    }));
    this.hosts = names.map(({ name, address }, index) => ({
      ...{ id: `host-${index}`, name, address, sequence: 0 },
      habits: Array.from({ length: HABITS }, () => this.#habit(name, address, names)),
    }));
  }

  /** What one host saw in one window. */
  batch(host: Host, startMs: number, records: number): IngestBatch {
    const batch: FlowRecordBatch = create(FlowRecordBatchSchema, { sequence: BigInt(++host.sequence) });
    batch.sealedAt = timestampFromMs(startMs + WINDOW_MS);
    const windowStart = timestampFromMs(startMs);
    for (let index = 0; index < records; index++) batch.records.push(this.#record(host, startMs, windowStart));
    return { hostId: host.id, hostName: host.name, journalId: `journal-${host.id}`, batches: [batch] };
  }

  /** How often somebody new came. */
  get newcomers(): number {
    return this.#newcomers;
  }

  #record(host: Host, startMs: number, windowStart: NonNullable<FlowRecord["windowStart"]>): FlowRecord {
    const random = this.#random;
    // The square makes the first habits the frequent ones.
    const habit = host.habits[Math.floor(random() ** 2 * host.habits.length)]!;
    const firstMs = startMs + Math.floor(random() * 5_000);
    const connections = 1 + Math.floor(random() ** 3 * 20);
    const isDenied = habit.verdict === Verdict.DENY;
    const record: FlowRecord = {
      ...habit,
      windowStart,
      firstSeen: timestampFromMs(firstMs),
      lastSeen: timestampFromMs(firstMs + Math.floor(random() * 4_999)),
      started: isDenied ? 0n : BigInt(connections),
      ended: isDenied ? 0n : BigInt(Math.floor(connections * random())),
      deniedPackets: isDenied ? BigInt(connections) : 0n,
      packets: isDenied ? 0n : BigInt(connections * 12),
      originatorBytes: isDenied ? 0n : BigInt(Math.floor(connections * 800 * (1 + random() ** 4 * 500))),
      responderBytes: isDenied ? 0n : BigInt(Math.floor(connections * 4_000 * (1 + random() ** 4 * 500))),
    };
    if (random() < NEWCOMERS) {
      this.#newcomers++;
      const stranger = randomAddress(random);
      if (record.direction === Direction.INGRESS) record.sourceAddress = stranger;
      else record.destinationAddress = stranger;
    }
    return record;
  }

  #habit(
    name: string,
    address: string,
    fleet: readonly { readonly name: string; readonly address: string }[],
  ): FlowRecord {
    const random = this.#random;
    const isIngress = random() < 0.5;
    const other = fleet[Math.floor(random() * fleet.length)]!;
    const isInside = random() < 0.6;
    const peer = isInside ? other.address : randomAddress(random);
    const isDenied = random() < 0.1;
    const program = PROGRAMS[Math.floor(random() * PROGRAMS.length)]!;
    const policy = `NetworkPolicy/default/${name.split("-")[0]}-${Math.floor(random() * 5)}`;
    const verdict = isDenied ? Verdict.DENY : Verdict.ALLOW;
    const port = PORTS[Math.floor(random() * PORTS.length)]!;
    return create(FlowRecordSchema, {
      windowSeconds: WINDOW_MS / 1000,
      direction: isIngress ? Direction.INGRESS : Direction.EGRESS,
      protocol: port === 53 || port === 123 ? 17 : 6,
      sourceAddress: isIngress ? peer : address,
      destinationAddress: isIngress ? address : peer,
      destinationPort: port,
      sourceName: isIngress ? (isInside ? other.name : "") : name,
      destinationName: isIngress ? name : isInside ? other.name : "",
      observedName: isInside ? "" : `cdn-${Math.floor(random() * 2_000)}.example.net`,
      verdict,
      enforced: verdict,
      generation: 7n,
      decision: create(DecisionSchema, {
        id: "00c0ffee00c0ffee",
        verdict,
        policyKeys: [policy],
        rule: "ingress[0]",
        summary: `${isDenied ? "denied" : "allowed"} by ${policy}`,
      }),
      subjectKey: `Host/${name}`,
      cgroupPath: `/system.slice/${program}.service`,
      hook: FlowHook.SOCKET,
      process: create(FlowProcessSchema, {
        pid: 300 + Math.floor(random() * 30_000),
        userId: 33,
        userName: "www-data",
        command: program.slice(0, 15),
        executable: `/usr/sbin/${program}`,
      }),
    });
  }
}

function randomAddress(random: () => number): string {
  const part = () => Math.floor(random() * 256);
  return random() < 0.3
    ? `2001:db8:${(part() * 256 + 1).toString(16)}:${(part() * 256 + 1).toString(16)}::${(part() * 256 + 1).toString(16)}`
    : `${11 + Math.floor(random() * 180)}.${part()}.${part()}.${part()}`;
}
