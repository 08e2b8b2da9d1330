/** The monitor, the desk of healing and the editor of peers, with meshes that do as they are told. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  HealingRunSchema,
  type MeshPeer,
  MeshPeerSchema,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { parsePeerUri, yggdrasilAddress } from "@wardline/domain/mesh";
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { randomKey } from "../testing/yggdrasilDouble.ts";
import { HealingDesk } from "./healingDesk.ts";
import { MeshHost, type MeshTiming } from "./meshHost.ts";
import { NO_MESH } from "./meshOptions.ts";
import { overlayConnections, remoteAddresses } from "./overlayConnections.ts";
import { PeerEditor } from "./peerEditor.ts";
import type { HealingAccess, MeshProviderAdapter } from "./ports.ts";
import { ProviderMonitor } from "./providerMonitor.ts";

/** `vi.waitFor` alone gives up after a second, which a busy machine may take for anything. */
const PATIENTLY = { timeout: 60_000 } as const;

const { UP, DOWN, ABSENT, UNSUPPORTED } = MeshProviderState;
const provider = MeshProvider.YGGDRASIL;
const KEY = randomKey();
const report = (over: Partial<MeshProviderReport> = {}) =>
  Object.assign(create(MeshProviderReportSchema, { provider, state: UP }), over);
const peer = (over: Partial<MeshPeer> = {}) =>
  Object.assign(create(MeshPeerSchema, { key: KEY, uri: "tcp://192.0.2.1:1", up: true, configured: true }), over);
const FAST = { firstLookMs: 0, presentMs: 5, absentMs: 5, readLimitMs: 60, figuresMs: 100_000 };

let host: MeshHost | null = null;
afterEach(async () => {
  await host?.close();
  host = null;
});

interface Scene {
  isPresent?: () => boolean;
  load?: () => Promise<MeshProviderAdapter>;
  read?: (signal: AbortSignal) => Promise<MeshProviderReport>;
  timing?: Partial<MeshTiming>;
  isOff?: boolean;
}

function start({
  isPresent = () => true,
  load,
  read = async () => report(),
  timing = {},
  isOff = false,
}: Scene): MeshHost {
  const adapter: MeshProviderAdapter = { provider, read };
  host = new MeshHost({
    ...{ stateDir: "/nowhere", hostName: "alpha", clock: systemClock, log: pino({ level: "silent" }) },
    options: { ...NO_MESH, isOff },
    plans: [{ provider, isPresent, load: load ?? (async () => adapter) }],
    timing: { ...FAST, ...timing },
  });
  host.start();
  return host;
}

const shown = (of: MeshHost) => of.observation().providers[0];
const stateIs = (of: MeshHost, state: MeshProviderState) =>
  vi.waitFor(() => expect(shown(of)?.state).toBe(state), PATIENTLY);

describe("MeshHost", () => {
  it("loads nothing where there is no mesh, and notices when one comes and goes", async () => {
    let isPresent = false;
    const load = vi.fn(async () => ({ provider, read: async () => report() }));
    const mesh = start({ isPresent: () => isPresent, load });
    const active = vi.fn();
    void mesh.whenActive().then(active);
    await stateIs(mesh, ABSENT);
    const { since } = shown(mesh) ?? {};
    await vi.waitFor(() => expect(mesh.observation().sequence).toBeGreaterThan(4n), PATIENTLY);
    expect([load.mock.calls.length, active.mock.calls.length, mesh.adapter(provider)]).toEqual([0, 0, null]);
    expect(shown(mesh)?.since).toEqual(since);
    isPresent = true;
    await stateIs(mesh, UP);
    expect(active).toHaveBeenCalledOnce();
    expect(shown(mesh)?.measuredAt).toBeDefined();
    expect(mesh.adapter(provider)).not.toBeNull();
    isPresent = false;
    await stateIs(mesh, ABSENT);
    isPresent = true;
    await stateIs(mesh, UP);
    expect(load).toHaveBeenCalledOnce();
  });

  it("does not look at all when it was told so", async () => {
    const isPresent = vi.fn(() => true);
    const mesh = start({ isOff: true, isPresent });
    mesh.setTargets("cluster", [{ host: "b", address: "192.0.2.1", provider: MeshProvider.IP }]);
    const { providers, probes } = await mesh.refresh();
    expect([providers, probes, isPresent.mock.calls]).toEqual([[], [], []]);
    expect(mesh.adapters()).toEqual([]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("no"))],
    ["never answers", () => new Promise<never>(() => {})],
  ])("goes on with an adapter that %s", async (_name, wrong) => {
    let isWrong = true;
    const mesh = start({ read: () => (isWrong ? wrong() : Promise.resolve(report())) });
    await stateIs(mesh, UNSUPPORTED);
    expect(shown(mesh)?.detail).toContain("The agent failed while it looked at it");
    isWrong = false;
    await stateIs(mesh, UP);
  });

  it("waits for a daemon that does not answer only as long as something goes over its mesh", async () => {
    const signs: number[] = [];
    let isSilent = false;
    const monitor = new ProviderMonitor({
      plan: {
        provider,
        isPresent: () => true,
        load: async () => ({
          provider,
          // As the adapters take it: a signal that ends is silence of the daemon.
          read: (signal) => {
            const startedAtMs = performance.now();
            return new Promise((resolve) => {
              signal.addEventListener("abort", () => {
                signs.push(performance.now() - startedAtMs);
                resolve(report({ state: MeshProviderState.UNRESPONSIVE }));
              });
            });
          },
        }),
      },
      timing: { presentMs: 10_000, absentMs: 10_000, readLimitMs: 60_000, silentLimitMs: 300 },
      ...{ log: pino({ level: "silent" }), wallMs: () => 0, onReport: () => {}, onPresent: () => {} },
      isSilent: () => isSilent,
    });
    const looking = monitor.look();
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(signs).toEqual([]);
    isSilent = true;
    await looking;
    expect(signs[0]).toBeGreaterThan(850);
    await monitor.look();
    expect(signs[1]).toBeGreaterThan(280);
    expect(signs[1]).toBeLessThan(20_000);
    expect(monitor.report.state).toBe(MeshProviderState.UNRESPONSIVE);
    await monitor.close();
  });

  it("tries again to load what could not be loaded", async () => {
    const load = vi.fn<() => Promise<MeshProviderAdapter>>();
    load.mockRejectedValueOnce(new Error("no such file"));
    load.mockResolvedValue({ provider, read: async () => report() });
    await stateIs(start({ load }), UP);
    expect(load).toHaveBeenCalledTimes(2);
  });

  it("tells a change of state at once, and figures in their time", async () => {
    let now = report({ peers: [peer({ bytesSent: 1n })] });
    const mesh = start({ read: async () => now });
    await stateIs(mesh, UP);
    const told: string[] = [];
    const stop = mesh.onChange((kind) => told.push(kind));
    for (const bytesSent of [2n, 3n, 4n]) {
      now = report({ peers: [peer({ bytesSent, latencyMs: Number(bytesSent) })] });
      await mesh.refresh();
    }
    expect([told, shown(mesh)?.peers[0]?.bytesSent]).toEqual([[], 4n]);
    now = report({ peers: [peer({ up: false })] });
    await mesh.refresh();
    now = report({ state: DOWN, detail: "gone" });
    await mesh.refresh();
    mesh.setProblems("store", ["a cannot be reached"]);
    mesh.setProblems("store", ["a cannot be reached"]);
    expect(told).toEqual(["state", "state", "state"]);
    // What comes in by itself comes from another port each time: that alone is no news.
    const inbound = (uri: string) => report({ peers: [peer({ inbound: true, configured: false, uri })] });
    now = inbound("tcp://192.0.2.1:5000");
    await mesh.refresh();
    now = inbound("tcp://192.0.2.1:6000");
    await mesh.refresh();
    expect(told).toHaveLength(4);
    stop();
  });

  it("tells figures when their time has come", async () => {
    let bytesSent = 0n;
    const mesh = start({
      read: async () => {
        bytesSent += 1n;
        return report({ peers: [peer({ bytesSent })] });
      },
      timing: { figuresMs: 40 },
    });
    const told: string[] = [];
    mesh.onChange((kind) => told.push(kind));
    await vi.waitFor(() => expect(told.filter((kind) => kind === "figures").length).toBeGreaterThan(2), PATIENTLY);
    expect(told.filter((kind) => kind === "state")).toHaveLength(1);
  });

  it("has adapters for who holds on to them from the start", async () => {
    let isPresent = false;
    const restartDaemon = vi.fn(async () => {});
    const mesh = start({
      isPresent: () => isPresent,
      load: async () => ({ provider, read: async () => report(), restartDaemon }),
    });
    const [held] = mesh.adapters();
    await stateIs(mesh, ABSENT);
    const signal = new AbortController().signal;
    await expect(held?.restartDaemon?.(signal)).rejects.toThrow("not on this host");
    expect((await held?.read(signal))?.state).toBe(ABSENT);
    isPresent = true;
    await stateIs(mesh, UP);
    await held?.restartDaemon?.(signal);
    expect(restartDaemon).toHaveBeenCalledOnce();
    await expect(held?.reselectGateway?.(signal)).rejects.toMatchObject({ code: ErrorCode.HOST_UNSUPPORTED });
    expect(await held?.configuredPeer?.("tcp://192.0.2.1:1")).toBeNull();
  });
});

describe("HealingDesk", () => {
  const accessOf = (name: string) => {
    const listeners = new Set<(ids: readonly string[]) => void>();
    const access: Partial<HealingAccess> = {
      runs: () => [create(HealingRunSchema, { id: name })],
      coordinator: () => name,
      problem: () => "",
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    return { access: access as HealingAccess, listeners };
  };

  it("asks the cluster before the host, and tells when that changes", async () => {
    const desk = new HealingDesk();
    const told: (readonly string[])[] = [];
    desk.onChange((ids) => told.push(ids));
    expect([desk.runs(), desk.coordinator(), desk.problem()]).toEqual([[], "", expect.stringContaining("No mesh")]);
    await expect(desk.resetKnowledge({ actor: "a", role: 1 }, async () => {})).rejects.toMatchObject({
      code: ErrorCode.HOST_UNSUPPORTED,
    });
    const [local, cluster] = [accessOf("local"), accessOf("cluster")];
    desk.setLocal(local.access);
    expect(desk.coordinator()).toBe("local");
    desk.setCluster(cluster.access);
    expect([desk.coordinator(), desk.problem(), local.listeners.size]).toEqual(["cluster", "", 0]);
    for (const listener of cluster.listeners) listener(["x"]);
    desk.setCluster(null);
    expect([desk.coordinator(), cluster.listeners.size]).toEqual(["local", 0]);
    expect(told).toEqual([["local"], ["cluster"], ["x"], ["local"]]);
  });
});

describe("PeerEditor", () => {
  const OTHER = randomKey();
  const parsed = parsePeerUri("tcp://192.0.2.1:1");
  if (!parsed.ok) throw new Error(parsed.problem);
  const edit = { provider, peer: parsed.peer, interfaceName: "", dryRun: false, allowCutOff: false };
  const signal = new AbortController().signal;
  const other = peer({ key: OTHER, uri: "tcp://192.0.2.2:1" });

  function editorOf(peers: readonly MeshPeer[], connections: readonly string[], state = UP) {
    const removed: string[] = [];
    const capabilities = ["add-peer", "remove-peer"];
    const adapter: MeshProviderAdapter = {
      ...{ provider, read: async () => report() },
      addPeer: async () => {},
      removePeer: async ({ uri }) => void removed.push(uri),
    };
    const observation = () => ({ providers: [report({ state, capabilities, peers: [...peers], detail: "as it is" })] });
    const mesh = { observation, adapter: () => adapter, refresh: async () => observation() } as unknown as MeshHost;
    return { editor: new PeerEditor(mesh, async () => connections), removed };
  }

  const codeOf = async (call: Promise<unknown>) => {
    const error = await call.catch((reason: unknown) => reason);
    return error instanceof Failure ? ErrorCode[error.code] : "ok";
  };

  it.each([
    ["the last peer that is up", [peer(), { ...other, up: false }], [], "WOULD_LOCK_OUT"],
    ["a peer with whom there are connections over the mesh", [peer(), other], [KEY, OTHER], "WOULD_LOCK_OUT"],
    ["the same, where a second link to it is up", [peer(), other, peer({ uri: "tcp://192.0.2.3:1" })], [KEY], "ok"],
    ["a peer beside whom others are up", [peer(), other], [OTHER], "ok"],
    ["a peer that is down", [peer({ up: false })], [KEY], "ok"],
    ["one that came by itself", [peer({ inbound: true })], [], "NOT_FOUND"],
  ])("removing %s: %#", async (_name, peers, connected, expected) => {
    const { editor, removed } = editorOf(
      peers,
      connected.map((key) => yggdrasilAddress(key)!),
    );
    expect(await codeOf(editor.remove(edit, async () => {}, signal))).toBe(expected);
    expect(removed).toHaveLength(expected === "ok" ? 1 : 0);
    if (expected !== "WOULD_LOCK_OUT") return;
    expect(await codeOf(editor.remove({ ...edit, allowCutOff: true }, async () => {}, signal))).toBe("ok");
  });

  it("does nothing where the act could not be written down, nor in a dry run", async () => {
    const { editor, removed } = editorOf([peer(), other], []);
    const full = new Failure({ code: ErrorCode.DISK_FULL, message: "full" });
    expect(await codeOf(editor.remove(edit, () => Promise.reject(full), signal))).toBe("DISK_FULL");
    expect(await editor.remove({ ...edit, dryRun: true }, async () => {}, signal)).toHaveLength(3);
    expect(removed).toEqual([]);
  });

  it.each([
    [MeshProviderState.DOWN, "NOT_FOUND"],
    [MeshProviderState.UNRESPONSIVE, "DEADLINE_EXCEEDED"],
    [MeshProviderState.UNSUPPORTED, "HOST_UNSUPPORTED"],
    [MeshProviderState.ABSENT, "HOST_UNSUPPORTED"],
  ])("refuses on a mesh in state %s", async (state, expected) => {
    const { editor } = editorOf([], [], state);
    expect(await codeOf(editor.add(edit, async () => {}, signal))).toBe(expected);
  });

  it("finds connections over the mesh in the kernel's table", async () => {
    const line = (remote: string, state: string) =>
      `   0: 00000000000000000000000001000000:0016 ${remote}:C350 ${state} 00000000:00000000`;
    const overlay = "34120102785634120000000078563412";
    const table = [
      "  sl  local_address",
      line(overlay, "01"),
      line(overlay, "0A"),
      line("B80D0120000000000000000001000000", "01"),
      "x",
    ];
    expect(remoteAddresses(table.join("\n"))).toEqual(["201:1234:1234:5678::1234:5678"]);
    const directory = mkdtempSync(join(tmpdir(), "wardline-tcp6-"));
    writeFileSync(join(directory, "tcp6"), table.join("\n"));
    expect(await overlayConnections(join(directory, "tcp6"))).toHaveLength(1);
    expect(await overlayConnections(join(directory, "none"))).toEqual([]);
    rmSync(directory, { recursive: true });
  });
});
