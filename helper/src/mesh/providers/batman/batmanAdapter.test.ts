import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode } from "@wardline/domain/errors";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { BatctlDouble, MACS } from "../../../testing/batctlDouble.ts";
import { BatctlCommand, BatctlError, findBatctl } from "./batctlCommand.ts";
import { BatmanAdapter } from "./batmanAdapter.ts";
import { listInterfaces } from "./meshInterfaces.ts";
import { readGateways, readHardInterfaces, readMesh, readNeighbors, readOriginators } from "./replies.ts";

const open: BatctlDouble[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const never = new AbortController().signal;

function made(algorithm: "BATMAN_IV" | "BATMAN_V" = "BATMAN_IV") {
  const double = new BatctlDouble(algorithm);
  open.push(double);
  const adapter = new BatmanAdapter({ findProgram: () => double.program, interfaces: () => double.interfaces });
  return { double, adapter, read: () => adapter.read(never) };
}

/** The answer of a command, to be changed. */
const OWN_ENTRY = { orig_address: MACS.near, neigh_address: MACS.near, hard_ifindex: 3, last_seen_msecs: 10 };

describe("batman-adv by its JSON", () => {
  it("of BATMAN_IV: quality from TQ, ages that are no latencies, flags that are left out", async () => {
    const { read } = made();
    const report = await read();
    expect(report).toMatchObject({
      ...{ state: MeshProviderState.UP, detail: "", version: "2024.2", generation: "BATMAN_IV", interfaceName: "bat0" },
      ...{ mtuBytes: 1_500, truncated: false, capabilities: ["peers", "paths", "gateways"], self: { key: MACS.own } },
    });
    const [near, gone] = report.peers;
    expect(report.peers).toHaveLength(2);
    expect(near).toMatchObject({
      key: MACS.near,
      up: true,
      interfaceName: "wlan0",
      quality: 1,
      uri: "",
      configured: false,
    });
    expect(near?.lastHeardAge).toMatchObject({ seconds: 0n, nanos: 340_000_000 });
    expect(near?.latencyMs).toBeUndefined();
    expect(near?.throughputBitsPerSecond).toBeUndefined();
    // Not heard for 42 s, and no way goes straight to it: its quality is not known, not 0.
    expect(gone).toMatchObject({ key: MACS.gone, up: false });
    expect(gone?.quality).toBeUndefined();
    expect(
      report.routes.map(({ destinationKey, nextHopKey, best, quality }) => [destinationKey, nextHopKey, best, quality]),
    ).toEqual([
      [MACS.far, MACS.near, true, 204 / 255],
      [MACS.near, MACS.near, true, 1],
      [MACS.far, MACS.gone, false, 51 / 255],
      [MACS.near, MACS.gone, false, 40 / 255],
    ]);
    expect(report.gateways).toMatchObject([
      // Tenths of a megabit.
      {
        key: MACS.near,
        routerKey: MACS.near,
        best: true,
        quality: 1,
        bandwidthUpBitsPerSecond: 2_000_000n,
        bandwidthDownBitsPerSecond: 10_000_000n,
      },
      {
        key: MACS.far,
        routerKey: MACS.near,
        best: false,
        bandwidthUpBitsPerSecond: 1_500_000n,
        bandwidthDownBitsPerSecond: 50_000_000n,
      },
    ]);
  });

  it("of BATMAN_V: throughput in kbit/s, and no quality", async () => {
    const { read } = made("BATMAN_V");
    const report = await read();
    expect(report).toMatchObject({ state: MeshProviderState.UP, generation: "BATMAN_V" });
    expect(report.peers[0]).toMatchObject({ up: true, throughputBitsPerSecond: 54_000_000n });
    expect(report.peers[0]?.quality).toBeUndefined();
    expect(report.routes[0]).toMatchObject({ best: true, throughputBitsPerSecond: 24_000_000n });
    expect(report.routes[0]?.quality).toBeUndefined();
  });

  it("is absent without an interface of it, whatever programs there are, and asks none", async () => {
    const { double, read } = made();
    double.interfaces = double.interfaces.filter(({ name }) => name !== "bat0");
    expect(await read()).toMatchObject({ state: MeshProviderState.ABSENT, detail: "", peers: [] });
    expect(double.calls).toEqual([]);
    // A name alone makes no mesh.
    double.interfaces = [{ index: 9, name: "bat0", kind: "dummy", mtuBytes: null }];
    expect((await read()).state).toBe(MeshProviderState.ABSENT);
  });

  it("resolves interfaces by their index where a release does not name them, and names none that is not there", async () => {
    const { double, read } = made();
    double.answer("neighbors_json", [
      { neigh_address: MACS.near, hard_ifindex: 3, last_seen_msecs: 10 },
      { neigh_address: MACS.far, hard_ifindex: 99, last_seen_msecs: 10 },
    ]);
    double.answer("originators_json", [{ ...OWN_ENTRY, tq: 200, best: true }]);
    const { peers } = await read();
    expect(peers.map(({ interfaceName, quality }) => [interfaceName, quality])).toEqual([
      ["wlan0", 200 / 255],
      ["", undefined],
    ]);
  });

  it("takes the quality of a neighbour only from the way straight to it, over the same interface", async () => {
    const { double, read } = made();
    double.answer("originators_json", [
      { ...OWN_ENTRY, hard_ifname: "mesh-eth", hard_ifindex: 4, tq: 10 },
      { ...OWN_ENTRY, neigh_address: MACS.gone, hard_ifname: "wlan0", tq: 20, best: true },
      { ...OWN_ENTRY, hard_ifname: "wlan0", tq: 102 },
    ]);
    expect((await read()).peers[0]?.quality).toBeCloseTo(0.4);
  });

  it("counts a neighbour as up for five of its intervals, three seconds at least", async () => {
    const { double, read } = made();
    const heard = async (lastSeen: number, interval: number | undefined) => {
      double.answer("mesh_json", { algo_name: "BATMAN_IV", mesh_address: MACS.mesh, orig_interval: interval });
      double.answer("neighbors_json", [{ neigh_address: MACS.near, hard_ifindex: 3, last_seen_msecs: lastSeen }]);
      return (await read()).peers[0]?.up;
    };
    expect([
      await heard(5_000, 1_000),
      await heard(5_001, 1_000),
      await heard(3_000, 100),
      await heard(3_001, 100),
    ]).toEqual([...[true, false, true, false]]);
    expect(await heard(5_000, undefined)).toBe(true);
  });

  it("is down while nothing below it is active, and up where a release does not tell", async () => {
    const { double, read } = made();
    double.answer("hardifs_json", [{ hard_ifindex: 3, hard_ifname: "wlan0" }]);
    expect(await read()).toMatchObject({ state: MeshProviderState.DOWN });
    double.answer("hardifs_json", []);
    expect((await read()).state).toBe(MeshProviderState.DOWN);
    double.remove("hardifs_json");
    double.remove("gateways_json");
    expect(await read()).toMatchObject({ state: MeshProviderState.UP, capabilities: ["peers", "paths"], gateways: [] });
  });

  it("shows the first of several meshes and names the others", async () => {
    const { double, read } = made();
    double.interfaces = [...double.interfaces, { index: 8, name: "bat1", kind: "batadv", mtuBytes: null }];
    expect(await read()).toMatchObject({
      interfaceName: "bat0",
      detail: "Of several meshes this is bat0; bat1 is not shown.",
    });
  });

  it("leaves out what is more than a report holds, and says so", async () => {
    const { double, read } = made();
    const mac = (number: number) =>
      `02:00:00:00:${(number >> 8).toString(16).padStart(2, "0")}:${(number & 255).toString(16).padStart(2, "0")}`;
    const many = Array.from({ length: 4_100 }, (_, index) => ({ ...OWN_ENTRY, orig_address: mac(index), tq: 9 }));
    double.answer("originators_json", [...many, { ...OWN_ENTRY, orig_address: MACS.far, tq: 255, best: true }]);
    const { routes, truncated } = await read();
    expect([routes.length, truncated, routes[0]?.destinationKey]).toEqual([4_000, true, MACS.far]);
  });
});

describe("a batctl that is hostile, old, late or missing", () => {
  it.each([
    ["nothing", ""],
    ["half an answer", '[{"neigh_address":"02:00'],
    ["a table", "[B.A.T.M.A.N. adv 2024.2, MainIF/MAC: wlan0/02:00:00:00:00:01]\n * 02:00:00:00:00:02 0.340s"],
    ["an object for a list", "{}"],
    ["a list of numbers", "[1,2]"],
    ["null", "null"],
    ["no address", '[{"hard_ifindex":3,"last_seen_msecs":1}]'],
    ["an address with a command in it", '[{"neigh_address":"02:00:00:00:00:02; reboot","last_seen_msecs":1}]'],
    ["a negative age", `[{"neigh_address":"${MACS.near}","last_seen_msecs":-1}]`],
    ["an age as text", `[{"neigh_address":"${MACS.near}","last_seen_msecs":"340"}]`],
    ["an age that no number holds", `[{"neigh_address":"${MACS.near}","last_seen_msecs":1e400}]`],
    ["a deep nest", `${"[".repeat(200_000)}${"]".repeat(200_000)}`],
  ])("that prints %s has no peers rather than zero", async (_what, printed) => {
    const { double, read } = made();
    double.put("neighbors_json", printed);
    const report = await read();
    expect(report).toMatchObject({ state: MeshProviderState.UNSUPPORTED, peers: [], routes: [] });
    expect(report.detail).toMatch(/^bat0: .{10,300}\.$/);
  });

  it.each([
    ["a TQ over 255", [{ ...OWN_ENTRY, tq: 256 }]],
    ["a TQ as text", [{ ...OWN_ENTRY, tq: "200" }]],
    ["no TQ at all", [OWN_ENTRY]],
    ["throughput, which is of the other algorithm", [{ ...OWN_ENTRY, throughput: 5 }]],
    ["a flag that is text", [{ ...OWN_ENTRY, tq: 1, best: "false" }]],
  ])("of which an originator has %s is not understood", async (_what, originators) => {
    const { double, read } = made();
    double.answer("originators_json", originators);
    expect(await read()).toMatchObject({ state: MeshProviderState.UNSUPPORTED, routes: [], peers: [] });
  });

  it("of an algorithm that nobody knows is not understood", async () => {
    const { double, read } = made();
    double.answer("mesh_json", { algo_name: "BATMAN_VI", mesh_address: MACS.mesh });
    expect(await read()).toMatchObject({ state: MeshProviderState.UNSUPPORTED, generation: "" });
  });

  it("that prints 100 MB is stopped at 4 MiB", async () => {
    const { double, read } = made();
    double.put("flood-originators_json", "");
    const before = process.memoryUsage.rss();
    expect(await read()).toMatchObject({ state: MeshProviderState.UNSUPPORTED });
    expect((await read()).detail).toBe("bat0: batctl originators_json printed more than 4 MiB.");
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  });

  it("that hangs is late after 1.5 s, and ended", async () => {
    const { double, read } = made();
    double.put("hang-neighbors_json", "");
    const startMs = performance.now();
    const report = await read();
    expect(report).toMatchObject({ state: MeshProviderState.UNRESPONSIVE });
    expect(report.detail).toContain("did not end within 1.5 s");
    expect(performance.now() - startMs).toBeLessThan(6_000);
  });

  it("that fails is quoted in one line", async () => {
    const { double, read } = made();
    double.remove("mesh_json");
    const report = await read();
    expect(report.state).toBe(MeshProviderState.UNRESPONSIVE);
    expect(report.detail).toBe("bat0: batctl mesh_json failed: Error - unknown command: mesh_json.");
  });

  it("that went with its mesh while it was asked leaves it absent", async () => {
    const { double } = made();
    let looks = 0;
    const adapter = new BatmanAdapter({
      findProgram: () => double.program,
      interfaces: () => (++looks === 1 ? double.interfaces : []),
    });
    double.remove("if-bat0");
    expect((await adapter.read(never)).state).toBe(MeshProviderState.ABSENT);
  });

  it("that is not installed, is no program, or may be changed by others is said to be missing", async () => {
    const { double } = made();
    const without = new BatmanAdapter({ findProgram: () => null, interfaces: () => double.interfaces });
    expect((await without.read(never)).detail).toContain("no batctl that only root can change");
    const wrong = new BatmanAdapter({ findProgram: () => [double.directory], interfaces: () => double.interfaces });
    expect(await wrong.read(never)).toMatchObject({ state: MeshProviderState.UNSUPPORTED });
    expect(findBatctl() === null || findBatctl()?.[0]?.startsWith("/")).toBe(true);
  });

  it("is never asked about a name with odd characters", () => {
    for (const name of ["", "-a", "a b", "a;b", "../x", "a/b", "$(x)", "a".repeat(16)])
      expect(() => new BatctlCommand(["/bin/true"], name)).toThrow(BatctlError);
  });

  it("cannot make a reader throw anything but that it is not understood", () => {
    const readers = [
      readMesh,
      readNeighbors,
      readHardInterfaces,
      readGateways,
      (value: unknown) => readOriginators(value, "BATMAN_V"),
    ];
    const names = fc.constantFrom(
      "algo_name",
      "mesh_address",
      "neigh_address",
      "orig_address",
      "router",
      "tq",
      "best",
      "last_seen_msecs",
    );
    const values = fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>(MACS.near, "BATMAN_IV", 7, true));
    const fields = fc.dictionary(names, values);
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fields, fc.array(fields)), (value) => {
        for (const read of readers) {
          try {
            read(value);
          } catch (error) {
            if (!(error instanceof BatctlError)) throw error;
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("choosing a gateway anew", () => {
  it("turns the choice off and on again, with fixed words", async () => {
    const { double, adapter } = made();
    await adapter.reselectGateway(never);
    expect(double.calls).toEqual(["meshif bat0 mesh_json", "meshif bat0 gw_mode off", "meshif bat0 gw_mode client"]);
    expect(double.mode).toBe("client");
  });

  it.each(["off", "server"])("is refused to a host whose mode is %s, which stays so", async (mode) => {
    const { double, adapter } = made();
    double.put("mode", mode);
    await expect(adapter.reselectGateway(never)).rejects.toMatchObject({ code: ErrorCode.HOST_UNSUPPORTED });
    expect(double.calls).toEqual(["meshif bat0 mesh_json"]);
    expect(double.mode).toBe(mode);
  });

  it("is refused without a mesh", async () => {
    const { double, adapter } = made();
    double.interfaces = [];
    await expect(adapter.reselectGateway(never)).rejects.toMatchObject({ code: ErrorCode.HOST_UNSUPPORTED });
  });

  it("leaves the host a client when it cannot be turned off, or on at first", async () => {
    const { double, adapter } = made();
    double.put("fail-gw_mode-off", "");
    await expect(adapter.reselectGateway(never)).rejects.toMatchObject({ code: ErrorCode.KERNEL_REFUSED });
    expect(double.mode).toBe("client");
    double.put("fail-gw_mode-client", "");
    await adapter.reselectGateway(never);
    expect(double.mode).toBe("client");
  });

  it("turns it on again also when it was given up meanwhile", async () => {
    const { double, adapter } = made();
    const given = new AbortController();
    const done = adapter.reselectGateway(given.signal);
    const end = setInterval(() => {
      if (double.calls.some((call) => call.endsWith("gw_mode off"))) given.abort();
    }, 1);
    await done.catch(() => {});
    clearInterval(end);
    expect(double.mode).toBe("client");
  });
});

describe("interfaces of this host", () => {
  it.skipIf(process.platform !== "linux")("come from the kernel, with their kind", () => {
    expect(listInterfaces()).toContainEqual(expect.objectContaining({ name: "lo", kind: "" }));
  });
});
