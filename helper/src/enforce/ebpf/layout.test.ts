import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BUILTIN_DECISIONS, ESSENTIAL_ICMP, FIRST_RULE_DECISION, PROTOCOL } from "@wardline/domain/policy";
import { describe, expect, it } from "vitest";
import { readStructLayouts } from "../../testing/btf.ts";
import { kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import * as layout from "./layout.ts";

const HEADER = fileURLToPath(new URL("../../../../bpf/include/wardline.h", import.meta.url));
const PACKET_HEADER = fileURLToPath(new URL("../../../../bpf/src/packet.h", import.meta.url));
const problem = kernelLabProblem();

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `NAME = 1,` of an enum and `#define NAME 1`, plain numbers only. */
function headerNumbers(): ReadonlyMap<string, number> {
  const text = readFileSync(HEADER, "utf8");
  const found = [...text.matchAll(/(?:#define |^\t)(WARDLINE_\w+)(?: = | )\(?(\d+)(?: << (\d+))?\)?,?$/gm)];
  return new Map(found.map(([, name = "", base, shift]) => [name, Number(base) << Number(shift ?? 0)]));
}

describe.skipIf(problem !== null)(`struct layouts${problem === null ? "" : ` (${problem})`}`, () => {
  it.each([
    ["wardline_control", layout.CONTROL],
    ["wardline_slot", layout.SLOT],
    ["wardline_identity", layout.IDENTITY],
    ["wardline_local_key", layout.LOCAL_KEY],
    ["wardline_flow_key", layout.FLOW_KEY],
    ["wardline_flow", layout.FLOW],
    ["wardline_event", layout.EVENT],
    ["wardline_owner", layout.OWNER],
    ["wardline_tables", layout.TABLES],
    ["wardline_branch", layout.BRANCH],
    ["wardline_leaf", layout.LEAF],
    ["wardline_wide_branch", layout.WIDE_BRANCH],
    ["wardline_wide_leaf", layout.WIDE_LEAF],
    ["wardline_class", layout.CLASS],
    ["wardline_early_key", layout.EARLY_KEY],
    ["wardline_counter", layout.COUNTER],
  ] as const)("struct %s is where TypeScript reads it", (name, { size, ...offsets }) => {
    const struct = readStructLayouts(Buffer.from(readBpfObject())).get(name);
    expect(struct?.sizeBytes).toBe(size);
    const members = [...(struct?.members ?? [])].filter(([member]) => member !== "pad");
    expect(Object.fromEntries(Object.entries(offsets).map(([field, offset]) => [snakeCase(field), offset]))).toEqual(
      Object.fromEntries(members),
    );
  });
});

describe("numbers of the shared header", () => {
  const numbers = headerNumbers();

  it("are the builtin decisions of the policy engine", () => {
    for (const [name, { index }] of Object.entries(BUILTIN_DECISIONS))
      expect(numbers.get(`WARDLINE_DECISION_${snakeCase(name).toUpperCase()}`), name).toBe(index);
    expect(numbers.get("WARDLINE_FIRST_RULE_DECISION")).toBe(FIRST_RULE_DECISION);
  });

  it("are the flags, limits and timeouts that TypeScript uses", () => {
    expect(numbers.get("WARDLINE_LAYOUT_VERSION")).toBe(layout.LAYOUT_VERSION);
    expect(numbers.get("WARDLINE_LINE_SIZE")).toBe(layout.LINE_SIZE);
    expect(numbers.get("WARDLINE_LEAF_RANGES")).toBe(layout.LEAF_RANGES);
    expect(numbers.get("WARDLINE_BRANCH_KEYS")).toBe(layout.BRANCH_KEYS);
    expect(numbers.get("WARDLINE_WIDE_KEYS")).toBe(layout.WIDE_KEYS);
    expect(numbers.get("WARDLINE_BUCKET_CLASSES")).toBe(layout.BUCKET_CLASSES);
    expect(numbers.get("WARDLINE_CLASS_PROBES")).toBe(layout.CLASS_PROBES);
    expect(numbers.get("WARDLINE_VALUE_FLAGS_SHIFT")).toBe(layout.VALUE_FLAGS_SHIFT);
    expect(numbers.get("WARDLINE_RESULT_DENY")).toBe(layout.RESULT_DENY);
    expect(numbers.get("WARDLINE_RESULT_OBSERVE_ONLY")).toBe(layout.RESULT_OBSERVE_ONLY);
    for (const [name, value] of Object.entries(layout.FLOW_FLAG))
      expect(numbers.get(`WARDLINE_FLOW_${snakeCase(name).toUpperCase()}`), name).toBe(value);
    for (const [name, value] of Object.entries(layout.TIMEOUT_SECONDS))
      expect(numbers.get(`WARDLINE_TIMEOUT_${snakeCase(name).toUpperCase()}`), name).toBe(value);
    for (const [name, value] of Object.entries(layout.LOSS))
      expect(numbers.get(`WARDLINE_LOSS_${snakeCase(name).toUpperCase()}`), name).toBe(value);
  });

  it("let the same essential ICMP pass as the policy engine", () => {
    expect(
      ESSENTIAL_ICMP.map(({ builtin, protocol, typeLow, typeHigh, code }) => {
        return { builtin, protocol, typeLow, typeHigh, code };
      }),
    ).toEqual(essentialIcmpOfPacketHeader());
  });
});

/** What `read_icmp` answers before any policy, read from its source. */
function essentialIcmpOfPacketHeader(): readonly object[] {
  const source = readFileSync(PACKET_HEADER, "utf8");
  const [, low, high] =
    /is_neighbor_discovery\([^)]*\)\s*\{\s*return type >= (\d+) && type <= (\d+)/.exec(source) ?? [];
  const body = /INLINE int read_icmp\([^)]*\)\s*\{([\s\S]*?)\n\}/.exec(source)?.[1] ?? "";
  const [ipv6Part = "", ipv4Part = ""] = body.split("} else if");
  const [, ipv6Type] = /if \(header\[0\] == (\d+)\)\s*return WARDLINE_DECISION_PATH_MTU/.exec(ipv6Part) ?? [];
  const [, type, code] = /header\[0\] == (\d+) && header\[1\] == (\d+)\)/.exec(ipv4Part) ?? [];
  // One more answer that the test does not know of would be one that the policy engine does not know of.
  const answers = body.match(/return WARDLINE_DECISION_(?!MALFORMED)\w+/g) ?? [];
  expect(answers).toHaveLength(3);
  const pathMtu = (protocol: number, only: string | undefined, ofCode: number | null) => {
    return { builtin: "pathMtu", protocol, typeLow: Number(only), typeHigh: Number(only), code: ofCode };
  };
  return [
    {
      builtin: "neighborDiscovery",
      protocol: PROTOCOL.icmpv6,
      typeLow: Number(low),
      typeHigh: Number(high),
      code: null,
    },
    pathMtu(PROTOCOL.icmpv6, ipv6Type, null),
    pathMtu(PROTOCOL.icmp, type, Number(code)),
  ];
}

describe("the control word", () => {
  it("survives encoding, and swapping twice is the same but for the deadline", () => {
    const word: layout.ControlWord = {
      slot: 1,
      enforce: true,
      workloads: false,
      deadlineArmed: true,
      otherEnforce: false,
      otherWorkloads: true,
      emergency: "closed",
      epoch: layout.MAX_EPOCH,
      otherEpoch: 5,
    };
    expect(layout.decodeWord(layout.encodeWord(word))).toEqual(word);
    expect(layout.swapped(layout.swapped(word))).toEqual({ ...word, deadlineArmed: false });
    expect(layout.encodeWord(word)).toBeLessThan(1n << 64n);
  });
});
