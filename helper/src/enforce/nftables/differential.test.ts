import {
  compile,
  createLookup,
  enforcedVerdict,
  evaluate,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PolicyWorld,
  PROTOCOL,
  type ProgramPacket,
  parseAddress,
} from "@wardline/domain/policy";
import { emitNftables, nftablesDecisionName } from "@wardline/domain/policy/emit";
import { arbitraryProbe, arbitraryWorld, GENERATED_HOST_NAMES, packetToFlow } from "@wardline/domain/policy/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LAB_HOST, NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { nftablesEnforcerInside } from "../../testing/nftablesLab.ts";
import { TCP_FLAG } from "../../testing/rawPacket.ts";
import { wirePacket } from "../../testing/wirePacket.ts";
import { isFaithfulProbe } from "../ebpf/probePacket.ts";

const PACKETS_PER_WORLD = 200;
const MIN_DECISIONS = 5;
const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 12_000);
/** Through the backend, which loads the same rules into its two slots in turn. */
const PACKETS_IN_SLOTS = Math.ceil(PACKETS / 4);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const problem = netfilterLabProblem();

const cases = fc
  .tuple(arbitraryWorld({ maxPolicies: 10 }), fc.constantFrom(...GENERATED_HOST_NAMES))
  .map(([world, hostName]) => ({ world: withoutProcesses(world), hostName }))
  .map(({ world, hostName }) => ({ world, program: compile(world, hostName) }))
  // Most worlds leave a host alone; there is little to compare in those.
  .filter(({ program }) => program.decisions.length >= FIRST_RULE_DECISION + MIN_DECISIONS)
  .chain(({ world, program }) =>
    fc
      .array(
        arbitraryProbe(world)
          .map((probe): ProgramPacket => ({ set: 0, ...canonical(probe) }))
          .filter((packet) => (isIcmpOfOtherFamily(packet) || isFaithfulProbe(packet)) && canBeOnTheWire(packet)),
        { minLength: PACKETS_PER_WORLD, maxLength: PACKETS_PER_WORLD },
      )
      .map((packets) => ({ world, program, packets })),
  );

/** Workloads are peers only: a script is refused for those that have rules of their own. */
function withoutProcesses(world: PolicyWorld): PolicyWorld {
  const endpoints = world.inventory.endpoints.map((endpoint) => ({ ...endpoint, match: null }));
  return { ...world, inventory: { ...world.inventory, endpoints } };
}

type Probe = Omit<ProgramPacket, "set">;

/** ICMP of the other family has no type that anybody reads: its port is 0. */
function canonical(probe: Probe): Probe {
  return isIcmpOfOtherFamily(probe) ? { ...probe, port: 0 } : probe;
}

function isIcmpOfOtherFamily({ remote, protocol }: Probe): boolean {
  return familyOf(remote) === 4 ? protocol === PROTOCOL.icmpv6 : protocol === PROTOCOL.icmp;
}

function familyOf(remote: string): 4 | 6 {
  const address = parseAddress(remote);
  if (!address.ok) throw new Error(remote);
  return address.family;
}

/** Not packets that the kernel drops or turns around before any filter sees them. */
function canBeOnTheWire({ direction, remote }: ProgramPacket): boolean {
  const address = parseAddress(remote);
  if (!address.ok) return false;
  const [first = 0] = address.bytes;
  const isUnspecified = address.bytes.every((byte) => byte === 0);
  if (isUnspecified || (address.family === 4 && first === 0)) return false;
  if (direction === "egress") return true;
  const isBroadcast = address.bytes.every((byte) => byte === 255);
  if (address.family === 4) return first !== 127 && (first < 224 || first >= 240) && !isBroadcast;
  const isLoopback = address.bytes.slice(0, 15).every((byte) => byte === 0) && address.bytes[15] === 1;
  return !isLoopback && first !== 0xff;
}

/** Each of its own length, so that two that swapped their decisions would not have the same bytes in all. */
function bytesOf(packet: ProgramPacket, position: number): Buffer {
  const family = familyOf(packet.remote);
  const remote = packet.remote.replace(/^::ffff:(?=.*\.)/, "");
  const [source, destination] =
    packet.direction === "ingress" ? [remote, LAB_HOST[family]] : [LAB_HOST[family], remote];
  const flags = [TCP_FLAG.syn, TCP_FLAG.syn, TCP_FLAG.ack, TCP_FLAG.syn | TCP_FLAG.ack, TCP_FLAG.rst];
  return wirePacket({
    source,
    destination,
    protocol: packet.protocol,
    port: packet.port,
    otherPort: 10_000 + position,
    tcpFlags: flags[position % flags.length] ?? TCP_FLAG.syn,
    paddingBytes: 4 * position + (position % 3),
  });
}

describe.skipIf(problem !== null)(
  `reference = compiled tables = nftables, with real packets${problem === null ? "" : ` (${problem})`}`,
  () => {
    let lab: NetfilterLab;

    beforeAll(() => {
      lab = new NetfilterLab();
      lab.hush();
    });

    afterAll(() => lab.close());

    /** Loads a program, and tells what its decisions have counted since then. */
    interface Loaded {
      load(program: HostProgram): Promise<void>;
      /** By the index of the decision. */
      counters(): readonly (readonly [index: number, counted: { packets: number; bytes: number }])[];
    }

    /** Packets and bytes of each decision once everything that was sent has been counted. */
    async function counted({ counters }: Loaded, total: number): Promise<Record<string, string>> {
      for (let attempt = 0; ; attempt++) {
        const hit = counters().filter(([, { packets }]) => packets > 0);
        const sum = hit.reduce((packets, [, counter]) => packets + counter.packets, 0);
        if (sum >= total || attempt === 20)
          return Object.fromEntries(hit.map(([index, each]) => [index, inWords(each)]));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }

    function referenceOf(world: PolicyWorld, program: HostProgram, packet: ProgramPacket) {
      return evaluate(world, packetToFlow(program, packet)).directions[packet.direction === "egress" ? 0 : 1].decision;
    }

    /** Sends packets both ways and compares what was counted, down to the byte; returns how often each kind was met. */
    async function compare(loaded: Loaded, packetCount: number, seed: number): Promise<ReadonlyMap<string, number>> {
      const seen = new Map<string, number>();
      const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1);
      await fc.assert(
        fc.asyncProperty(cases, async ({ world, program, packets }) => {
          await loaded.load(program);
          const answer = createLookup(program);
          const expected = new Map<number, { packets: number; bytes: number }>();
          const sent = { ingress: [] as Buffer[], egress: [] as Buffer[] };
          for (const [position, packet] of packets.entries()) {
            const decision = answer(packet);
            expect(referenceOf(world, program, packet).id, JSON.stringify(packet)).toBe(decision.id);
            const bytes = bytesOf(packet, position);
            sent[packet.direction].push(bytes);
            const sum = expected.get(decision.index) ?? { packets: 0, bytes: 0 };
            expected.set(decision.index, { packets: sum.packets + 1, bytes: sum.bytes + bytes.length });
            count(`${decision.reason} ${decision.verdict}${decision.observeOnly ? " observed" : ""}`);
            count(`verdict enforced: ${enforcedVerdict(decision)}`);
            count(`${packet.direction} protocol ${packet.protocol} IPv${familyOf(packet.remote)}`);
          }
          const passedBefore = lab.counters("quiet").get("passed")?.packets ?? 0;
          lab.sendToHost(sent.ingress);
          lab.sendFromHost(sent.egress);
          const wanted = Object.fromEntries([...expected].map(([index, sum]) => [index, inWords(sum)]));
          expect(await counted(loaded, packets.length)).toEqual(wanted);
          const allowed = packets.filter((packet) => enforcedVerdict(answer(packet)) === "allow");
          expect((lab.counters("quiet").get("passed")?.packets ?? 0) - passedBefore).toBe(allowed.length);
        }),
        { numRuns: Math.ceil(packetCount / PACKETS_PER_WORLD), seed, endOnFailure: true },
      );
      return seen;
    }

    it(`decides ${PACKETS} packets alike, down to the rule`, { timeout: 300_000 }, async () => {
      let names = new Map<string, number>();
      const script: Loaded = {
        load: async (program) => {
          names = new Map(program.decisions.map((decision) => [nftablesDecisionName(decision), decision.index]));
          lab.load(emitNftables(program, { mode: "enforce" }).script ?? "");
        },
        counters: () => [...lab.counters("wardline")].map(([name, each]) => [names.get(name) ?? Number.NaN, each]),
      };
      const seen = await compare(script, PACKETS, SEED);
      lab.inside("host", "nft", ["delete", "table", "inet", "wardline"]);
      // The comparison is worth nothing when the packets never reach a kind of decision.
      for (const kind of [
        "rule allow",
        "rule deny",
        "rule deny observed",
        "isolated deny",
        "isolated deny observed",
        "not-isolated allow",
        "builtin allow",
        ...["ingress", "egress"].flatMap((direction) =>
          ["6", "17", "132", "1", "58", "47"]
            .flatMap((protocol) => [`${protocol} IPv4`, `${protocol} IPv6`])
            .map((protocol) => `${direction} protocol ${protocol}`),
        ),
      ]) {
        expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(10);
      }
    });

    it(`decides ${PACKETS_IN_SLOTS} packets alike in the slots of the backend`, { timeout: 300_000 }, async () => {
      const enforcer = nftablesEnforcerInside(lab.namespacePath("host"));
      await enforcer.open();
      // All packets come and go by one interface, those of the overlay among them.
      enforcer.setOverlay({ name: "eth0", index: 0 });
      let generation = 0;
      const slots: Loaded = {
        load: async (program) => {
          generation += 1;
          const prepared = await enforcer.prepare(program, generation);
          enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
        },
        counters: () =>
          enforcer.readCounters().map(({ decision, packets, bytes }) => {
            return [decision, { packets: Number(packets), bytes: Number(bytes) }];
          }),
      };
      const seen = await compare(slots, PACKETS_IN_SLOTS, SEED + 1);
      expect(seen.get("verdict enforced: deny") ?? 0).toBeGreaterThan(PACKETS_IN_SLOTS / 10);
      await enforcer.release();
    });
  },
);

function inWords({ packets, bytes }: { packets: number; bytes: number }): string {
  return `${packets} packets, ${bytes} bytes`;
}
