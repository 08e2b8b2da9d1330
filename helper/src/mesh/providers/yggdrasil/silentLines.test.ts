import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { type TcpConnection, TcpConnections, type TcpTable } from "../../../linux/network/tcpConnections.ts";
import { SilentLines } from "./silentLines.ts";

const REMOTE = "tcp://10.0.0.2:12345";
const LOOK_MS = 250;

/** A table whose connections are as the test says. */
class Table implements TcpTable {
  searches = 0;
  connections: TcpConnection[] = [];

  to(family: 4 | 6, remotePort: number) {
    this.searches += 1;
    return this.connections.filter((each) => each.family === family && each.remotePort === remotePort);
  }
  again({ id }: TcpConnection) {
    return this.connections.find((each) => each.id === id) ?? null;
  }
  close() {}
}

const connection = (change: Partial<TcpConnection> = {}): TcpConnection => ({
  ...{ family: 4, id: Buffer.alloc(48), remoteAddress: "10.0.0.2", remotePort: 12345 },
  ...{ retransmits: 0, unacknowledged: 0, resent: 0, ...change },
});

function following(remotes: readonly string[] = [REMOTE]) {
  const table = new Table();
  table.connections = [connection()];
  let nowMs = 100_000;
  const lines = new SilentLines(
    () => table,
    () => nowMs,
  );
  lines.follow(remotes);
  const become = (change: Partial<TcpConnection>) => {
    nowMs += LOOK_MS;
    table.connections = table.connections.map((each) => ({ ...each, ...change }));
    return lines.look();
  };
  return { table, lines, become, pass: (ms: number) => (nowMs += ms) };
}

describe("lines that carry nothing", () => {
  it("are known when what was sent was sent again twice in vain, and told once each way", () => {
    const { lines, become } = following();
    expect(become({ unacknowledged: 1 })).toBe(false);
    expect(become({ retransmits: 1, resent: 2 })).toBe(false);
    expect(become({ retransmits: 2, resent: 3 })).toBe(true);
    expect(lines.isSilent(REMOTE)).toBe(true);
    expect(become({ retransmits: 3, resent: 4 })).toBe(false);
    expect(become({ retransmits: 0, unacknowledged: 0 })).toBe(true);
    expect(lines.isSilent(REMOTE)).toBe(false);
  });

  it("need more where the line lost something lately and went on", () => {
    const { lines, become, pass } = following();
    become({ retransmits: 0, resent: 5 });
    become({ retransmits: 3, unacknowledged: 1, resent: 8 });
    expect(lines.isSilent(REMOTE)).toBe(false);
    become({ retransmits: 4, resent: 9 });
    expect(lines.isSilent(REMOTE)).toBe(true);
    become({ retransmits: 0, unacknowledged: 0 });
    pass(10_000);
    become({ retransmits: 2, unacknowledged: 1, resent: 11 });
    expect(lines.isSilent(REMOTE)).toBe(true);
  });

  it("are none that wait for nothing, that are gone, or whose peer has another connection that works", () => {
    const { table, lines, become } = following();
    become({ retransmits: 5, unacknowledged: 0 });
    expect(lines.isSilent(REMOTE)).toBe(false);
    become({ retransmits: 5, unacknowledged: 1 });
    expect(lines.isSilent(REMOTE)).toBe(true);
    table.connections = [];
    expect(lines.look()).toBe(true);
    expect(lines.isSilent(REMOTE)).toBe(false);
    const two = following();
    two.lines.close();
    const other = new Table();
    other.connections = [connection({ retransmits: 9, unacknowledged: 1 }), connection({ id: Buffer.alloc(48, 1) })];
    const both = new SilentLines(
      () => other,
      () => 0,
    );
    both.follow([REMOTE]);
    both.look();
    expect(both.isSilent(REMOTE)).toBe(false);
  });

  it("are looked for among all of the host's no more than once in five seconds, and never where they cannot be found", () => {
    const { table, lines, pass } = following([REMOTE, "quic://10.0.0.3:1", "tls://peer.example:2", "unix:///x"]);
    const searches = table.searches;
    for (let turn = 0; turn < 40; turn += 1) {
      pass(1_000);
      lines.follow([REMOTE, "quic://10.0.0.3:1", "tls://peer.example:2", "unix:///x"]);
    }
    expect(table.searches).toBe(searches);
    table.connections = [];
    lines.look();
    for (let turn = 0; turn < 40; turn += 1) {
      pass(1_000);
      lines.follow([REMOTE]);
    }
    expect(table.searches - searches).toBeLessThanOrEqual(2 * 8);
  });

  it("are nobody's where the kernel gives no answers", () => {
    const lines = new SilentLines(
      () => {
        throw new Error("no such socket");
      },
      () => 0,
    );
    lines.follow([REMOTE]);
    expect(lines.look()).toBe(false);
    expect(lines.isSilent(REMOTE)).toBe(false);
  });

  it("are looked for anew a minute after the kernel gave no answer, and never after the end", () => {
    const table = new Table();
    table.connections = [connection({ retransmits: 5, unacknowledged: 1 })];
    let [nowMs, opened] = [0, 0];
    const lines = new SilentLines(
      () => {
        opened += 1;
        if (opened === 1) throw new Error("too many open files");
        return table;
      },
      () => nowMs,
    );
    const lookAt = (ms: number) => {
      nowMs = ms;
      lines.follow([REMOTE]);
      lines.look();
      return [opened, lines.isSilent(REMOTE)];
    };
    expect([0, 1, 54_000, 60_000].map(lookAt)).toEqual([
      [1, false],
      [1, false],
      [1, false],
      [2, true],
    ]);
    lines.close();
    expect(lookAt(1_000_000)).toEqual([2, false]);
  });

  it("are told only on a change, whatever the kernel says", () => {
    const states = fc.record({
      retransmits: fc.integer({ min: 0, max: 8 }),
      unacknowledged: fc.integer({ min: 0, max: 2 }),
      resent: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(states, { maxLength: 40 }), (all) => {
        const { lines, become } = following();
        let before = false;
        for (const state of all) {
          const isTold = become(state);
          expect(isTold).toBe(lines.isSilent(REMOTE) !== before);
          before = lines.isSilent(REMOTE);
          if (state.retransmits === 0 || state.unacknowledged === 0) expect(before).toBe(false);
        }
      }),
    );
  });
});

describe.skipIf(process.platform !== "linux")("the kernel's connections (needs Linux)", () => {
  const open: Socket[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.destroy();
  });

  it.each([
    ["127.0.0.1", 4, "127.0.0.1"],
    ["::1", 6, "0:0:0:0:0:0:0:1"],
  ] as const)("to %s are found, found again, and gone when they are closed", async (address, family, told) => {
    const server = createServer((socket) => open.push(socket.on("error", () => {})));
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    const listening = server.address();
    const port = typeof listening === "object" && listening ? listening.port : 0;
    const client = connect(port, address);
    open.push(client);
    await new Promise((resolve) => client.once("connect", resolve));
    client.write("something");
    await sleep(100);
    const table = new TcpConnections();
    try {
      const [found, ...others] = table.to(family, port);
      expect(others).toEqual([]);
      expect(found).toMatchObject({ remoteAddress: told, remotePort: port, retransmits: 0, unacknowledged: 0 });
      expect(table.again(found!)).toEqual(found);
      client.resetAndDestroy();
      await sleep(100);
      expect(table.again(found!)).toBeNull();
      expect(table.to(family, port)).toEqual([]);
    } finally {
      table.close();
      server.close();
    }
  });
});
