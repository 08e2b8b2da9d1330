import { describe, expect, it } from "vitest";
import { ErrorCode, Failure } from "../../errors/index.ts";
import { formatCidr } from "../address.ts";
import { stateDigest } from "../digest.ts";
import { lookup } from "../lookup.ts";
import { BUILTIN_DECISIONS, FIRST_RULE_DECISION, type HostProgram } from "../program.ts";
import {
  addressPeer,
  endpointsPeer,
  host,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { compile } from "./index.ts";
import { rangeToPrefixes } from "./port-table.ts";

const A = host("a", { addresses: ["10.0.0.1"] });

function withIngress(...rules: Parameters<typeof rule>[1][]): HostProgram {
  const numbered = rules.map((fields, index) => rule("ingress", { index, ...fields }));
  return compile(world([A], [policy("p", { subject: selectorFor("name=a"), rules: numbered })]), "a");
}

function addresses(program: HostProgram): readonly string[] {
  const family = (prefix: Uint8Array): 4 | 6 => (prefix.length === 4 ? 4 : 6);
  return [...program.addresses4, ...program.addresses6].map(
    ({ prefix, prefixLength, atom }) =>
      `${formatCidr({ family: family(prefix), bytes: prefix, prefixLength })} ${atom}`,
  );
}

describe("address tables", () => {
  it("share an atom between prefixes that behave alike, and leave out those that behave as their surroundings", () => {
    const program = withIngress(
      { peers: [addressPeer("10.0.0.0/8", "10.1.0.0/16"), addressPeer("10.2.0.0/16")] },
      { peers: [addressPeer("192.0.2.0/24")], ports: [ports(6, 80)] },
      { peers: [addressPeer("198.51.100.0/24")], ports: [ports(6, 80)] },
    );
    expect(addresses(program)).toEqual(["10.0.0.0/8 1", "10.1.0.0/16 2", "192.0.2.0/24 3", "198.51.100.0/24 4"]);
    // Different rules of different meaning decide, so the last two differ; the except behaves as an unnamed address.
    const of = (atom: number) => program.classes.some((entry) => entry.direction === "ingress" && entry.atom === atom);
    expect([0, 1, 2, 3, 4].map(of)).toEqual([true, true, false, true, true]);
  });

  it("let another peer allow what an except takes away", () => {
    const program = withIngress({ peers: [addressPeer("10.0.0.0/8", "10.1.0.0/16"), addressPeer("10.1.2.0/24")] });
    const verdict = (remote: string) =>
      lookup(program, { set: 0, direction: "ingress", remote, protocol: 6, port: 1 }).verdict;
    expect(["10.0.9.9", "10.1.9.9", "10.1.2.9"].map(verdict)).toEqual(["allow", "deny", "allow"]);
  });
});

describe("port tables", () => {
  it("cover every range exactly, with at most 30 prefixes", () => {
    for (const [low, high] of [
      [0, 65535],
      [1, 65534],
      [80, 80],
      [1024, 65535],
      [32768, 60999],
      [65535, 65535],
    ] as const) {
      const prefixes = rangeToPrefixes(low, high);
      expect(prefixes.length).toBeLessThanOrEqual(30);
      const covered = new Uint8Array(65536);
      for (const { port, portBits } of prefixes) {
        for (let offset = 0; offset < 2 ** (16 - portBits); offset++) covered[port + offset]! += 1;
      }
      expect(
        covered.every((times, port) => times === (port >= low && port <= high ? 1 : 0)),
        `${low}-${high}`,
      ).toBe(true);
    }
  });

  it("write the exception where that is shorter than the rule", () => {
    const program = withIngress({ ports: [ports(6, 0, 21), ports(6, 23, 65535)] });
    const [ofEveryone] = program.classes.filter((entry) => entry.direction === "ingress");
    const own = program.ports.filter((entry) => entry.classId === ofEveryone?.classId);
    expect(own.map(({ protocol, port, portBits }) => [protocol, port, portBits])).toEqual([
      [null, 0, 0],
      [6, 0, 0],
      [6, 22, 16],
    ]);
  });
});

describe("programs", () => {
  it("start with the host and go on with its workloads by key; workloads without processes have no set", () => {
    const program = compile(
      world(
        [A, workload("z", "a"), workload("b", "a"), workload("peer", "a", {}), workload("away", "other")].map(
          (endpoint) => (endpoint.name === "peer" ? { ...endpoint, match: null } : endpoint),
        ),
        [],
      ),
      "a",
    );
    expect(program.sets.map(({ id, endpointKey, match }) => [id, endpointKey, match?.kind ?? null])).toEqual([
      [0, "Host/a", null],
      [1, "Workload/default/b", "systemdUnit"],
      [2, "Workload/default/z", "systemdUnit"],
    ]);
  });

  it("hold the builtins at their places, each decision once and a default for every set and class", () => {
    const program = withIngress({ peers: [endpointsPeer("name=a")], ports: [ports(6, 80, 90)] });
    expect(program.decisions.every((decision, place) => decision.index === place)).toBe(true);
    for (const { index, verdict } of Object.values(BUILTIN_DECISIONS)) {
      expect(program.decisions[index]).toMatchObject({ reason: "builtin", verdict });
    }
    expect(new Set(program.decisions.map(({ id }) => id)).size).toBe(program.decisions.length);
    expect(program.decisions.length).toBeGreaterThan(FIRST_RULE_DECISION);
    for (const { id } of program.sets) {
      for (const direction of ["ingress", "egress"]) {
        expect(program.classes).toContainEqual(expect.objectContaining({ set: id, direction, atom: 0 }));
      }
    }
    for (const classId of new Set(program.classes.map((entry) => entry.classId))) {
      expect(program.ports).toContainEqual(expect.objectContaining({ classId, protocol: null, portBits: 0 }));
    }
  });

  it("keep a decision's id when its rule moves, and change it when its meaning changes", () => {
    const idOf = (program: HostProgram) =>
      lookup(program, { set: 0, direction: "ingress", remote: "10.9.9.9", protocol: 6, port: 80 }).id;
    const first = withIngress({ ports: [ports(6, 80)] });
    const moved = withIngress({ peers: [addressPeer("192.0.2.0/24")] }, { ports: [ports(6, 80)] });
    const widened = withIngress({ ports: [ports(6, 80, 81)] });
    expect(idOf(moved)).toBe(idOf(first));
    expect(idOf(widened)).not.toBe(idOf(first));
  });

  it("have the digest of what they decide, not of where it is written", () => {
    const at = (line: number) =>
      withIngress({ ports: [ports(6, 80)], source: { file: "x", line, column: 1, endLine: line, endColumn: 2 } });
    expect(at(7).digest).toBe(at(1).digest);
    expect(at(1).digest).toMatch(/^[0-9a-f]{64}$/);
    expect(withIngress({ ports: [ports(6, 81)] }).digest).not.toBe(at(1).digest);
  });

  it("are refused above one million entries", { timeout: 120_000 }, () => {
    // 700 workloads, each with a class of its own for each of 1,500 prefixes: 1.05 million class entries.
    const prefixes = Array.from({ length: 1_500 }, (_, index) => addressPeer(`10.${index >> 8}.${index & 0xff}.0/24`));
    const rules = prefixes.map((peer, index) =>
      rule("ingress", { index, peers: [peer], ports: [ports(6, index + 1)] }),
    );
    const workloads = Array.from({ length: 700 }, (_, index) => workload(`w${index}`, "a"));
    const large = world([A, ...workloads], [policy("p", { rules })]);
    try {
      compile(large, "a");
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      expect(error).toMatchObject({ code: ErrorCode.TOO_LARGE });
    }
  });
});

describe("state digest", () => {
  it("counts paths and texts, not the order of the files, and keeps them apart", () => {
    const files = [
      { path: "a", text: "1" },
      { path: "b", text: "2" },
    ];
    expect(stateDigest(files.toReversed())).toBe(stateDigest(files));
    expect(
      stateDigest([
        { path: "a", text: "1b" },
        { path: "", text: "2" },
      ]),
    ).not.toBe(stateDigest(files));
    expect(stateDigest([])).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });
});
