/** Four kinds of hosts as sources of traffic. Synthetic: shapes and sizes are what such hosts commonly have, no recording. */
import { nextBelow, nextRandom, type RandomState } from "../support/random.ts";
import {
  type Connection,
  isWorkTime,
  lognormal,
  pick,
  publicAddress,
  type Remote,
  type Source,
  season,
  zipf,
} from "./traffic.ts";

export const HOST_KINDS = ["web", "db", "workstation", "batch"] as const;
export type HostKind = (typeof HOST_KINDS)[number];

const inside = (name: string, last: number, net = 0): Remote => ({ address: `10.20.${net}.${last}`, name });
const outside = (random: RandomState, name = ""): Remote => ({ address: publicAddress(random), name });
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

export const FLEET = {
  web: many(4, (index) => inside(`web-${index + 1}`, 11 + index)),
  db: many(2, (index) => inside(`db-${index + 1}`, 21 + index)),
  workstation: many(6, (index) => inside(`desk-${index + 1}`, 31 + index, 1)),
  batch: many(2, (index) => inside(`batch-${index + 1}`, 41 + index)),
  bastion: inside("bastion-1", 5),
  monitor: inside("monitor-1", 6),
  logs: inside("logs-1", 7),
  backup: inside("backup-1", 8),
  resolver: inside("dns-1", 2),
};

interface Sizes {
  readonly sent: readonly [number, number];
  readonly received: readonly [number, number];
  readonly durationMs?: readonly [number, number];
}

function sized(random: RandomState, remote: Remote, port: number, { sent, received, durationMs }: Sizes): Connection {
  return {
    remote,
    port,
    sent: lognormal(random, ...sent),
    received: lognormal(random, ...received),
    durationMs: durationMs === undefined ? 200 : Math.min(6 * 3_600_000, lognormal(random, ...durationMs)),
  };
}

/** What every host has: time, names, updates, monitoring, logs, people who administer it, noise. */
function common(random: RandomState): Source[] {
  const timeServers = many(4, () => outside(random));
  const mirrors = many(3, () => outside(random));
  const agentServer = outside(random);
  return [
    ...timeServers.map(
      (server): Source => ({
        direction: "egress",
        protocol: 17,
        process: "chronyd",
        everyMs: 256_000 * 2 ** nextBelow(random, 3),
        jitterMs: 4000,
        connect: (own) => sized(own, server, 123, { sent: [76, 0], received: [76, 0] }),
      }),
    ),
    {
      direction: "egress",
      protocol: 17,
      process: "systemd-resolve",
      perHour: (atMs) => 60 * season(atMs, { night: 0.5, weekend: 0.8 }),
      connect: (own) => sized(own, FLEET.resolver, 53, { sent: [70, 0.2], received: [180, 0.5] }),
    },
    {
      direction: "ingress",
      protocol: 6,
      process: "node_exporter",
      everyMs: 15_000,
      jitterMs: 300,
      connect: (own) => sized(own, FLEET.monitor, 9100, { sent: [60_000, 0.05], received: [400, 0.05] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "monitor-agent",
      everyMs: 60_000,
      jitterMs: 500,
      connect: (own) => sized(own, agentServer, 443, { sent: [9000, 0.2], received: [900, 0.2] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "rsyslogd",
      everyMs: 3_600_000,
      connect: (own) =>
        sized(own, FLEET.logs, 6514, { sent: [1.5e6, 0.5], received: [40_000, 0.3], durationMs: [3_500_000, 0.01] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "apt-http",
      atHour: 6,
      jitterMs: 3_000_000,
      count: (own) => 2 + nextBelow(own, 8),
      connect: (own) =>
        sized(own, pick(own, mirrors), 80, { sent: [3000, 0.5], received: [4e5, 2], durationMs: [3000, 1] }),
    },
    {
      direction: "ingress",
      protocol: 6,
      process: "sshd",
      perHour: (atMs) => (isWorkTime(atMs) ? 0.5 : 0.03),
      connect: (own) =>
        sized(own, FLEET.bastion, 22, { sent: [60_000, 1.5], received: [25_000, 1.2], durationMs: [300_000, 1.4] }),
    },
    {
      direction: "ingress",
      protocol: 6,
      process: "",
      perHour: () => 0.7,
      connect: (own) => ({
        ...sized(own, nextRandom(own) < 0.3 ? outside(own) : pick(own, FLEET.workstation), 1 + nextBelow(own, 9000), {
          sent: [0, 0],
          received: [60, 0],
        }),
        isFailed: true,
      }),
    },
  ];
}

function web(random: RandomState): Source[] {
  const peak = lognormal(random, 600, 0.3);
  const regulars = many(400, () => outside(random));
  const payment = many(5, () => outside(random));
  const client = (own: RandomState) => (nextRandom(own) < 0.6 ? zipf(own, regulars) : outside(own));
  return [
    {
      direction: "ingress",
      protocol: 6,
      process: "nginx",
      perHour: (atMs) => peak * season(atMs, { night: 0.12, weekend: 0.7 }),
      connect: (own) =>
        sized(own, client(own), 443, { sent: [30_000, 1.6], received: [2500, 0.8], durationMs: [4000, 1.5] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "node",
      perHour: (atMs) => 0.25 * peak * season(atMs, { night: 0.12, weekend: 0.7 }),
      connect: (own) =>
        sized(own, pick(own, FLEET.db), 5432, { sent: [3000, 0.8], received: [12_000, 1.3], durationMs: [900, 1] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "node",
      perHour: (atMs) => 0.04 * peak * season(atMs, { night: 0.1, weekend: 0.6 }),
      connect: (own) =>
        sized(own, zipf(own, payment), 443, { sent: [4000, 0.7], received: [6000, 0.7], durationMs: [1500, 1] }),
    },
    nightlyBackup("restic", outside(random), 443, 2, 1.2e9),
  ];
}

function db(random: RandomState): Source[] {
  const peak = lognormal(random, 500, 0.3);
  const [, replica] = FLEET.db;
  return [
    {
      direction: "ingress",
      protocol: 6,
      process: "postgres",
      perHour: (atMs) => peak * season(atMs, { night: 0.15, weekend: 0.75 }),
      connect: (own) =>
        sized(own, pick(own, FLEET.web), 5432, { sent: [15_000, 1.4], received: [3000, 0.8], durationMs: [900, 1] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "postgres",
      everyMs: 7_200_000,
      connect: (own) =>
        sized(own, replica ?? FLEET.backup, 5432, {
          sent: [4e8, 0.3],
          received: [3e6, 0.3],
          durationMs: [7_100_000, 0.01],
        }),
    },
    {
      direction: "ingress",
      protocol: 6,
      process: "postgres",
      perHour: (atMs) => (isWorkTime(atMs) ? 3 : 0),
      connect: (own) =>
        sized(own, pick(own, FLEET.workstation), 5432, {
          sent: [2e5, 2.2],
          received: [9000, 1],
          durationMs: [60_000, 1.3],
        }),
    },
    nightlyBackup("pg_basebackup", FLEET.backup, 22, 3, 2e10),
  ];
}

function workstation(random: RandomState): Source[] {
  const sites = many(2500, () => outside(random));
  const mail = outside(random, "mail.example.org");
  const chat = outside(random);
  const store = outside(random);
  const tools = ["git", "curl", "npm", "pip", "docker", "code", "wget", "java", "go", "cargo", "rsync", "telnet"];
  const servers = [...FLEET.web, ...FLEET.db, FLEET.bastion];
  const busy = (atMs: number, work: number, rest: number) => (isWorkTime(atMs) ? work * burst(atMs) : rest);
  return [
    {
      direction: "egress",
      protocol: 6,
      process: "firefox",
      perHour: (atMs) => busy(atMs, 420, 1),
      connect: (own) =>
        sized(own, zipf(own, sites), 443, { sent: [4000, 1.2], received: [60_000, 1.8], durationMs: [15_000, 1.5] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "firefox",
      perHour: (atMs) => busy(atMs, 6, 0),
      connect: (own) => ({
        ...sized(own, outside(own), 443, { sent: [60, 0], received: [0, 0] }),
        isFailed: nextRandom(own) < 0.5,
      }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "thunderbird",
      everyMs: 300_000,
      jitterMs: 2000,
      connect: (own) => sized(own, mail, 993, { sent: [2500, 0.3], received: [7000, 1.2], durationMs: [1500, 0.4] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "slack",
      everyMs: 5_400_000,
      jitterMs: 900_000,
      connect: (own) => sized(own, chat, 443, { sent: [3e5, 0.8], received: [2e6, 0.8], durationMs: [5_000_000, 0.2] }),
    },
    {
      direction: "egress",
      protocol: 17,
      process: "zoom",
      perHour: (atMs) => busy(atMs, 0.35, 0),
      connect: (own) =>
        sized(own, outside(own), 8801, { sent: [3e8, 0.6], received: [4e8, 0.6], durationMs: [1_800_000, 0.5] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "dropbox",
      perHour: (atMs) => busy(atMs, 3, 0.2),
      connect: (own) => sized(own, store, 443, { sent: [5e5, 2.2], received: [2e5, 2], durationMs: [20_000, 1] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "ssh",
      perHour: (atMs) => busy(atMs, 1.2, 0),
      connect: (own) =>
        sized(own, zipf(own, servers), 22, {
          sent: [20_000, 1.2],
          received: [80_000, 1.6],
          durationMs: [400_000, 1.3],
        }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "git",
      perHour: (atMs) => busy(atMs, 6, 0),
      connect: (own) => ({
        ...sized(own, zipf(own, sites), 443, { sent: [9000, 1.5], received: [90_000, 2], durationMs: [3000, 1] }),
        process: zipf(own, tools),
      }),
    },
  ];
}

/** People work in stretches. The same for a moment whatever was asked before. */
function burst(atMs: number): number {
  const stretch = Math.floor(atMs / 1_500_000);
  const mixed = Math.imul(stretch ^ 0x5bd1e995, 0x85ebca6b) >>> 0;
  return [0.1, 0.4, 0.8, 1, 1.4, 2][mixed % 6] ?? 1;
}

function batch(random: RandomState): Source[] {
  const storage = many(3, () => outside(random));
  const feeds = many(12, () => outside(random));
  const administered = [...FLEET.web, ...FLEET.db, FLEET.monitor, FLEET.logs];
  return [
    {
      direction: "egress",
      protocol: 6,
      process: "python3",
      everyMs: 3_600_000,
      jitterMs: 20_000,
      count: (own) => 5 + nextBelow(own, 30),
      connect: (own) =>
        sized(own, zipf(own, feeds), 443, { sent: [5000, 0.8], received: [4e6, 1.6], durationMs: [30_000, 1.2] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "spark",
      atHour: 1,
      jitterMs: 1_200_000,
      count: (own) => 40 + nextBelow(own, 60),
      connect: (own) =>
        sized(own, pick(own, storage), 443, { sent: [6e7, 0.8], received: [2e5, 0.8], durationMs: [900_000, 0.6] }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "ansible",
      atHour: 4,
      jitterMs: 600_000,
      count: () => 16,
      connect: (own) =>
        sized(own, pick(own, administered), 22, {
          sent: [90_000, 0.8],
          received: [60_000, 0.8],
          durationMs: [60_000, 0.6],
        }),
    },
    {
      direction: "egress",
      protocol: 6,
      process: "python3",
      perHour: () => 25,
      connect: (own) =>
        sized(own, pick(own, FLEET.db), 5432, { sent: [4000, 1], received: [4e5, 2], durationMs: [9000, 1.3] }),
    },
  ];
}

function nightlyBackup(process: string, remote: Remote, port: number, atHour: number, bytes: number): Source {
  return {
    direction: "egress",
    protocol: 6,
    process,
    atHour,
    jitterMs: 900_000,
    connect: (own) =>
      sized(own, remote, port, { sent: [bytes, 0.15], received: [bytes / 200, 0.2], durationMs: [1_200_000, 0.3] }),
  };
}

const KINDS = { web, db, workstation, batch };

/** The host of a kind, and what it does; one fleet, many seeds. */
export function hostOfKind(
  kind: HostKind,
  random: RandomState,
): { readonly host: Remote; readonly sources: readonly Source[] } {
  const host = FLEET[kind][0] ?? FLEET.bastion;
  return { host, sources: [...common(random), ...KINDS[kind](random)] };
}
