import { readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../address.ts";
import { compile } from "../compile/index.ts";
import { enforcedVerdict } from "../decision.ts";
import { evaluate } from "../evaluate.ts";
import { type PolicyWorld, PROTOCOL } from "../model.ts";
import type { HostProgram, ProgramPacket } from "../program.ts";
import { FIRST_RULE_DECISION } from "../program.ts";
import {
  addressPeer,
  arbitraryProbe,
  arbitraryWorld,
  GENERATED_HOST_NAMES,
  host,
  packetToFlow,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { describeRefusal, requireScript } from "./emission.ts";
import { emitPf, pfDecisionLabel } from "./pf.ts";
import { pfEmergencyScript } from "./pf-emergency.ts";
import { parsePfAnchor } from "./pf-grammar.ts";
import { type PfPacket, walkPf } from "./pf-walk.ts";
import { goldenWorld } from "./testing/golden-world.ts";

const PACKETS_PER_WORLD = 60;
const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 12_000);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);

const cases = fc
  .tuple(arbitraryWorld({ maxPolicies: 10 }), fc.constantFrom(...GENERATED_HOST_NAMES))
  .map(([generated, hostName]) => ({ generated: withoutProcesses(generated), hostName }))
  .map(({ generated, hostName }) => ({ generated, program: compile(generated, hostName) }))
  .filter(({ program }) => program.decisions.length > FIRST_RULE_DECISION + 3)
  .chain(({ generated, program }) =>
    fc
      .array(
        arbitraryProbe(generated).filter((packet) => !isDroppedByPfItself(packet)),
        { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD },
      )
      .map((packets) => ({ generated, program, packets })),
  );

function withoutProcesses(generated: PolicyWorld): PolicyWorld {
  const endpoints = generated.inventory.endpoints.map((endpoint) => ({ ...endpoint, match: null }));
  return { ...generated, inventory: { ...generated.inventory, endpoints } };
}

/** pf drops ICMP inside the other family before it looks at a rule. */
function isDroppedByPfItself({ remote, protocol }: Pick<ProgramPacket, "remote" | "protocol">): boolean {
  const family = familyOf(remote);
  return (protocol === PROTOCOL.icmp && family === 6) || (protocol === PROTOCOL.icmpv6 && family === 4);
}

function familyOf(remote: string): 4 | 6 {
  const address = parseAddress(remote);
  if (!address.ok) throw new Error(remote);
  return address.family;
}

function isLoopback(remote: string): boolean {
  const address = parseAddress(remote);
  return address.ok && (address.family === 4 ? address.bytes[0] === 127 : remote === "::1");
}

function refusalTexts(program: HostProgram): readonly string[] {
  return emitPf(program, { mode: "enforce" }).refused.map(describeRefusal);
}

/**
 * What can be proved without a Mac: the text stays inside the grammar, and by the documented meaning of quick rules and
 * tables it decides as the reference does. That pf itself takes and obeys the text is not shown here.
 */
describe("pf anchors", () => {
  it(`decide ${PACKETS} packets as the reference does, down to the rule`, { timeout: 120_000 }, () => {
    const seen = new Map<string, number>();
    const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1);
    fc.assert(
      fc.property(cases, ({ generated, program, packets }) => {
        const enforced = emitPf(program, { mode: "enforce" });
        if (enforced.script === null) {
          expect(enforced.refused.map(({ message }) => message)).toContain("pf cannot compare ports of SCTP.");
          count("refused");
          return;
        }
        const anchor = parsePfAnchor(enforced.script);
        const observed = parsePfAnchor(requireScript(emitPf(program, { mode: "observe" })));
        for (const packet of packets) {
          const flow = packetToFlow(program, { set: 0, ...packet });
          const { decision } = evaluate(generated, flow).directions[packet.direction === "egress" ? 0 : 1];
          const place = program.decisions.find(({ id }) => id === decision.id);
          const onWire = { ...packet, interfaceName: isLoopback(packet.remote) ? "lo0" : "en0" };
          const found = walkPf(anchor, onWire);
          const message = JSON.stringify(packet);
          expect(found?.label, message).toBe(place && pfDecisionLabel(place));
          expect(found?.action === "pass" ? "allow" : "deny", message).toBe(enforcedVerdict(decision));
          expect(found?.log, message).toBe(decision.verdict === "deny" && decision.observeOnly);
          const seenOnly = walkPf(observed, onWire);
          expect([seenOnly?.label, seenOnly?.action], message).toEqual([found?.label, "pass"]);
          expect(seenOnly?.log, message).toBe(decision.verdict === "deny");
          count(`${decision.reason} ${decision.verdict}${decision.observeOnly ? " observed" : ""}`);
          count(`protocol ${packet.protocol} IPv${familyOf(packet.remote)}`);
        }
      }),
      { numRuns: Math.ceil(PACKETS / PACKETS_PER_WORLD), seed: SEED },
    );
    // The comparison is worth nothing when the packets never reach a kind of decision.
    for (const kind of [
      "refused",
      "rule allow",
      "rule deny",
      "rule deny observed",
      "isolated deny",
      "isolated deny observed",
      "not-isolated allow",
      "builtin allow",
      ...["6 IPv4", "6 IPv6", "17 IPv4", "17 IPv6", "1 IPv4", "58 IPv6", "47 IPv4"].map((one) => `protocol ${one}`),
    ]) {
      expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(10);
    }
  });

  it.each(["enforce", "observe"] as const)("look like the golden file, %s (UPDATE_GOLDEN=1 writes it)", (mode) => {
    const script = requireScript(emitPf(compile(goldenWorld(), "web"), { mode }));
    const path = new URL(`./golden/web.${mode}.pf.conf`, import.meta.url);
    if (process.env.UPDATE_GOLDEN) writeFileSync(path, script);
    expect(readFileSync(path, "utf8")).toBe(script);
    expect(parsePfAnchor(script).rules.length).toBeGreaterThan(10);
  });

  it("refuse by name what pf has no words for", () => {
    const web = host("web", { source: null });
    const one = (fields: Parameters<typeof rule>[1]) =>
      compile(world([web], [policy("one", { rules: [rule("ingress", fields)] })]), "web");
    const sctp = refusalTexts(one({ ports: [ports(PROTOCOL.sctp, 5060)] }));
    expect(sctp).toEqual(["Policy/default/one, ingress[0] (test.yaml:1): pf cannot compare ports of SCTP."]);
    expect(refusalTexts(one({ ports: [ports(0, 0)] }))).toEqual([
      "Policy/default/one, ingress[0] (test.yaml:1): pf reads protocol 0 as every protocol.",
    ]);
    expect(refusalTexts(one({ ports: [ports(PROTOCOL.icmp, 0xff01)] }))).toEqual([
      "Policy/default/one, ingress[0] (test.yaml:1): pf cannot compare codes of ICMP type 255.",
    ]);
    expect(
      refusalTexts(one({ ports: [ports(PROTOCOL.sctp, 0, 0xffff), ports(PROTOCOL.icmp, 0x0300, 0x0302)] })),
    ).toEqual([]);
    const nginx = workload("nginx", "web", { addresses: [], labels: new Map([["name", "nginx"]]) });
    const own = compile(world([web, nginx], [policy("own", { subject: selectorFor("name=nginx") })]), "web");
    expect(refusalTexts(own)).toEqual([
      "Policy/default/own (test.yaml:1): Workload/default/nginx would be treated otherwise than its host, and a script cannot tell its processes from others.",
    ]);
    expect(() => requireScript(emitPf(own, { mode: "enforce" }))).toThrow(/Policy\/default\/own \(test\.yaml:1\)/);
    const same = compile(world([web, nginx], [policy("both", { subject: selectorFor() })]), "web");
    expect(refusalTexts(same), "a workload that is treated as its host").toEqual([]);
  });

  it("keep whole families apart from their halves", () => {
    const peers = [addressPeer("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/2"), addressPeer("::/0", "8000::/1")];
    const program = compile(world([host("web")], [policy("halves", { rules: [rule("ingress", { peers })] })]), "web");
    const anchor = parsePfAnchor(requireScript(emitPf(program, { mode: "enforce" })));
    const verdictOf = (remote: string) =>
      walkPf(anchor, { direction: "ingress", remote, protocol: 6, port: 1, interfaceName: "en0" })?.action;
    expect(["1.2.3.4", "129.0.0.1", "192.0.2.1", "2001::1", "fd00::1"].map(verdictOf)).toEqual([
      "block",
      "block",
      "pass",
      "pass",
      "block",
    ]);
  });

  it("take no word of a policy for syntax", () => {
    const name = 'x"\npass quick all\n# \\\nanchor "evil" $x <y> é\u2028';
    const rules = [rule("ingress", { name, ports: [ports(6, 80)] })];
    const program = compile(world([host("web")], [policy("p", { key: `Policy/default/${name}`, rules })]), "web");
    const script = requireScript(emitPf({ ...program, hostName: `${name}\nblock all` }, { mode: "enforce" }));
    const plain = compile(world([host("web")], [policy("p", { rules: [{ ...rules[0]!, name: "n" }] })]), "web");
    const count = (text: string) => parsePfAnchor(text).rules.length;
    expect(count(script)).toBe(count(requireScript(emitPf(plain, { mode: "enforce" }))));
    expect(script).not.toMatch(/[^\x20-\x7e\n]/);
  });
});

describe("emergencies", () => {
  const verdictOf = (emergency: "open" | "closed", packet: Omit<PfPacket, "interfaceName">) =>
    walkPf(parsePfAnchor(pfEmergencyScript(emergency)), { interfaceName: "en0", ...packet });
  const web = { direction: "ingress", remote: "192.0.2.1", protocol: PROTOCOL.tcp, port: 443 } as const;

  it("let everything pass when open, and keep no state that would outlive them", () => {
    expect(verdictOf("open", web)).toMatchObject({ action: "pass", keepsState: false, label: "d0_emergency" });
    expect(
      verdictOf("open", { ...web, direction: "egress", remote: "2001:db8::1", protocol: 47, port: 0 })?.action,
    ).toBe("pass");
  });

  it("let only builtin decisions pass when closed", () => {
    const closed = parsePfAnchor(pfEmergencyScript("closed"));
    const labelOf = (packet: PfPacket) => walkPf(closed, packet)?.label;
    expect(labelOf({ ...web, interfaceName: "en0" })).toBe("d8_emergency");
    expect(labelOf({ ...web, interfaceName: "lo0" })).toBe("d1_emergency");
    const discovery = { remote: "fe80::1", protocol: PROTOCOL.icmpv6, port: 135 << 8, interfaceName: "en0" } as const;
    expect(labelOf({ direction: "egress", ...discovery })).toBe("d2_emergency");
    const tooBig = { remote: "192.0.2.1", protocol: PROTOCOL.icmp, port: (3 << 8) | 4, interfaceName: "en0" } as const;
    expect(labelOf({ direction: "ingress", ...tooBig })).toBe("d3_emergency");
    expect(walkPf(closed, { ...web, interfaceName: "en0" })?.action).toBe("block");
  });
});
