/** Where the daemon is found, what is read of its configuration, how its peers are changed and how it is started anew. */
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { randomKey } from "../../../testing/yggdrasilDouble.ts";
import { failureOf, shortOf, upPeer as up, YggdrasilScene } from "../../../testing/yggdrasilScene.ts";
import { Systemd } from "../../systemd.ts";
import { HjsonError, readHjson } from "./hjson.ts";
import { isYggdrasilPresent, readAdminListen } from "./places.ts";

const { UP, DOWN, UNSUPPORTED } = MeshProviderState;
const ONE = randomKey();
const never = new AbortController().signal;

let scene: YggdrasilScene;
beforeEach(() => {
  scene = new YggdrasilScene();
});
afterEach(() => scene.close());

describe("where it is", () => {
  it("knows the values of AdminListen", () => {
    expect(readAdminListen("unix:///run/y.sock")).toEqual({
      kind: "at",
      endpoint: { kind: "unix", path: "/run/y.sock" },
    });
    for (const text of ["tcp://localhost:9001", "tcp://127.0.0.1:9001", "tcp://0.0.0.0:9001", "tcp://:9001"]) {
      expect(readAdminListen(text)).toEqual({ kind: "at", endpoint: { kind: "tcp", host: "127.0.0.1", port: 9_001 } });
    }
    expect(readAdminListen("tcp://[::1]:9001")).toMatchObject({ endpoint: { host: "::1" } });
    expect([readAdminListen(""), readAdminListen("none")]).toEqual([{ kind: "off" }, { kind: "off" }]);
    for (const text of ["tcp://192.0.2.1:9001", "tcp://localhost:0", "x", `unix:///${"a".repeat(108)}`]) {
      expect(readAdminListen(text).kind).toBe("unknown");
    }
  });

  it.each(["", "none"])("says that the socket is turned off by %j, and does not call it hung", async (value) => {
    scene.configure({ AdminListen: value, Peers: ["tcp://192.0.2.1:1"] });
    const report = await scene.adapter({ unit: "here.service" }).read(never);
    expect(report).toMatchObject({
      state: UNSUPPORTED,
      detail: expect.stringContaining("turned off"),
      capabilities: [],
      peers: [],
    });
    expect(await failureOf(scene.adapter().addPeer({ uri: "tcp://192.0.2.1:1", interfaceName: "" }, never))).toEqual([
      "HOST_UNSUPPORTED",
      expect.stringContaining("turned off"),
    ]);
  });

  it("answers over TCP as well, and the option goes before the configuration", async () => {
    await scene.speak("0.5");
    const relay = createServer((socket) => {
      socket.once("data", () => socket.end('{"status":"error","error":"relay","response":null}'));
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const { port } = relay.address() as { port: number };
    const report = await scene.adapter({ socket: `tcp://127.0.0.1:${port}` }).read(never);
    expect(report.detail).toContain("relay");
    expect((await scene.adapter({ socket: scene.socketPath }).read(never)).state).toBe(UP);
    relay.close();
    expect((await scene.adapter({ socket: "tcp://127.0.0.1:1" }).read(never)).state).toBe(DOWN);
  });

  it("is there when an option or a file says so", () => {
    expect(isYggdrasilPresent({ socket: "/x", configPath: null, unit: null })).toBe(true);
    expect(isYggdrasilPresent({ socket: null, configPath: scene.configPath, unit: null })).toBe(true);
  });

  it.each([
    ["HJSON as it is generated", "utf8"],
    ["UTF-16 as editors of Windows save it", "utf16le"],
  ] as const)("reads %s", async (_name, encoding) => {
    await scene.speak("0.4.5");
    const text = `{
  # Peers: ["tcp://192.0.2.9:9"]
  Peers: [
    tls://192.0.2.1:1?password=a,b
    "tcp://192.0.2.2:2", // the other
    /* none
    */
  ]
  InterfacePeers: { "eth0": ['tcp://192.0.2.3:3'] }
  AdminListen: unix://${scene.socketPath}
  PrivateKey: 0011
  IfMTU: 65535, NodeInfo: null
  NodeInfoPrivacy: false
  Text: '''
    many
  '''
}`;
    writeFileSync(scene.configPath, Buffer.from(`${encoding === "utf16le" ? "\ufeff" : ""}${text}`, encoding));
    const { peers, detail } = await scene.adapter().read(never);
    expect([detail, peers.map(({ uri, interfaceName }) => `${uri} ${interfaceName}`)]).toEqual([
      "",
      ["tls://192.0.2.1:1 ", "tcp://192.0.2.2:2 ", "tcp://192.0.2.3:3 eth0"],
    ]);
  });

  it("says that a configuration is of no use, without a word of it, and notices when it is again", async () => {
    await scene.speak("0.4.5");
    const reader = scene.adapter({ socket: scene.socketPath });
    for (const text of [
      "{PrivateKey: 00112233 \n Peers: [",
      "[1]",
      `{a:${"[".repeat(10_000)}`,
      "a".repeat(1024 * 1024 + 1),
    ]) {
      scene.configure(text);
      const { state, detail } = await reader.read(never);
      expect([state, detail]).toEqual([UP, expect.stringContaining("is of no use (it ")]);
      expect(detail).not.toMatch(/00112233|aaaa/);
    }
    scene.configure({ Peers: ["tcp://192.0.2.1:1"] });
    expect(await reader.read(never)).toMatchObject({ detail: "", peers: [{ uri: "tcp://192.0.2.1:1" }] });
  });

  it("reads HJSON in a time that grows with its length only", () => {
    // A text without quotes goes to the end of its line.
    const loose = readHjson("a: 1\nb: [x y, z]\n]\nc: {d: -2.5e3, e: no}\n}");
    expect(loose).toMatchObject({ a: 1, b: ["x y, z]"], c: { d: -2_500, e: "no}" } });
    expect(Object.getPrototypeOf(readHjson('{"__proto__": 1}'))).toBeNull();
    const before = process.cpuUsage();
    expect((readHjson(`[${"1,".repeat(400_000)}]`) as unknown[]).length).toBe(400_000);
    expect(process.cpuUsage(before).user).toBeLessThan(4_000_000);
    for (const text of ["{a", "{a:", '{a: "x', "{a: '''x", "{a: [}", "{} x", "{:1}", '{a: "\\u00g0"}']) {
      expect(() => readHjson(text)).toThrow(HjsonError);
    }
  });
});

describe("changing peers", () => {
  const peer = (uri: string, interfaceName = "") => ({ uri, interfaceName });

  it("adds, keeps the secret for itself, tells a daemon that starts anew, and removes", async () => {
    await scene.speak("0.4.5");
    const reader = scene.adapter();
    await reader.read(never);
    const secret = "tls://192.0.2.1:1?password=hush";
    await reader.addPeer(peer(secret), never);
    expect(scene.double!.asked.at(-1)).toEqual({ request: "addpeer", arguments: { uri: secret } });
    const file = join(scene.directory, "state", "mesh", "yggdrasil-peers.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ added: [{ uri: secret, interfaceName: "" }] });
    expect(await reader.configuredPeer("tls://192.0.2.1:1")).toEqual(peer(secret));
    // The double keeps what it was given; the daemon shows it without its query.
    scene.double!.peers = [up(ONE, "tls://192.0.2.1:1")];
    expect((await reader.read(never)).peers.map(shortOf)).toEqual([[ONE, "tls://192.0.2.1:1", true, false, true]]);

    await scene.double!.close();
    await scene.speak("0.4.5");
    const again = scene.adapter();
    await again.read(never);
    expect(scene.double!.asked.filter(({ request }) => request === "addpeer")).toEqual([
      { request: "addpeer", arguments: { uri: secret } },
    ]);
    await again.read(never);
    scene.nowMs += 10_000;
    await again.read(never);
    expect(scene.double!.asked.filter(({ request }) => request === "addpeer")).toHaveLength(1);

    await again.removePeer(peer("tls://192.0.2.1:1"), never);
    expect(scene.double!.asked.at(-1)).toEqual({ request: "removepeer", arguments: { uri: secret } });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ added: [], removed: [] });
  });

  it("keeps a configured peer away that was removed here, also from a daemon that starts anew, until it is added again", async () => {
    await scene.speak("0.5");
    const uri = "tcp://192.0.2.1:1?password=x";
    scene.configure({ AdminListen: `unix://${scene.socketPath}`, Peers: [uri] });
    scene.double!.peers = [up(ONE, uri)];
    const reader = scene.adapter();
    expect((await reader.read(never)).peers).toHaveLength(1);
    await reader.removePeer(peer("tcp://192.0.2.1:1"), never);
    expect((await reader.read(never)).peers).toEqual([]);
    await scene.double!.close();
    await scene.speak("0.5");
    scene.configure({ AdminListen: `unix://${scene.socketPath}`, Peers: [uri] });
    scene.double!.peers = [up(ONE, uri)];
    await reader.read(never);
    expect(scene.double!.peers).toEqual([]);
    await reader.addPeer(peer("tcp://192.0.2.1:1"), never);
    expect(scene.double!.peers.map(({ remote }) => remote)).toEqual([uri]);
    expect((await reader.read(never)).peers).toMatchObject([{ uri: "tcp://192.0.2.1:1", configured: true, up: true }]);
  });

  it("until 0.4.7 a peer of the configuration is only dialled anew: it cannot be taken away, and is not said to be", async () => {
    await scene.speak("0.4.5");
    const uri = "tcp://192.0.2.1:1?password=x";
    scene.configure({ AdminListen: `unix://${scene.socketPath}`, Peers: [uri] });
    scene.double!.peers = [up(ONE, uri)];
    const reader = scene.adapter();
    await reader.read(never);
    expect(await reader.removalProblem("tcp://192.0.2.1:1")).toContain(`(${scene.configPath}) while it runs`);
    expect(await reader.removalProblem("tcp://192.0.2.2:1")).toBe("");
    await reader.removePeer(peer("tcp://192.0.2.1:1"), never);
    expect(scene.double!.asked.slice(-3).map(({ request }) => request)).toEqual([
      "removepeer",
      "addpeer",
      "removepeer",
    ]);
    await reader.addPeer(peer("tcp://192.0.2.1:1"), never);
    expect(scene.double!.peers.map(({ remote }) => remote)).toEqual([uri]);
    expect((await reader.read(never)).peers).toMatchObject([{ uri: "tcp://192.0.2.1:1", configured: true, up: true }]);
  });

  it("refuses what is no peer before it asks anybody, and tells the daemon's refusals", async () => {
    await scene.speak("0.4.5");
    const reader = scene.adapter();
    for (const uri of ["", "foo://192.0.2.1:1", "tcp://192.0.2.1:1\nx", `tcp://${"a".repeat(600)}:1`]) {
      expect((await failureOf(reader.addPeer(peer(uri), never)))[0]).toBe("INVALID_ARGUMENT");
    }
    expect((await failureOf(reader.addPeer(peer("tcp://192.0.2.1:1", "a b"), never)))[0]).toBe("INVALID_ARGUMENT");
    expect(scene.double!.asked).toEqual([]);
    await reader.addPeer(peer("tcp://192.0.2.1:1", "eth0"), never);
    expect(scene.double!.asked.at(-1)).toMatchObject({ arguments: { uri: "tcp://192.0.2.1:1", interface: "eth0" } });
    expect((await failureOf(reader.addPeer(peer("tcp://192.0.2.1:1", "eth0"), never)))[0]).toBe("ALREADY_EXISTS");
    expect((await failureOf(reader.removePeer(peer("tcp://192.0.2.8:1"), never)))[0]).toBe("NOT_FOUND");
    await scene.double!.close();
    expect(await failureOf(reader.addPeer(peer("tcp://192.0.2.4:1"), never))).toEqual([
      "NOT_FOUND",
      expect.stringContaining("It does not run"),
    ]);
    scene.double = null;
  });

  it("begins anew where its file is damaged, and says so where it cannot be written", async () => {
    await scene.speak("0.4.5");
    const mesh = join(scene.directory, "state", "mesh");
    mkdirSync(mesh, { recursive: true });
    writeFileSync(join(mesh, "yggdrasil-peers.json"), '{"added": 7');
    expect((await scene.adapter().read(never)).state).toBe(UP);
    expect(readFileSync(join(mesh, "yggdrasil-peers.json.damaged"), "utf8")).toBe('{"added": 7');
    rmSync(mesh, { recursive: true });
    writeFileSync(mesh, "");
    const reader = scene.adapter();
    expect((await failureOf(reader.addPeer(peer("tcp://192.0.2.4:1"), never)))[0]).toBe("INTERNAL");
    expect((await reader.read(never)).state).toBe(UP);
  });
});

describe.skipIf(process.geteuid?.() !== 0)("systemd", () => {
  function manager(script: string): Systemd {
    const program = join(scene.directory, "systemctl");
    writeFileSync(program, `#!/bin/sh\necho "$@" >> ${scene.directory}/asked\n${script}\n`);
    chmodSync(program, 0o755);
    return new Systemd({
      programs: [join(scene.directory, "none"), program],
      runningDir: scene.directory,
      nowMs: () => scene.nowMs,
    });
  }
  const asked = () => readFileSync(join(scene.directory, "asked"), "utf8").trim().split("\n");

  it("is asked for a unit once a minute, and scene.restarts it, the hung one killed before", async () => {
    const systemd = manager('[ "$1" = show ] && echo loaded; exit 0');
    expect([await systemd.hasUnit("y.service"), await systemd.hasUnit("y.service")]).toEqual([true, true]);
    expect(asked()).toEqual(["show --property=LoadState --value y.service"]);
    scene.nowMs += 60_000;
    await systemd.hasUnit("y.service");
    expect(asked()).toHaveLength(2);
    await systemd.restart("y.service", false, never);
    await systemd.restart("y.service", true, never);
    expect(asked().slice(2)).toEqual([
      ...["restart y.service", "is-active y.service"],
      ...["kill --signal=SIGKILL y.service", "restart y.service", "is-active y.service"],
    ]);
  });

  it("tells its words, ends with the caller, and takes no other names", async () => {
    expect(await manager("echo not-found").hasUnit("y.service")).toBe(false);
    const refusing = manager('[ "$1" = show ] || { echo "start request repeated too quickly" >&2; exit 1; }');
    expect(await failureOf(refusing.restart("y.service", false, never))).toEqual([
      "INTERNAL",
      "y.service was not restarted: start request repeated too quickly",
    ]);
    expect((await failureOf(manager("exec sleep 60").restart("y.service", false, AbortSignal.timeout(200))))[0]).toBe(
      "DEADLINE_EXCEEDED",
    );
    rmSync(join(scene.directory, "asked"));
    for (const unit of ["--now", "y; reboot", "y.timer", "../y.service", ""]) {
      expect(await refusing.hasUnit(unit)).toBe(false);
      expect((await failureOf(refusing.restart(unit, true, never)))[0]).toBe("HOST_UNSUPPORTED");
    }
    expect(() => asked()).toThrow("ENOENT");
    // A program that others may change is no service manager.
    chmodSync(join(scene.directory, "systemctl"), 0o777);
    expect((await failureOf(refusing.restart("y.service", false, never)))[0]).toBe("HOST_UNSUPPORTED");
    expect(await new Systemd({ runningDir: join(scene.directory, "none") }).hasUnit("y.service")).toBe(false);
  });
});
