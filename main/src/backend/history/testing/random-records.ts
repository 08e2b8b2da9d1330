/** Records of a small made-up fleet, the same for the same seed. */
import { create } from "@bufbuild/protobuf";
import { FlowHook } from "@wardline/api/wardline/v1/flow";
import {
  type FlowRecordBatch,
  FlowRecordBatchSchema,
  type FlowRecord as WireFlowRecord,
} from "@wardline/api/wardline/v1/flow_record";
import { DecisionReason, Tier } from "@wardline/api/wardline/v1/policy";
import type { FlowRecord } from "@wardline/domain/flows";
import { toWireFlowRecord } from "@wardline/domain/wire";

/** 0 up to 1, from a seed (Mulberry32). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!;
}

export const ADDRESSES = [
  "10.0.0.1",
  "10.0.0.2",
  "10.1.7.200",
  "203.0.113.9",
  "fd00::7",
  "fd00:0:0:1::1",
  "2001:db8::5",
];
export const PORTS = [22, 53, 80, 443, 5432, 8443];
export const NAMES = ["", "web-1", "Web-2", "db.internal", "default/api"];
export const PROGRAMS = ["/usr/bin/curl", "/usr/sbin/nginx", "/opt/app/bin/worker (deleted)", ""];
export const POLICIES = ["NetworkPolicy/default/web", "Policy/default/db", "AdminNetworkPolicy/cluster"];

/** @param startMs of its window */
export function randomRecord(random: Random, startMs: number, windowMs = 10_000): WireFlowRecord {
  const executable = pick(random, PROGRAMS);
  const isDenied = random() < 0.3;
  const protocol = pick(random, [6, 6, 17, 1]);
  const firstSeenMs = startMs + Math.floor(random() * windowMs);
  const hasProcess = random() < 0.8;
  const plain: FlowRecord = {
    host: "ignored",
    windowStartMs: startMs,
    windowMs,
    firstSeenMs,
    lastSeenMs: firstSeenMs + Math.floor(random() * (startMs + windowMs - firstSeenMs)),
    direction: pick(random, ["ingress", "egress"]),
    protocol,
    sourceAddress: pick(random, ADDRESSES),
    destinationAddress: pick(random, ADDRESSES),
    destinationPort: protocol === 1 ? 0x0800 : pick(random, PORTS),
    sourceName: pick(random, NAMES),
    destinationName: pick(random, NAMES),
    observedName: pick(random, ["", "www.example.org", "cdn.example.net"]),
    verdict: isDenied ? "deny" : "allow",
    enforced: isDenied && random() < 0.5 ? "deny" : "allow",
    policyKeys: random() < 0.6 ? [pick(random, POLICIES)] : [],
    decisionSummary: random() < 0.6 ? pick(random, ["allowed by a rule", "denied: isolated"]) : "",
    subjectKey: pick(random, ["host/web-1", "workload/default/nginx", ""]),
    cgroupPath: pick(random, ["/system.slice/nginx.service", "/user.slice", ""]),
    process: hasProcess
      ? {
          pid: random() < 0.7 ? 1 + Math.floor(random() * 5) : 0,
          userId: pick(random, [0, 33, 1000]),
          userName: pick(random, ["root", "www-data", ""]),
          command: pick(random, ["curl", "nginx", "worker"]),
          executable,
        }
      : { pid: 0, userId: 0, userName: "", command: "", executable: "" },
    started: isDenied ? 0 : Math.floor(random() * 4),
    ended: isDenied ? 0 : Math.floor(random() * 4),
    deniedPackets: isDenied ? 1 + Math.floor(random() * 9) : 0,
    packets: isDenied ? 0 : Math.floor(random() * 100),
    originatorBytes: isDenied ? 0 : Math.floor(random() ** 4 * 5e9),
    responderBytes: isDenied ? 0 : Math.floor(random() ** 4 * 5e6),
    foldedFlows: random() < 0.05 ? 12 : 0,
  };
  const wire = toWireFlowRecord(plain);
  wire.generation = BigInt(1 + Math.floor(random() * 3));
  wire.hook = pick(random, [FlowHook.SOCKET, FlowHook.EDGE]);
  if (wire.decision) {
    Object.assign(wire.decision, {
      id: "00f1",
      reason: DecisionReason.RULE,
      tier: Tier.APPLICATION,
      rule: "ingress[0]",
    });
  }
  return wire;
}

/** Batches numbered from the given one on, with windows one after the other. */
export function randomBatches(
  random: Random,
  options: {
    readonly firstSequence: number;
    readonly batches: number;
    readonly records: number;
    readonly startMs: number;
    readonly windowMs?: number;
    /** How far records lie behind their window at most: a host that was away. */
    readonly lateMs?: number;
  },
): FlowRecordBatch[] {
  const { firstSequence, batches, records, startMs, windowMs = 10_000, lateMs = 0 } = options;
  return Array.from({ length: batches }, (_, index) => {
    const lateWindows = Math.floor((random() * lateMs) / windowMs);
    const at = startMs + (index - lateWindows) * windowMs;
    return create(FlowRecordBatchSchema, {
      sequence: BigInt(firstSequence + index),
      records: Array.from({ length: records }, () => randomRecord(random, at, windowMs)),
    });
  });
}
