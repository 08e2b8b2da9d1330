import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type ClassEntry,
  createLookup,
  type Decision,
  FIRST_RULE_DECISION,
  formatAddress,
  type HostProgram,
  type PortEntry,
} from "@wardline/domain/policy";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EarlySource, earlySources } from "./earlySources.ts";

const [ALLOW, DENY, OBSERVED_DENY] = [FIRST_RULE_DECISION, FIRST_RULE_DECISION + 1, FIRST_RULE_DECISION + 2];
const TCP = 6;
const OPEN_PORT = 443;

/** What a class may do; only the first denies altogether. */
const KINDS = ["closed", "one port", "one observed port", "observed", "open"] as const;
type Kind = (typeof KINDS)[number];

function portsOf(classId: number, kind: Kind): readonly PortEntry[] {
  const whole = { classId, protocol: null, port: 0, portBits: 0 };
  const one = { classId, protocol: TCP, port: OPEN_PORT, portBits: 16 };
  const entries: Record<Kind, readonly PortEntry[]> = {
    closed: [
      { ...whole, decision: DENY },
      { ...one, decision: DENY },
    ],
    "one port": [
      { ...whole, decision: DENY },
      { ...one, decision: ALLOW },
    ],
    "one observed port": [
      { ...whole, decision: DENY },
      { ...one, decision: OBSERVED_DENY },
    ],
    observed: [{ ...whole, decision: OBSERVED_DENY }],
    open: [{ ...whole, decision: ALLOW }],
  };
  return entries[kind];
}

function decision(index: number, verdict: "allow" | "deny", observeOnly: boolean): Decision {
  const id = index.toString(16).padStart(16, "0");
  return { index, id, verdict, observeOnly, reason: "rule", tier: null, policyKeys: [], rule: null, source: null };
}

const builtins = Object.values(BUILTIN_DECISIONS);
const decisions = [
  ...Array.from({ length: FIRST_RULE_DECISION }, (_, index) =>
    decision(index, builtins[index]?.verdict ?? "allow", false),
  ),
  decision(ALLOW, "allow", false),
  decision(DENY, "deny", false),
  decision(OBSERVED_DENY, "deny", true),
];

/** Few bits that differ, so that prefixes lie inside each other. */
const prefix4 = fc.record({ head: fc.constantFrom(10, 172), bits: fc.integer({ min: 0, max: 32 }), tail: fc.nat(3) });
const prefix6 = fc.record({ head: fc.constantFrom(0, 0xfd), bits: fc.integer({ min: 0, max: 128 }), tail: fc.nat(3) });

function prefixBytes(size: 4 | 16, head: number, bits: number, tail: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes[0] = head;
  bytes[size - 1] = tail;
  return bytes.map((byte, at) => byte & (0xff << Math.max(0, Math.min(8, (at + 1) * 8 - bits))));
}

const programs = fc
  .record({
    sets: fc.integer({ min: 1, max: 2 }),
    four: fc.array(prefix4, { maxLength: 5 }),
    six: fc.array(prefix6, { maxLength: 5 }),
    // Mostly closed, or hardly any source would be denied altogether.
    kinds: fc.array(
      fc.option(fc.oneof({ weight: 12, arbitrary: fc.constant<Kind>("closed") }, fc.constantFrom(...KINDS))),
      {
        minLength: 60,
        maxLength: 60,
      },
    ),
  })
  .map(({ sets, four, six, kinds }): HostProgram => {
    const prefixes = [
      ...four.map(({ head, bits, tail }) => ({ bytes: prefixBytes(4, head, bits, tail), bits })),
      ...six.map(({ head, bits, tail }) => ({ bytes: prefixBytes(16, head, bits, tail), bits })),
    ];
    const unique = [...new Map(prefixes.map((each) => [`${each.bytes}/${each.bits}`, each])).values()];
    const entries: AddressEntry[] = unique.map(({ bytes, bits }, at) => ({
      prefix: bytes,
      prefixLength: bits,
      atom: (at % 6) + 1,
    }));
    const classes: ClassEntry[] = [];
    const ports: PortEntry[] = [];
    let drawn = 0;
    for (let set = 0; set < sets; set++)
      for (const direction of ["ingress", "egress"] as const)
        for (const atom of [0, ...new Set(entries.map((entry) => entry.atom))]) {
          const kind = kinds[drawn++ % kinds.length] ?? null;
          if (kind === null && atom !== 0) continue;
          const classId = classes.length + 1;
          classes.push({ set, direction, atom, classId });
          ports.push(...portsOf(classId, kind ?? "open"));
        }
    return {
      formatVersion: 1,
      hostName: "generated",
      digest: "",
      sets: Array.from({ length: sets }, (_, id) => ({ id, endpointKey: `e${id}`, match: null })),
      addresses4: entries.filter(({ prefix }) => prefix.length === 4),
      addresses6: entries.filter(({ prefix }) => prefix.length === 16),
      classes,
      ports,
      decisions,
    };
  });

function isInside(address: Uint8Array, prefix: Uint8Array, bits: number): boolean {
  return Array.from({ length: bits }, (_, bit) => bit).every((bit) => {
    const mask = 0x80 >> (bit & 7);
    return ((address[bit >> 3] ?? 0) & mask) === ((prefix[bit >> 3] ?? 0) & mask);
  });
}

/** What the kernel's trie answers. */
function dropsEarly(sources: readonly EarlySource[], address: Uint8Array): boolean {
  const matching = sources.filter((source) => isInside(address, source.address, source.bits));
  return (
    matching.reduce<EarlySource | null>((best, each) => (best && best.bits >= each.bits ? best : each), null)?.drop ??
    false
  );
}

function mapped(address: Uint8Array): Uint8Array {
  return address.length === 16 ? address : Uint8Array.from([...new Array(10).fill(0), 255, 255, ...address]);
}

/** Addresses at the edges of every prefix. */
function probes(program: HostProgram): readonly Uint8Array[] {
  return [...program.addresses4, ...program.addresses6].flatMap(({ prefix, prefixLength }) => {
    const last = prefix.map((byte, at) => byte | (0xff >> Math.max(0, Math.min(8, prefixLength - at * 8))));
    const beyond = Uint8Array.from(last);
    beyond[Math.max(0, Math.ceil(prefixLength / 8) - 1)] =
      ((last[Math.max(0, Math.ceil(prefixLength / 8) - 1)] ?? 0) + 1) & 0xff;
    return [prefix, last, beyond];
  });
}

function isExplicit(program: HostProgram, address: Uint8Array): boolean {
  const entries = address.length === 4 ? program.addresses4 : program.addresses6;
  return entries.some(({ prefix, prefixLength }) => isInside(address, prefix, prefixLength));
}

describe("earlySources", () => {
  it("holds exactly the sources that the tables deny whatever the packet is", () => {
    let dropped = 0;
    let spared = 0;
    fc.assert(
      fc.property(programs, (program) => {
        const sources = earlySources(program);
        const lookup = createLookup(program);
        for (const address of probes(program)) {
          const remote = formatAddress(address);
          const isMapped = address.length === 16 && isInside(address, mapped(new Uint8Array(4)), 96);
          if (isMapped) continue;
          const answers = program.sets.flatMap(({ id: set }) =>
            (["ingress", "egress"] as const).flatMap((direction) =>
              [OPEN_PORT, 80].map((port) => lookup({ set, direction, remote, protocol: TCP, port })),
            ),
          );
          // Loopback by its address, which no packet on a link can have.
          if (answers.some(({ index }) => index < FIRST_RULE_DECISION)) continue;
          const denied = answers.every(({ verdict, observeOnly }) => verdict === "deny" && !observeOnly);
          const early = dropsEarly(sources, mapped(address));
          expect(early, remote).toBe(denied && isExplicit(program, address));
          if (early) dropped += 1;
          else spared += 1;
        }
      }),
      { numRuns: 800, seed: 20_261_121 },
    );
    // Worth nothing when one answer never comes up.
    expect(dropped).toBeGreaterThan(300);
    expect(spared).toBeGreaterThan(300);
  });
});
