import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress, parseCidr } from "../address.ts";
import { compiledEngine, judgeVectors, readVectorFile, referenceEngine } from "./index.ts";

const RUNS = Number(process.env.WARDLINE_FUZZ_RUNS ?? 60);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

/** The format's own words, interpreted literally: what the translation into our model is compared with. */
interface Rule {
  readonly action: "allow" | "deny" | "pass";
  readonly [field: string]: unknown;
}

interface Packet {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

type IpSets = Record<string, readonly (string | { net: string; protocol: number; port: number })[]>;

interface Tier {
  readonly name: string;
  readonly endAction: "deny" | "pass";
  readonly policies: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

function bits(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
}

function isIn(address: string, net: string): boolean {
  const parsed = parseAddress(address);
  const cidr = parseCidr(net);
  if (!parsed.ok || !cidr.ok) throw new Error(`${address} ${net}`);
  const { bytes, prefixLength } = cidr.cidr;
  return bits(parsed.bytes).startsWith(bits(bytes).slice(0, prefixLength));
}

function sideHolds(rule: Rule, sets: IpSets, packet: Packet, side: "src" | "dst"): boolean {
  const Side = side === "src" ? "Src" : "Dst";
  const address = packet[side];
  const port = side === "src" ? packet.srcPort : packet.dstPort;
  const list = <T>(field: string): readonly T[] | undefined => rule[field] as readonly T[] | undefined;
  const inNet = (net: string) => isIn(address, net);
  const inSet = (name: string) => (sets[name] ?? []).some((member) => typeof member === "string" && inNet(member));
  const inRange = ([low = 0, high = 0]: readonly number[]) => port !== undefined && port >= low && port <= high;
  const isNamed = (name: string) =>
    (sets[name] ?? []).some(
      (member) =>
        typeof member !== "string" && inNet(member.net) && member.protocol === packet.protocol && member.port === port,
    );
  const ports = list<readonly number[]>(`${side}Ports`);
  const named = list<string>(`${side}NamedPortIpSets`);
  const portHolds = (ports ?? []).some(inRange) || (named ?? []).some(isNamed);
  return (
    (list<string>(`${side}Nets`)?.some(inNet) ?? true) &&
    !list<string>(`not${Side}Nets`)?.some(inNet) &&
    (list<string>(`${side}IpSets`)?.every(inSet) ?? true) &&
    !list<string>(`not${Side}IpSets`)?.some(inSet) &&
    !list<readonly number[]>(`not${Side}Ports`)?.some(inRange) &&
    ((ports === undefined && named === undefined) || portHolds)
  );
}

function ruleHolds(rule: Rule, sets: IpSets, packet: Packet): boolean {
  const icmpIs = (type: unknown, code: unknown) =>
    packet.icmpType === type && (code === undefined || packet.icmpCode === code);
  return (
    (rule.protocol === undefined || rule.protocol === packet.protocol) &&
    rule.notProtocol !== packet.protocol &&
    (rule.icmpType === undefined || icmpIs(rule.icmpType, rule.icmpCode)) &&
    (rule.notIcmpType === undefined || !icmpIs(rule.notIcmpType, rule.notIcmpCode)) &&
    sideHolds(rule, sets, packet, "src") &&
    sideHolds(rule, sets, packet, "dst")
  );
}

function literally(tiers: readonly Tier[], sets: IpSets, packet: Packet): "allow" | "deny" {
  for (const { policies, endAction } of tiers) {
    const rule = policies.flatMap(({ rules }) => rules).find((each) => ruleHolds(each, sets, packet));
    const action = rule?.action ?? endAction;
    if (action !== "pass") return action;
  }
  return "deny";
}

const ALPHABETS = {
  ipv4: {
    nets: ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.1/32", "10.1.1.1/9", "128.0.0.0/1", "11.0.0.0/31"],
    addresses: ["10.0.0.1", "10.1.1.1", "10.1.2.2", "11.0.0.1", "11.0.0.2", "130.1.1.1", "10.255.0.1"],
  },
  ipv6: {
    nets: [
      "::/0",
      "2001:db8::/32",
      "2001:db8:1::/48",
      "2001:db8:1::1/128",
      "2001:db8:1::1/47",
      "8000::/1",
      "ff02::/16",
    ],
    addresses: ["2001:db8::1", "2001:db8:1::1", "2001:db8:1::2", "2001:db9::1", "9000::1", "ff02::1", "fd00::1"],
  },
} as const;

const PORTS = [0, 1, 79, 80, 80, 81, 81, 1024, 65_535];

function casesOf(family: "ipv4" | "ipv6") {
  const { nets, addresses } = ALPHABETS[family];
  const someOf = <T>(values: readonly T[]) =>
    fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 });
  const range = fc
    .tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS))
    .map((ends): [number, number] => [Math.min(...ends), Math.max(...ends)]);
  const ranges = fc.array(range, { minLength: 1, maxLength: 2 });
  const protocols = fc.constantFrom(1, 6, 17, 132, 253);
  const icmpType = fc.constantFrom(8, 9, 10);
  const namedMember = fc.record({
    net: fc.constantFrom(...nets),
    protocol: protocols,
    port: fc.constantFrom(...PORTS),
  });
  const ipSets = fc.record({
    empty: fc.constant([]),
    one: fc.array(fc.constantFrom(...nets), { maxLength: 3 }),
    two: fc.array(fc.constantFrom(...nets), { maxLength: 3 }),
    named: fc.array(namedMember, { maxLength: 3 }),
    others: fc.array(namedMember, { maxLength: 3 }),
  });
  const sets = someOf(["empty", "one", "two"]);
  const namedSets = someOf(["named", "others"]);
  const conditions = fc.record(
    {
      ...{ srcNets: someOf(nets), notSrcNets: someOf(nets), srcIpSets: sets, notSrcIpSets: sets },
      ...{ dstNets: someOf(nets), notDstNets: someOf(nets), dstIpSets: sets, notDstIpSets: sets },
      ...{ srcPorts: ranges, notSrcPorts: ranges, srcNamedPortIpSets: namedSets },
      ...{ dstPorts: ranges, notDstPorts: ranges, dstNamedPortIpSets: namedSets },
      ...{ protocol: protocols, notProtocol: protocols },
      icmp: fc.record({ type: icmpType, code: fc.constantFrom(0, 3, undefined) }),
      notIcmp: fc.record({ type: icmpType, code: fc.constantFrom(0, 3, undefined) }),
    },
    { requiredKeys: [] },
  );
  const rule = fc
    .tuple(
      fc.constantFrom("allow", "allow", "deny", "pass" as const),
      conditions,
      fc.func(fc.integer({ min: 0, max: 6 })),
    )
    .map(([action, { icmp, notIcmp, ...all }, weight]): Rule => {
      // Two or three conditions each, so that rules match often enough to be told apart.
      const kept = Object.entries(all).filter(([field]) => weight(field) === 0);
      const types = weight("icmp") === 0 && icmp ? { icmpType: icmp.type, icmpCode: icmp.code } : {};
      const others = weight("notIcmp") === 0 && notIcmp ? { notIcmpType: notIcmp.type, notIcmpCode: notIcmp.code } : {};
      return { action: action as Rule["action"], ...Object.fromEntries(kept), ...types, ...others };
    });
  const namedRule = fc.tuple(fc.constantFrom("src", "dst"), namedSets, fc.option(ranges)).map(
    ([side, names, ports]): Rule => ({
      action: "allow",
      [`${side}NamedPortIpSets`]: names,
      ...(ports === null ? {} : { [`${side}Ports`]: ports }),
    }),
  );
  const anyRule = fc.oneof({ weight: 3, arbitrary: rule }, { weight: 1, arbitrary: namedRule });
  const tier = fc.record({
    name: fc.constantFrom("first", "second"),
    endAction: fc.constantFrom("deny" as const, "pass" as const),
    policies: fc.array(fc.record({ name: fc.constant("p"), rules: fc.array(anyRule, { maxLength: 3 }) }), {
      maxLength: 2,
    }),
  });
  const packet = fc
    .record({
      src: fc.constantFrom(...addresses),
      dst: fc.constantFrom(...addresses),
      protocol: protocols,
      ...{ srcPort: fc.constantFrom(...PORTS), dstPort: fc.constantFrom(...PORTS) },
      ...{ icmpType, icmpCode: fc.constantFrom(0, 3, 4) },
    })
    .filter(({ src, dst }) => src !== dst)
    .map(({ src, dst, protocol, srcPort, dstPort, icmpType, icmpCode }): Packet => {
      const ends = { src, dst, protocol };
      if (protocol === 1) return { ...ends, icmpType, icmpCode };
      return protocol === 253 ? ends : { ...ends, srcPort, dstPort };
    });
  return fc.record({
    family: fc.constant(family),
    tiers: fc.array(tier, { maxLength: 2 }),
    ipSets,
    packets: fc.array(packet, { minLength: 20, maxLength: 20 }),
  });
}

describe("packets and tiers of rules, translated into our model", () => {
  it.each(["ipv4", "ipv6"] as const)("mean what the format says (%s)", { timeout: 60_000 }, async (family) => {
    const seen = { allow: 0, deny: 0 };
    await fc.assert(
      fc.asyncProperty(casesOf(family), async ({ tiers, ipSets, packets }) => {
        const judged = packets.map((packet) => ({ ...packet, expect: literally(tiers, ipSets, packet) }));
        for (const { expect: verdict } of judged) seen[verdict] += 1;
        const rules = { tiers, profiles: [] };
        const text = JSON.stringify([{ name: "random", source: "", family, rules, ipSets, packets: judged }]);
        const cases = readVectorFile("random.json", text);
        expect((await judgeVectors(cases, referenceEngine)).mismatches).toEqual([]);
        expect((await judgeVectors(cases, compiledEngine)).mismatches).toEqual([]);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    expect(seen.allow).toBeGreaterThan(RUNS * 2.6);
    expect(seen.deny).toBeGreaterThan(RUNS * 2.6);
  });
});
