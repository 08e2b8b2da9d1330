/**
 * The filters that are compared: none, empty programs on the same hooks, Wardline, and nftables with the same rules as a
 * set and as one rule each. All get one book of rules. Each can prove by its own counters that it saw the traffic.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { compile, type HostProgram, readPolicyFiles } from "@wardline/domain/policy";
import { createEbpfEnforcer } from "@wardline/helper/enforce/ebpf/ebpfEnforcer";
import { attachToCgroup, loadObject } from "@wardline/helper/linux/bpf/libbpf";
import { HOST_ADDRESS, type KernelLab, PEER_ADDRESS, readBpfObject } from "@wardline/helper/testing/kernelLab";
import { type EbpfEnforcerConfig, EDGE_NAME, edgeOptions, labOptions } from "./edge.ts";
import { buildBpf } from "./native.ts";
import { bookToNftLinear, bookToNftSet, bookToPolicy, makeRuleBook, type RuleBook } from "./rules.ts";

/** Ports of everything that is measured; the book allows them. */
export const SERVICE_PORTS = { low: 7000, high: 7099 } as const;

export type FilterName = "none" | "empty hooks" | "wardline" | typeof EDGE_NAME | "nftables set" | "nftables linear";

/** A filter in place. */
export interface LiveFilter {
  /** Packets that the filter's own counters have seen; NaN where it has none. */
  seenPackets(): number;
  down(): Promise<void>;
}

export interface Filter {
  readonly name: FilterName;
  up(): Promise<LiveFilter>;
}

/** BPF attach types and the empty programs of `bench/native/empty.bpf.c`. */
const EMPTY_HOOKS: readonly (readonly [program: string, attachType: number])[] = [
  ["empty_ingress", 0],
  ["empty_egress", 1],
  ["empty_connect4", 10],
  ["empty_connect6", 11],
  ["empty_post_bind4", 12],
  ["empty_post_bind6", 13],
  ["empty_sendmsg4", 14],
  ["empty_sendmsg6", 15],
];

export function benchBook(count: number): RuleBook {
  return makeRuleBook(count, SERVICE_PORTS, { host: HOST_ADDRESS, peer: PEER_ADDRESS });
}

/** The book as the program of one host. */
export function compileBook(book: RuleBook): HostProgram {
  return compilePolicy(bookToPolicy(book));
}

/** One policy document as the program of the bench's host. Throws with the diagnostics when it cannot be read. */
export function compilePolicy(text: string): HostProgram {
  const { world, diagnostics, ok } = readPolicyFiles([
    { path: "bench.yaml", text },
    { path: "host.yaml", text: HOST_DOCUMENT },
  ]);
  if (!ok) throw new Error(JSON.stringify(diagnostics.slice(0, 3)));
  return compile(world, "bench");
}

export const HOST_DOCUMENT = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: bench}
spec: {addresses: ["${HOST_ADDRESS[4]}", "${HOST_ADDRESS[6]}"]}
`;

function nft(namespace: string, args: readonly string[], script?: string): string {
  const options = { ...(script === undefined ? {} : { input: script }), maxBuffer: 1 << 28 };
  return execFileSync("nsenter", [`--net=${namespace}`, "nft", ...args], options).toString();
}

/** A table named `wardline_bench` in each of the namespaces; counted in the first. */
export function nftFilter(name: FilterName, namespaces: readonly string[], script: string): Filter {
  const [counted = ""] = namespaces;
  return {
    name,
    async up() {
      for (const namespace of namespaces) nft(namespace, ["-f", "-"], script);
      return {
        seenPackets() {
          const chains = ["output", "input"].map((chain) =>
            nft(counted, ["list", "chain", "inet", "wardline_bench", chain]),
          );
          return [...chains.join("").matchAll(/counter packets (\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
        },
        async down() {
          for (const namespace of namespaces) nft(namespace, ["delete", "table", "inet", "wardline_bench"]);
        },
      };
    },
  };
}

/** Programs that only say yes, on every cgroup hook that the datapath uses. */
function emptyFilter(lab: KernelLab): Filter {
  const objectBytes = readFileSync(buildBpf(lab.directory, "empty"));
  return {
    name: "empty hooks",
    async up() {
      const object = loadObject(objectBytes, { maxEntries: new Map(), reuse: new Map() });
      const cgroupFd = openSync(lab.cgroupRoot, "r");
      const links = EMPTY_HOOKS.map(([program, type]) => attachToCgroup(object.programFd(program), cgroupFd, type));
      closeSync(cgroupFd);
      return {
        seenPackets: () => Number.NaN,
        async down() {
          for (const fd of links) closeSync(fd);
          object.close();
        },
      };
    },
  };
}

/** The datapath with all its hooks, held by this process, which also drains its events as an agent does. */
export function wardlineFilter(
  lab: KernelLab,
  program: HostProgram,
  name: FilterName = "wardline",
  more: Partial<EbpfEnforcerConfig> = {},
): Filter {
  return {
    name,
    async up() {
      const objectBytes = readBpfObject();
      const { cgroupRoot, bpffsDir } = lab;
      const enforcer = createEbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes, ...labOptions(lab), ...more });
      await enforcer.open();
      await enforcer.checkTranslation();
      const stopListening = enforcer.onEvents(() => {});
      try {
        if (more.edge && enforcer.edgeInterfaces().length === 0) throw new Error("the edge covers no interface");
        const prepared = await enforcer.prepare(program, 1);
        enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
      } catch (error) {
        await enforcer.release();
        throw error;
      }
      return {
        seenPackets: () => enforcer.readCounters().reduce((sum, counter) => sum + Number(counter.packets), 0),
        async down() {
          stopListening();
          await enforcer.release();
        },
      };
    },
  };
}

export interface Comparison {
  /** Guards the client only. */
  readonly oneSide: readonly Filter[];
  /** Guards both ends: the nftables tables are in both namespaces. */
  readonly bothSides: readonly Filter[];
}

/** Every filter, with `count` rules of each family and direction. */
export function makeFilters(lab: KernelLab, count: number): Comparison {
  const book = benchBook(count);
  const program = compileBook(book);
  const none: Filter = { name: "none", up: async () => ({ seenPackets: () => Number.NaN, down: async () => {} }) };
  const cgroupFilters = [
    none,
    emptyFilter(lab),
    wardlineFilter(lab, program),
    wardlineFilter(lab, program, EDGE_NAME, edgeOptions(lab)),
  ];
  const [set, linear] = [bookToNftSet(book), bookToNftLinear(book)];
  const nftFilters = (namespaces: readonly string[]): Filter[] => [
    nftFilter("nftables set", namespaces, set),
    nftFilter("nftables linear", namespaces, linear),
  ];
  return {
    oneSide: [...cgroupFilters, ...nftFilters([lab.hostNamespace])],
    bothSides: [...cgroupFilters, ...nftFilters([lab.hostNamespace, lab.peerNamespace])],
  };
}

/** Brings a filter up, proves by its counters that it saw at least `packets(result)` of the traffic, takes it down. */
export async function underFilter<T>(filter: Filter, use: (live: LiveFilter) => Promise<T>): Promise<T> {
  const live = await filter.up();
  try {
    return await use(live);
  } finally {
    await live.down();
  }
}

/** Runs a measurement and throws unless the filter counted at least as many packets as the measurement says it sent. */
export async function measureLive<T>(
  name: string,
  live: LiveFilter,
  measure: () => Promise<T>,
  leastPackets: (measured: T) => number,
): Promise<T> {
  const before = live.seenPackets();
  const measured = await measure();
  const seen = live.seenPackets() - before;
  if (seen < leastPackets(measured)) throw new Error(`${name} was not live: it saw ${seen} packets`);
  return measured;
}
