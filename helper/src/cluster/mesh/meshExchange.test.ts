/** What a member says of its meshes and reads of others', and to whom it measures its ways. */

import { deflateRawSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { MemberSchema, MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  type MeshObservation,
  MeshObservationSchema,
  MeshProvider,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode } from "@wardline/domain/errors";
import { yggdrasilAddress } from "@wardline/domain/mesh";
import { describe, expect, it } from "vitest";
import { MeshLab, peer } from "../../testing/meshLab.ts";
import { seededRandom } from "../../testing/seededRandom.ts";
import { Keys } from "../keys.ts";
import { stepDown } from "./meshDuties.ts";
import { decodeObservation, encodeObservation, MAX_BYTES } from "./observationCodec.ts";
import { MAX_PROBED_HOSTS, probeTargets } from "./probeTargets.ts";
import { decodeAddresses, decodeDecision, decodeOrder, decodeReceipt, decodeSettings } from "./records.ts";

const keys = new Keys();
const random = seededRandom(3);
const key = () => Array.from({ length: 64 }, () => Math.floor(random() * 16).toString(16)).join("");
const { YGGDRASIL, BATMAN, IP } = MeshProvider;

function observed(peerCount: number, lastError = () => ""): MeshObservation {
  const peers = Array.from({ length: peerCount }, (_, index) => {
    return {
      ...peer(key(), `tls://192.0.2.1:${1 + index}?password=secret`, index % 3 === 0),
      configured: index % 2 === 0,
      lastError: lastError(),
    };
  });
  const routes = Array.from({ length: 100 }, () => ({ destinationKey: key() }));
  const providers = [{ provider: YGGDRASIL, state: MeshProviderState.UP, peers, routes, interfaceName: "ygg0" }];
  return create(MeshObservationSchema, { host: "a", sessionId: "s", sequence: 7n, providers });
}

const pack = (message: MeshObservation) =>
  Buffer.concat([Buffer.of(1), deflateRawSync(toBinary(MeshObservationSchema, message))]);
const judged = (fields: object) => decodeObservation(pack(create(MeshObservationSchema, fields)), "a");

describe("what a member sees, in the store", () => {
  it("comes back as it was, without routes, passwords and what is not measured", () => {
    const back = decodeObservation(encodeObservation(observed(3)), "a");
    expect(back).toMatchObject({ host: "a", sessionId: "s", sequence: 7n, problems: [] });
    const [report] = back!.providers;
    expect(report).toMatchObject({ state: MeshProviderState.UP, routes: [], interfaceName: "ygg0", truncated: false });
    expect(report!.peers.map(({ uri }) => uri)).toEqual([1, 2, 3].map((port) => `tls://192.0.2.1:${port}`));
    expect(report!.peers[0]!.latencyMs).toBeUndefined();
  });

  it("is never more than a key may have: what is left out is said, configured neighbours last", () => {
    const value = encodeObservation(observed(1_000, () => key().repeat(4)));
    expect(value.length).toBeLessThanOrEqual(MAX_BYTES);
    const back = decodeObservation(value, "a")!;
    const [report] = back.providers;
    expect(report!.truncated).toBe(true);
    expect(report!.peers.length).toBeGreaterThan(200);
    expect(report!.peers.length).toBeLessThan(1_000);
    expect(back.problems[0]).toMatch(/^\d+ neighbours in yggdrasil are left out/);
    const configured = report!.peers.filter((each) => each.configured).length;
    expect(configured).toBe(Math.min(500, report!.peers.length));
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["another version", Buffer.of(2, 3, 0)],
    ["garbage", Buffer.from("\u0001garbage")],
    ["more than a key may have", Buffer.alloc(MAX_BYTES + 1, 1)],
    ["what becomes a hundred megabytes", Buffer.concat([Buffer.of(1), deflateRawSync(Buffer.alloc(40_000_000))])],
  ])("counts for nothing when it is %s", (_name, value) => {
    expect(decodeObservation(value, "a")).toBeNull();
  });

  it("speaks for the member under whose name it lies, in words and figures that can be", () => {
    const long = "x\u0007\u202e".repeat(300);
    const figures = { latencyMs: Number.NaN, quality: 1.5, key: long, uri: long, lastError: long };
    const self = { key: key(), address: "200::1", subnet: "300::/64" };
    const report = {
      provider: YGGDRASIL,
      state: MeshProviderState.UP,
      self,
      peers: [figures, ...Array(1_200).fill({})],
      detail: long,
    };
    const probes = Array(300).fill({
      targetHost: "b",
      loss: -1,
      latencyMs: -1,
      latencyP95Ms: Number.POSITIVE_INFINITY,
    });
    const observedAt = { seconds: 1n << 60n, nanos: 0 };
    const back = judged({
      host: "b",
      providers: [report, { ...report, peers: [] }, { provider: 77 }],
      probes,
      observedAt,
    })!;
    expect(back.host).toBe("a");
    expect(back.observedAt).toBeUndefined();
    expect(back.providers).toHaveLength(1);
    expect(back.providers[0]!.self).toMatchObject({ key: self.key, address: "" });
    expect(back.providers[0]!.peers).toHaveLength(1_000);
    expect(back.providers[0]!.truncated).toBe(true);
    const [neighbour] = back.providers[0]!.peers;
    expect(neighbour!.latencyMs).toBeUndefined();
    expect(neighbour!.quality).toBeUndefined();
    expect(neighbour!.key.length).toBeLessThanOrEqual(128);
    expect(`${neighbour!.lastError}${back.providers[0]!.detail}`).toMatch(/^[x ]+$/);
    expect(back.probes).toHaveLength(256);
    expect(back.probes[0]).not.toHaveProperty("loss", -1);
  });

  it.each([decodeOrder, decodeReceipt, decodeDecision, decodeSettings])(
    "%o takes no text that is none of ours",
    (read) => {
      const texts = [
        "",
        "{",
        "[]",
        "null",
        '{"version":2}',
        '{"version":1}',
        '{"version":1,"id":"../../x","term":"-1"}',
      ];
      for (const text of texts) expect(read(Buffer.from(text))).toBeNull();
      expect(read(Buffer.alloc(MAX_BYTES + 1, 32))).toBeNull();
    },
  );

  it("knows no addresses where there are none", () => {
    for (const text of ["{", "[]", '{"version":1,"yggdrasil":7}'])
      expect(decodeAddresses(Buffer.from(text)).size).toBe(0);
  });
});

describe("what is said, and when", () => {
  it("is a change of state at once and once for many, and figures every ten seconds while there are any", async () => {
    const lab = new MeshLab();
    const [a] = await lab.nodesNamed("a");
    const version = () => Number(lab.state.get(keys.meshObservation("a"))!.version);
    await lab.world.advance(1_000);
    const before = version();
    a!.mesh.peers = [peer(key(), "tls://192.0.2.1:1", false)];
    for (let told = 0; told < 10; told += 1) a!.mesh.tell("state");
    await lab.world.advance(150);
    expect(version()).toBe(before + 1);
    expect(decodeObservation(lab.state.get(keys.meshObservation("a"))!.value, "a")!.providers[0]!.peers).toHaveLength(
      1,
    );
    for (let second = 0; second < 60; second += 1) {
      a!.mesh.tell("figures");
      await lab.world.advance(1_000);
    }
    expect(version() - before - 1).toBeGreaterThanOrEqual(5);
    expect(version() - before - 1).toBeLessThanOrEqual(6);
    a!.mesh.become(MeshProviderState.ABSENT);
    await lab.world.advance(1_000);
    const silentSince = version();
    await lab.world.advance(60_000);
    expect(version()).toBe(silentSince);
  });

  it("goes with its member", async () => {
    const lab = new MeshLab();
    const [a, b] = await lab.nodesNamed("a", "b");
    const fence = lab.leader()!.member.leadership.held()!.fence;
    const removed = lab.leader() === a ? b! : a!;
    const other = lab.leader()!;
    lab.put(keys.meshDecision(removed.member.name, "x"), Buffer.from("{"));
    lab.put(keys.meshOrder(removed.member.name, "x/1"), Buffer.from("{"));
    const gone = other.member.membership.remove(removed.member.name, fence);
    lab.kill(removed.member);
    await lab.world.advance(2_000);
    await gone;
    const left = lab.state.under(keys.mesh).filter(({ key: each }) => each.includes(`/${removed.member.name}`));
    expect(left).toEqual([]);
    expect(lab.state.get(keys.meshObservation(other.member.name))).not.toBeNull();
  });
});

describe("ways that are measured", () => {
  const member = (name: string, peerAddress: string, addresses: string[] = [], state = MemberState.HEALTHY) =>
    create(MemberSchema, { record: { name, peerAddress }, presence: { addresses }, state });
  const targets = (...members: ReturnType<typeof member>[]) =>
    probeTargets({ self: "a", members, meshAddresses: new Map() }).map(({ address, tcpPort }) => [address, tcpPort]);

  it("lead to where an administrator let a member in, else to what it says, never to what is no other host", () => {
    expect(targets(member("b", "10.0.0.2:7443", ["10.9.9.9"]))).toEqual([["10.0.0.2", 7443]]);
    expect(targets(member("b", "[2001:db8::2]:7443"))).toEqual([["2001:db8::2", 7443]]);
    expect(targets(member("b", "", ["255.255.255.255", "224.0.0.1", "ff02::1", "::1", "201::1", "10.0.0.9"]))).toEqual([
      ["10.0.0.9", undefined],
    ]);
    expect(targets(member("b", "b.example:7443", ["127.0.0.1", "x", "fe80::1%eth0"]))).toEqual([]);
    expect(targets(member("a", "10.0.0.1:7443"), member("c", "10.0.0.3:7443", [], MemberState.JOINING))).toEqual([]);
  });

  it("are as many as one host can measure, and the same from both ends", () => {
    const members = Array.from({ length: 200 }, (_, index) =>
      member(`h${index}`, `10.0.${index >> 8}.${index & 255}:7443`),
    );
    const seenBy = new Map<string, number>();
    for (const { record } of members) {
      const found = probeTargets({ self: record!.name, members, meshAddresses: new Map() });
      expect(found).toHaveLength(MAX_PROBED_HOSTS);
      for (const { host } of found) seenBy.set(host, (seenBy.get(host) ?? 0) + 1);
    }
    expect(Math.min(...seenBy.values())).toBeGreaterThan(40);
    expect(seenBy.size).toBe(200);
  });

  it("go over the mesh to addresses that are those of their keys, and that one member only says are its own", async () => {
    const lab = new MeshLab();
    const [a, b, c] = await lab.nodesNamed("a", "b", "c");
    const own = key();
    for (const [node, selfKey, address] of [
      [b!, own, yggdrasilAddress(own)!],
      [c!, key(), "200::7"],
    ] as const) {
      node.mesh.selfKey = selfKey;
      node.mesh.selfAddress = address;
      node.mesh.tell("state");
    }
    await lab.world.advance(2_000);
    const overlay = () => a!.mesh.targets.filter(({ provider }) => provider === YGGDRASIL);
    expect(overlay()).toEqual([{ host: "b", address: yggdrasilAddress(own), provider: YGGDRASIL }]);
    expect(a!.mesh.targets.filter(({ provider }) => provider === IP).map(({ host }) => host)).toEqual(["b", "c"]);
    c!.mesh.selfKey = own;
    c!.mesh.selfAddress = yggdrasilAddress(own)!;
    c!.mesh.tell("state");
    await lab.world.advance(2_000);
    expect(overlay()).toEqual([]);
    expect(a!.mesh.targets.every(({ provider }) => provider !== BATMAN)).toBe(true);
    await Promise.all([a!.exchange.close(), lab.world.advance(1_000)]);
    expect(a!.mesh.targets).toEqual([]);
    expect(a!.mesh.healing).toBeNull();
  });
});

describe("stepping down", () => {
  const member = (name: string, candidate: boolean, state: MemberState) =>
    create(MemberSchema, { record: { name, candidate }, state });

  it("leaves the lead only where somebody else can take it", async () => {
    let resigned = 0;
    const resign = async () => {
      resigned += 1;
    };
    const down = (...members: ReturnType<typeof member>[]) =>
      stepDown({ memberName: "a", membership: { members: () => members }, resign });
    const self = member("a", true, MemberState.HEALTHY);
    for (const other of [member("b", false, MemberState.HEALTHY), member("b", true, MemberState.UNHEALTHY)])
      await expect(down(self, other)).rejects.toMatchObject({ code: ErrorCode.HOST_UNSUPPORTED });
    expect(resigned).toBe(0);
    await down(self, member("b", true, MemberState.HEALTHY));
    expect(resigned).toBe(1);
  });
});
