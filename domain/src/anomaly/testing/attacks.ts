/** Attacks as the attacked or misused host sees them, fast and slow. Seeded. */
import type { Direction } from "../../policy/model.ts";
import type { DetectorKind } from "../finding.ts";
import { nextBelow, nextRandom, type RandomState } from "../support/random.ts";
import { type Connection, lognormal, normal, pick, publicAddress, type Remote } from "./traffic.ts";

export interface AttackFlow {
  readonly atMs: number;
  readonly direction: Direction;
  readonly process: string;
  readonly connection: Connection;
}

export interface Attack {
  readonly name: string;
  /** The detector that is meant for it. */
  readonly detector: DetectorKind;
  readonly isSlow: boolean;
  readonly lengthMs: number;
  flows(random: RandomState, startMs: number): AttackFlow[];
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const failed = (remote: Remote, port: number): Connection => ({
  remote,
  port,
  sent: 60,
  received: 0,
  durationMs: 0,
  isFailed: true,
});
const stranger = (random: RandomState): Remote => ({ address: publicAddress(random), name: "" });
const neighbour = (random: RandomState): Remote => ({ address: `10.20.9.${1 + nextBelow(random, 250)}`, name: "" });

function portScan(name: string, ports: number, stepMs: number): Attack {
  return {
    name,
    detector: "port-scan",
    isSlow: name.startsWith("slow"),
    lengthMs: ports * stepMs,
    flows(random, startMs) {
      const scanner = neighbour(random);
      const first = 1 + nextBelow(random, 2000);
      return times(ports, (index) => ({
        atMs: startMs + (index + nextRandom(random) * 0.8) * stepMs,
        direction: "ingress",
        process: "",
        connection: failed(scanner, first + index * 7),
      }));
    },
  };
}

function hostScan(name: string, hosts: number, stepMs: number): Attack {
  return {
    name,
    detector: "host-scan",
    isSlow: name.startsWith("slow"),
    lengthMs: hosts * stepMs,
    flows(random, startMs) {
      const port = pick(random, [22, 445, 3389, 5432]);
      const net = 100 + nextBelow(random, 100);
      return times(hosts, (index) => {
        const remote = { address: `10.${net}.0.${1 + (index % 254)}`, name: "" };
        const connection =
          nextRandom(random) < 0.12
            ? { remote, port, sent: 700, received: 900, durationMs: 300 }
            : failed(remote, port);
        return {
          atMs: startMs + (index + nextRandom(random) * 0.8) * stepMs,
          direction: "egress",
          process: "python3",
          connection,
        };
      });
    },
  };
}

function beacon(name: string, contacts: number, everyMs: number, jitter: number): Attack {
  return {
    name,
    detector: "beacon",
    isSlow: name.startsWith("slow"),
    lengthMs: contacts * everyMs,
    flows(random, startMs) {
      const remote = stranger(random);
      const port = pick(random, [443, 80, 8443, 4444]);
      let atMs = startMs;
      return times(contacts, () => {
        atMs += everyMs * (1 + jitter * (2 * nextRandom(random) - 1));
        const connection = {
          remote,
          port,
          sent: lognormal(random, 600, 0.2),
          received: lognormal(random, 900, 0.3),
          durationMs: 400,
        };
        return { atMs, direction: "egress", process: "curl", connection };
      });
    },
  };
}

function exfiltration(name: string, parts: number, everyMs: number, bytes: number): Attack {
  return {
    name,
    detector: "exfiltration",
    isSlow: name.startsWith("slow"),
    lengthMs: parts * everyMs,
    flows(random, startMs) {
      const remote = stranger(random);
      return times(parts, (index) => {
        const sent = bytes * (1 + 0.2 * normal(random));
        return {
          atMs: startMs + (index + 0.5 * nextRandom(random)) * everyMs,
          direction: "egress",
          process: "rclone",
          connection: {
            remote,
            port: 443,
            sent: Math.max(1e5, sent),
            received: 40_000,
            durationMs: Math.min(20_000, everyMs),
          },
        };
      });
    },
  };
}

function lateral(name: string, hops: number, everyMs: number): Attack {
  return {
    name,
    detector: "lateral-movement",
    isSlow: name.startsWith("slow"),
    lengthMs: (hops + 1) * everyMs,
    flows(random, startMs) {
      const session = { sent: 40_000, received: 30_000, durationMs: 240_000 };
      const from = { address: `10.20.1.${60 + nextBelow(random, 40)}`, name: "desk-9" };
      const port = pick(random, [22, 3389, 445]);
      return [
        {
          atMs: startMs,
          direction: "ingress" as const,
          process: "sshd",
          connection: { ...session, remote: from, port: 22 },
        },
        ...times(hops, (index) => ({
          atMs: startMs + (index + 0.6 + 0.3 * nextRandom(random)) * everyMs,
          direction: "egress" as const,
          process: "ssh",
          connection: {
            ...session,
            remote: { address: `10.30.${index}.${10 + nextBelow(random, 200)}`, name: `files-${index}` },
            port,
          },
        })),
      ];
    },
  };
}

function bruteForce(name: string, sessions: number, everyMs: number): Attack {
  return {
    name,
    detector: "brute-force",
    isSlow: name.startsWith("slow"),
    lengthMs: sessions * everyMs,
    flows(random, startMs) {
      const remote = stranger(random);
      return times(sessions, (index) => ({
        atMs: startMs + (index + nextRandom(random)) * everyMs,
        direction: "ingress",
        process: "sshd",
        connection: {
          remote,
          port: 22,
          sent: lognormal(random, 1800, 0.15),
          received: lognormal(random, 1500, 0.15),
          durationMs: 1500,
        },
      }));
    },
  };
}

export const ATTACKS: readonly Attack[] = [
  portScan("port scan", 600, 100),
  portScan("slow port scan", 120, 90_000),
  hostScan("host scan", 195, 300),
  hostScan("slow host scan", 80, 4 * MINUTE_MS),
  beacon("beacon", 180, 10_000, 0.05),
  beacon("slow beacon", 72, 10 * MINUTE_MS, 0.2),
  exfiltration("exfiltration", 90, 10_000, 2e7),
  exfiltration("slow exfiltration", 140, 5 * MINUTE_MS, 3e6),
  lateral("lateral movement", 4, 4 * MINUTE_MS),
  lateral("slow lateral movement", 4, 3 * HOUR_MS),
  bruteForce("brute force", 400, 750),
  bruteForce("slow brute force", 200, 3 * MINUTE_MS),
];
