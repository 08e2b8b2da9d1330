/**
 * What the history holds against what was sent, over consoles and agents that end, files that are damaged and disks that are
 * full; and beside a host that lies.
 */
import { closeSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { FlowDimension, HistoryService, type HistoryStatus } from "@wardline/api/wardline/console/v1/history";
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import { silentLogger } from "@wardline/main/backend/ports";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fleet, fleetProblem } from "../fleet/fleet.ts";
import { FleetConsole } from "../fleet/fleet-console.ts";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { machineProgramUnit } from "../fleet/host-files.ts";
import { ACTING_CHARACTERS } from "../fleet/hostile-text.ts";
import {
  FLOOD_BATCH_RECORDS,
  FLOOD_BATCHES,
  FLOOD_PORT,
  HARMFUL_PORT,
  IMPOSSIBLE_COUNT,
} from "../fleet/machine/lying-records.ts";
import { describeHosts } from "../fleet/policies.ts";
import { skipReason } from "../harness.ts";
import { Program } from "../processes.ts";

const problem = fleetProblem();
const LIMIT_MS = 300_000;
const OPEN_PORT = 8080;
const CLOSED_PORTS = { first: 20_000, last: 60_000 } as const;
const MIB = 1024 * 1024;
const UNIT = "hostile.service";
/** Of a window, and what may come on top on a busy machine. */
const PATIENCE_MS = 80_000;
const COLLECTING_MAIN = fileURLToPath(new URL("./collecting-console-main.ts", import.meta.url));

const EGRESS = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-egress}
spec:
  podSelector: {matchLabels: {app: web-1}}
  policyTypes: [Egress]
  egress: [{ports: [{port: ${OPEN_PORT}}]}]
`;

describe.skipIf(problem !== null)(`records counted end to end${skipReason(problem)}`, { timeout: LIMIT_MS }, () => {
  let fleet: Fleet;
  let web: FleetHost;
  let sender: SocketPeer;
  let stateDir = "";
  let tester: FleetConsole | null = null;
  let history: Client<typeof HistoryService>;
  const sent = { connections: 0, denied: 0 };
  const programs: Program[] = [];

  beforeAll(async () => {
    const unit = machineProgramUnit("What listens where an agent should", "hostile-agent-main.ts");
    fleet = await Fleet.start({
      hosts: [
        { name: "web-1", stateSizeBytes: 16 * MIB },
        { name: "bad-1", agent: "none", services: { [UNIT]: unit } },
      ],
    });
    web = fleet.host("web-1");
    const bad = fleet.host("bad-1");
    writeFileSync(bad.path("/run/hostile-mode"), "lying records");
    const first = new FleetConsole(fleet);
    stateDir = first.stateDir;
    await first.write({ "hosts.yaml": describeHosts(fleet.hosts), "web.yaml": EGRESS });
    await first.connect([web]);
    await first.sendAndConfirm("web-1");
    await bad.agentAnswers();
    await first.close();
    const listener = await bad.startPeer();
    await listener.listenTcp(OPEN_PORT);
    sender = await web.startPeer();
  }, LIMIT_MS);
  afterAll(async () => {
    await tester?.close();
    for (const program of programs) await program.stop("SIGKILL");
    await fleet?.close();
  }, LIMIT_MS);

  async function send(connections: number, denied: number): Promise<void> {
    const { 4: address } = fleet.host("bad-1").address;
    expect(await sender.floodTcp(address, OPEN_PORT, connections)).toBe("ok");
    sent.connections += connections;
    for (let index = 0; index < denied; index++) {
      // One packet each (a refused connection would send its first one again), and each to a port of its own: of repeats of
      // one denied flow the kernel tells about one a second, and counts the rest as not told.
      const port = CLOSED_PORTS.first + sent.denied;
      expect(await sender.askUdp(address, port, 16, 20)).toMatch(/^(EPERM|timeout)$/);
      sent.denied += 1;
    }
  }

  /** Sends a little, again and again, until what is done meanwhile is done. */
  async function sendDuring(work: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await send(7, 2);
      await setTimeout(50);
    }
    await done;
  }

  function startConsole(): Program {
    const words = [fleet.directory, fleet.home.directory, stateDir];
    const args = ["--disable-warning=ExperimentalWarning", COLLECTING_MAIN, ...words];
    const started = new Program({ name: "console", command: process.execPath, args, cwd: fleet.directory });
    programs.push(started);
    return started;
  }

  /** Resolves when the console has more records than it began with. */
  async function untilItHasMore(program: Program): Promise<void> {
    const counts = () => program.stdout.split("\n").filter(Boolean).map(Number);
    await expect.poll(() => (counts().at(-1) ?? 0) > (counts()[0] ?? 0), { timeout: PATIENCE_MS }).toBe(true);
  }

  /** A console on the same store, to be asked. */
  function ask(): void {
    // Damaged files and full disks are errors in its log, and what this is about.
    tester = new FleetConsole(fleet, { stateDir, logger: silentLogger });
    const { backend } = tester;
    for (const { connection } of backend.registry.hosts) connection.need();
    history = createClient(
      HistoryService,
      createRouterTransport((router) => backend.routes(router)),
    );
  }

  async function sums(ports: string) {
    for await (const { isFinal, total } of history.groupRecords({
      query: { text: `host:web-1 port:${ports} direction:egress` },
      by: [FlowDimension.PROTOCOL],
    }))
      if (isFinal) return { connections: Number(total?.connections ?? 0), denied: Number(total?.deniedPackets ?? 0) };
    return null;
  }

  /** What was sent is there, once; and stays so, for whoever counts twice. */
  async function expectAllThere(): Promise<void> {
    const counted = async () => ({
      connections: (await sums(String(OPEN_PORT)))?.connections,
      denied: (await sums(`${CLOSED_PORTS.first}-${CLOSED_PORTS.last}`))?.denied,
    });
    try {
      await expect.poll(counted, { timeout: PATIENCE_MS, interval: 300 }).toEqual(sent);
    } catch (error) {
      const found = { sent, counted: await counted(), hosts: (await status()).hosts, problems: await problems() };
      throw new Error(inspect(found, { depth: 4, breakLength: 150 }), { cause: error });
    }
  }

  async function status(): Promise<HistoryStatus> {
    const { status: present } = await history.getHistoryStatus({});
    if (!present) throw new Error("no status of the history");
    return present;
  }

  const hostStatus = async (name: string) => (await status()).hosts.find(({ host }) => host === name);

  it("are all there, once, after three killed consoles and a restarted agent", async () => {
    for (const restart of [false, true]) {
      const started = startConsole();
      await sendDuring(untilItHasMore(started));
      // In the middle of whatever it does with the records that have just come.
      await started.stop("SIGKILL");
      if (!restart) continue;
      await web.stopAgent();
      await web.startAgent();
    }
    const third = startConsole();
    await sendDuring(setTimeout(1_000));
    await third.stop("SIGKILL");
    ask();
    await expectAllThere();
    expect(await hostStatus("web-1")).toMatchObject({ missedBatches: 0n, refusedRecords: 0n });
    expect(sent.connections).toBeGreaterThan(100);
  });

  it("are those of hosts that tell the truth: what cannot be is refused and counted, the rest is made harmless", async () => {
    await tester?.add([fleet.host("bad-1")]);
    await send(20, 5);
    // It sends everything again after each break of the line, which is refused as out of order: what it has of the flood by
    // then is for it to know.
    const read = async () => Number((await hostStatus("bad-1"))?.lastSequence ?? 0n);
    await expect.poll(read, { timeout: PATIENCE_MS, interval: 300 }).toBeGreaterThan(1);
    const found = async (text: string) => {
      const records = [];
      for await (const answer of history.searchRecords({ query: { text }, limit: 10 })) records.push(...answer.records);
      return records;
    };
    const [harmful, ...others] = await found(`host:bad-1 port:${HARMFUL_PORT}`);
    expect(others).toEqual([]);
    const texts = JSON.stringify(harmful, (_, value) => (typeof value === "bigint" ? String(value) : value));
    expect(texts).toContain("<img src=x");
    expect(texts).not.toMatch(ACTING_CHARACTERS);
    expect(await found(`host:web-1 port:${HARMFUL_PORT}`)).toEqual([]);
    for await (const { isFinal, total } of history.groupRecords({
      query: { text: `host:bad-1 port:${FLOOD_PORT}` },
      by: [FlowDimension.PORT],
    }))
      if (isFinal) expect(Number(total?.records)).toBeLessThanOrEqual(FLOOD_BATCHES * FLOOD_BATCH_RECORDS);
    const refused = Number((await hostStatus("bad-1"))?.refusedRecords);
    expect(refused).toBeGreaterThan(0);
    expect(refused % IMPOSSIBLE_COUNT).toBe(0);
    await expectAllThere();
  });

  it("are complete after the disk of the host was full", async () => {
    const told = async () => (await hostStatus("web-1"))?.problem;
    web.fillDisk();
    try {
      // More than fits into what is left of the last page of a file.
      await send(20, 300);
      await expect.poll(told, { timeout: PATIENCE_MS, interval: 300 }).toMatch(/disk .* is full/);
    } finally {
      web.freeDisk();
    }
    await send(20, 5);
    await expectAllThere();
    await expect.poll(told, { timeout: PATIENCE_MS, interval: 300 }).toBe("");
  });

  /** Bytes that nobody wrote there, in the middle of the largest file of the history. */
  function damage(): void {
    const directory = join(stateDir, "history");
    const files = readdirSync(directory).filter((name) => name.endsWith(".db"));
    const sizes = files.map((name) => ({ path: join(directory, name), size: statSync(join(directory, name)).size }));
    const largest = sizes.toSorted((a, b) => b.size - a.size)[0];
    if (!largest) throw new Error(`no file of the history in ${directory}`);
    const file = openSync(largest.path, "r+");
    for (let at = 0; at < largest.size; at += 4096) writeSync(file, Buffer.alloc(512, 0x5a), 0, 512, at + 100);
    closeSync(file);
  }

  const problems = async () => (await status()).problems.join("\n");

  it("are read again from the hosts when a file was damaged while the console was off", async () => {
    await tester?.close();
    damage();
    ask();
    await expect.poll(problems, { timeout: PATIENCE_MS, interval: 300 }).toMatch(/HISTORY_DAMAGED.* moved to/);
    await expectAllThere();
  });

  it("are read again from the hosts when a file is damaged while the console runs", async () => {
    const before = readdirSync(join(stateDir, "history", "damaged")).length;
    damage();
    await send(5, 1);
    await expectAllThere();
    expect(readdirSync(join(stateDir, "history", "damaged")).length).toBeGreaterThanOrEqual(before);
  });
});
