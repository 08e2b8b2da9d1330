/** What a scan with random sources does to others: nothing. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Flooder } from "../../testing/flood.ts";
import { HAND_DECISION, handProgram } from "../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import type { FlowEvent } from "../enforcer.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";

const TCP = 6;
const UDP = 17;
/** High, so that a connection whose entry was evicted and is guessed about by its lower port would be taken for another. */
const SERVICE_PORT = 61_001;
const CLIENT_PORT = 61_002;
const SCANNED_PORT = 7001;
const CONNECTIONS = 20;
const SPOOFED = 200_000;
const PER_SECOND = 40_000;
/** On a busy machine. */
const PATIENTLY = { timeout: 40_000 };
const problem = kernelLabProblem();

/** The scanned port and the service may be reached; the host may call the peer's port. Everything else is denied. */
const PROGRAM = handProgram({
  rules: [
    ...[SCANNED_PORT, SERVICE_PORT].map((port) => ({ direction: "ingress" as const, protocol: TCP, port })),
    { direction: "ingress" as const, protocol: UDP, port: SERVICE_PORT },
    { direction: "egress" as const, protocol: TCP, port: CLIENT_PORT },
  ].map((rule) => ({ ...rule, remote: null, verdict: "allow" as const })),
});
const SCANNED_RULE = HAND_DECISION.firstRule;
const DATAGRAM_RULE = HAND_DECISION.firstRule + 2;

describe.skipIf(problem !== null)(`a scan from random sources${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let peer: SocketPeer;
  const denied: FlowEvent[] = [];

  beforeAll(async () => {
    lab = new KernelLab();
    const { cgroupRoot, bpffsDir } = lab;
    enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes: readBpfObject() });
    await enforcer.open();
    enforcer.onEvents((events) => void denied.push(...events.filter(({ kind }) => kind === "deny")));
    enforcer.activate(await enforcer.prepare(PROGRAM, 1), { mode: "enforce", fallbackAfterMs: null });
    host = await lab.startSocketPeer("host");
    peer = await lab.startSocketPeer("peer");
    await host.listenTcp(SCANNED_PORT);
    await host.listenTcp(SERVICE_PORT);
    await host.listenUdp(SERVICE_PORT);
    await peer.listenTcp(CLIENT_PORT);
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  it(`of ${SPOOFED} openings loses nothing of ${CONNECTIONS} connections and a stream of datagrams`, {
    timeout: 240_000,
  }, async () => {
    const names = Array.from({ length: CONNECTIONS }, (_, index) => `connection ${index}`);
    const ends = names.map((name, index) =>
      index % 2 === 0
        ? { name, side: peer, address: HOST_ADDRESS[4], port: SERVICE_PORT }
        : { name, side: host, address: PEER_ADDRESS[4], port: CLIENT_PORT },
    );
    for (const { name, side, address, port } of ends) expect(await side.connectTcp(name, address, port)).toBe("ok");
    const exchangeAll = () => Promise.all(ends.map(({ name, side }) => side.exchange(name, 5_000)));
    // Longer than a handshake: what is kept with a socket is kept from some packets on.
    for (let round = 0; round < 20; round += 1) expect(new Set(await exchangeAll())).toEqual(new Set(["ok"]));
    await peer.startUdp(HOST_ADDRESS[4], SERVICE_PORT);

    const flooder = new Flooder(lab);
    let isOver = false;
    const flood = flooder
      .send({ kind: "syn", port: SCANNED_PORT, count: SPOOFED, perSecond: PER_SECOND })
      .finally(() => {
        isOver = true;
      });
    const outcomes = new Set<string>();
    let rounds = 0;
    while (!isOver) {
      for (const outcome of await exchangeAll()) outcomes.add(outcome);
      rounds += 1;
    }
    expect(await flood).toBe(SPOOFED);
    // Connections that were silent all the while are met by a table that holds nothing of them.
    for (const outcome of await exchangeAll()) outcomes.add(outcome);
    expect([...outcomes]).toEqual(["ok"]);
    expect(rounds).toBeGreaterThan(3);
    const sent = await peer.stopUdp();
    await expect.poll(() => host.countUdp(SERVICE_PORT), PATIENTLY).toBe(sent);

    enforcer.drainEvents();
    expect(denied.map(({ destinationPort }) => destinationPort)).toEqual([]);
    const counters = enforcer.readCounters();
    // The scan was real: every opening was judged, and the answers that the kernel made for some.
    expect(Number(counters[SCANNED_RULE]?.packets)).toBeGreaterThanOrEqual(SPOOFED);
    // Each datagram and its echo.
    expect(Number(counters[DATAGRAM_RULE]?.packets)).toBe(2 * sent);
  });

  it("leaves connections alone that said nothing while it went on", { timeout: 240_000 }, async () => {
    expect(await peer.connectTcp("silent in", HOST_ADDRESS[4], SERVICE_PORT)).toBe("ok");
    expect(await host.connectTcp("silent out", PEER_ADDRESS[4], CLIENT_PORT)).toBe("ok");
    for (let round = 0; round < 20; round += 1) {
      expect(await peer.exchange("silent in", 5_000)).toBe("ok");
      expect(await host.exchange("silent out", 5_000)).toBe("ok");
    }
    const flooder = new Flooder(lab);
    await flooder.send({ kind: "syn", port: SCANNED_PORT, count: SPOOFED, perSecond: PER_SECOND });
    expect(await peer.exchange("silent in", 1_000)).toBe("ok");
    expect(await host.exchange("silent out", 1_000)).toBe("ok");
    enforcer.drainEvents();
    expect(denied).toEqual([]);
  });
});
