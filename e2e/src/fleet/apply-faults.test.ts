/** What becomes of a change when something breaks in the middle of it. Real sshd, real agents, real backend. */
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ApplyStep, ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import { connectAgent } from "@wardline/helper/testing/agentClient";
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import { systemClock } from "@wardline/main/backend/ports";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { FleetConsole, isConnected } from "./fleet-console.ts";
import type { FleetHost } from "./fleet-host.ts";
import { describeHosts, openOnly, shutOut } from "./policies.ts";

const problem = fleetProblem();
const DEADLINE_MS = 5_000;
/** Longer than an apply on a busy machine takes from the wire to the flip. */
const ARRIVAL_LIMIT_MS = 4_000;
const HOUR_MS = 3_600_000;
const SSH_PORT = 22;
const SERVICE_PORT = 8080;
/** Within it the kernel returns although nobody is there to ask it; the rest is this test's own way to notice. */
const RETURN_LIMIT_MS = DEADLINE_MS + 1_000;

describe.skipIf(problem !== null)(`a change breaks off${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let web: FleetHost;
  let tester: FleetConsole;
  let outside: SocketPeer;

  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: [
        { name: "web-1", stateSizeBytes: 768 * 1024 },
        { name: "peer-1", agent: "none" },
      ],
    });
    web = fleet.host("web-1");
    outside = await fleet.host("peer-1").startPeer();
    const inside = await web.startPeer();
    await inside.listenTcp(SERVICE_PORT);
  }, 240_000);
  beforeEach(async () => {
    // One that failed leaves the host as it was in the middle of it.
    web.freeDisk();
    await Promise.all([web.linkUp(), web.startSshd(), web.agentAnswers()]);
    await returned();
    tester = new FleetConsole(fleet);
    await tester.connect([web]);
    await tester.write({ "hosts.yaml": describeHosts(fleet.hosts), "web.yaml": openOnly("web-1", SSH_PORT) });
  });
  afterEach(() => tester?.close());
  afterAll(() => fleet?.close(), 240_000);

  /** Asked on the host itself: no line, sshd or policy is in between. */
  async function enforced(): Promise<HostStatus> {
    const { agent, close } = connectAgent(web.agentSocket);
    try {
      const { status } = await agent.getStatus({});
      if (!status) throw new Error("no status");
      return status;
    } finally {
      close();
    }
  }

  /** Waits on the host until nothing is pending there. @returns the number of the generation in force */
  async function returned(): Promise<bigint> {
    const pendingOf = async () => (await enforced()).pending;
    await expect.poll(pendingOf, { timeout: 40_000, interval: 50 }).toBeUndefined();
    return (await enforced()).enforced?.number ?? 0n;
  }

  /** After an apply whose answer was lost: until it is seen on the host, or cannot have reached it. */
  async function settled(before: bigint): Promise<void> {
    const hasFlipped = async () => (await enforced()).enforced?.number !== before;
    for (let waitedMs = 0; waitedMs < ARRIVAL_LIMIT_MS && !(await hasFlipped()); waitedMs += 50) await setTimeout(50);
  }

  const reachesService = () => outside.connectTcp(`c${performance.now()}`, web.address[4], SERVICE_PORT, 1000);

  async function lastOutcome(generation: bigint): Promise<string> {
    const { receipts } = await tester.ship.listReceipts({});
    const found = receipts.find((receipt) => receipt.generation?.number === generation);
    return ReceiptOutcome[found?.outcome ?? 0] ?? "";
  }

  it("is kept after a confirmation over a login of its own", async () => {
    expect(await reachesService()).toBe("ok");
    const logins = () => web.log("ssh.service").match(/Accepted publickey for operator/g)?.length ?? 0;
    const before = logins();
    const { generation } = await tester.sendAndConfirm("web-1");
    expect(logins()).toBeGreaterThan(before);
    expect(await returned()).toBe(generation);
    expect(await reachesService()).not.toBe("ok");
  });

  it("returns by itself when sshd is gone before anybody could confirm", async () => {
    const before = (await enforced()).enforced?.number ?? 0n;
    await tester.write({ "hosts.yaml": describeHosts(fleet.hosts), "web.yaml": openOnly("web-1", SSH_PORT, 9090) });
    let stopping: Promise<void> | null = null;
    const sent = await tester
      .send("web-1", DEADLINE_MS, () => {
        stopping = web.stopSshd();
      })
      .catch((error: unknown) => error);
    await stopping;
    const lost = await tester.until("web-1", (host) => !isConnected(host));
    expect(lost.problem?.code, String(sent)).toBeOneOf([ErrorCode.HOST_UNREACHABLE, ErrorCode.AGENT_UNREACHABLE]);
    await settled(before);
    expect(await returned()).toBe(before);
    await web.startSshd();
    await tester.retry("web-1");
    const back = await tester.until("web-1", isConnected);
    expect(back.status).toMatchObject({ enforced: { number: before } });
    expect(back.status?.pending).toBeUndefined();
  });

  it("returns by itself when the cable is pulled after the flip, and the console says so", async () => {
    const before = (await enforced()).enforced?.number ?? 0n;
    const reachedBefore = await reachesService();
    await tester.write({
      "hosts.yaml": describeHosts(fleet.hosts),
      "web.yaml": openOnly("web-1", SSH_PORT, reachedBefore === "ok" ? 9090 : SERVICE_PORT),
    });
    const { generation, last } = await tester.send("web-1", DEADLINE_MS);
    expect(last.error).toBeUndefined();
    await web.linkDown();
    await expect(
      tester.ship.confirm({ hostId: tester.idOf("web-1"), generation }, { timeoutMs: 4000 }),
    ).rejects.toThrow();
    expect(await returned()).toBe(before);
    await web.linkUp();
    await tester.retry("web-1");
    await tester.until("web-1", (host) => isConnected(host) && host.status?.enforced?.number === before);
    await expect.poll(() => lastOutcome(generation), { timeout: 40_000 }).toBe("EXPIRED");
    expect(await reachesService()).toBe(reachedBefore);
  });

  it("gives the way back within deadline and one second when it shut the console out", async () => {
    const before = (await enforced()).enforced?.number ?? 0n;
    await tester.write({
      "hosts.yaml": describeHosts(fleet.hosts),
      "web.yaml": shutOut("web-1", fleet.consoleAddress),
    });
    await expect.poll(() => answers(web)).toBe(true);
    // Its answer cannot come through any more.
    const sending = tester.send("web-1", DEADLINE_MS).catch((error: unknown) => error);
    await expect
      .poll(async () => (await enforced()).enforced?.number, { timeout: 40_000, interval: 20 })
      .not.toBe(before);
    const flippedAtMs = performance.now();
    expect(await answers(web)).toBe(false);
    let lastShutMs = flippedAtMs;
    const isBack = async () => {
      const askedMs = performance.now();
      const found = await answers(web);
      if (!found) lastShutMs = askedMs;
      return found;
    };
    await expect.poll(isBack, { timeout: 40_000, interval: 20 }).toBe(true);
    expect(lastShutMs - flippedAtMs, "asked last, and shut out").toBeLessThan(RETURN_LIMIT_MS);
    await sending;
    expect(await returned()).toBe(before);
    await tester.retry("web-1");
    await tester.until("web-1", isConnected);
  });

  it("ends in one of both states, and says which, when the agent is killed during the apply", async () => {
    const before = (await enforced()).enforced?.number ?? 0n;
    await tester.write({ "hosts.yaml": describeHosts(fleet.hosts), "web.yaml": openOnly("web-1", SSH_PORT, 7070) });
    let killing: Promise<number> | null = null;
    const outcome = await tester
      .send("web-1", DEADLINE_MS, () => {
        killing = web.killAgent();
      })
      .catch((error: unknown) => error as Error);
    await killing;
    const isAnswered = !(outcome instanceof Error) && outcome.last.step === ApplyStep.PENDING;
    // The answer may have come before the end: then it is of a change that nobody confirms.
    if (isAnswered) expect(outcome.generation).not.toBe(before);
    else expect(outcome instanceof Error ? outcome.message : outcome.last.error?.message).toBeTruthy();
    await web.agentAnswers();
    expect(await returned()).toBe(before);
    if (isAnswered) {
      const become = () => lastOutcome(outcome.generation);
      await expect.poll(become, { timeout: 40_000 }).toBeOneOf(["ROLLED_BACK", "EXPIRED"]);
    }
    await tester.until(
      "web-1",
      ({ reachability, status }) => reachability === Reachability.CONNECTED && status?.enforced?.number === before,
    );
  });

  it("is refused by name when the host's disk is full, and nothing is changed", async () => {
    const before = (await enforced()).enforced?.number ?? 0n;
    await tester.write({
      "hosts.yaml": describeHosts(fleet.hosts),
      "web.yaml": openOnly("web-1", SSH_PORT, SERVICE_PORT),
    });
    const reachedBefore = await reachesService();
    web.fillDisk();
    const { last } = await tester.send("web-1", DEADLINE_MS);
    expect(last.error).toMatchObject({ code: ErrorCode.DISK_FULL });
    expect((await enforced()).enforced?.number).toBe(before);
    expect(await reachesService()).toBe(reachedBefore);
    web.freeDisk();
    await tester.sendAndConfirm("web-1");
    expect(await reachesService()).toBe("ok");
  });

  it.each([-HOUR_MS, HOUR_MS])("does not mind a console whose clock is %i ms off", async (offMs) => {
    await tester.close();
    tester = new FleetConsole(fleet, { clock: { ...systemClock, nowMs: () => Date.now() + offMs } });
    await tester.connect([web]);
    await tester.write({
      "hosts.yaml": describeHosts(fleet.hosts),
      "web.yaml": openOnly("web-1", SSH_PORT, 6000 + offMs / HOUR_MS),
    });
    const { generation } = await tester.sendAndConfirm("web-1");
    expect(await returned()).toBe(generation);
    const { number = 0n } =
      (await tester.until("web-1", ({ status }) => status?.enforced?.number === generation)).status?.enforced ?? {};
    expect(number).toBe(generation);
    expect(await lastOutcome(generation)).toBe("CONFIRMED");
  });
});

/** Whether the host takes a connection to sshd from the console's address: its kernel says so, however busy sshd is. */
function answers({ address }: FleetHost): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address[4], port: SSH_PORT });
    const end = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(100, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
