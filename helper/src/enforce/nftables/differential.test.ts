import {
  compile,
  createLookup,
  type Decision,
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
import { TCP_FLAG } from "../../testing/rawPacket.ts";
import { wirePacket } from "../../testing/wirePacket.ts";
import { isFaithfulProbe } from "../ebpf/probePacket.ts";

const PACKETS_PER_WORLD = 200;
const MIN_DECISIONS = 5;
const PACKETS = Number(process.env.WARDLINE_FUZZ_PACKETS ?? 12_000);
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

    /** Packets and bytes of each decision once everything that was sent has been counted. */
    async function counted(total: number): Promise<Record<string, string>> {
      for (let attempt = 0; ; attempt++) {
        const counters = [...lab.counters("wardline")].filter(([, { packets }]) => packets > 0);
        const packets = counters.reduce((sum, [, counter]) => sum + counter.packets, 0);
        if (packets >= total || attempt === 20) {
          return Object.fromEntries(
            counters.map(([name, counter]) => [name, `${counter.packets} packets, ${counter.bytes} bytes`]),
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }

    function referenceOf(world: PolicyWorld, program: HostProgram, packet: ProgramPacket) {
      return evaluate(world, packetToFlow(program, packet)).directions[packet.direction === "egress" ? 0 : 1].decision;
    }

    it(`decides ${PACKETS} packets alike, down to the rule`, { timeout: 300_000 }, async () => {
      const seen = new Map<string, number>();
      const count = (kind: string): void => void seen.set(kind, (seen.get(kind) ?? 0) + 1);
      await fc.assert(
        fc.asyncProperty(cases, async ({ world, program, packets }) => {
          const { script } = emitNftables(program, { mode: "enforce" });
          lab.load(script ?? "");
          const answer = createLookup(program);
          const expected = new Map<Decision, { packets: number; bytes: number }>();
          const sent = { ingress: [] as Buffer[], egress: [] as Buffer[] };
          for (const [position, packet] of packets.entries()) {
            const decision = answer(packet);
            expect(referenceOf(world, program, packet).id, JSON.stringify(packet)).toBe(decision.id);
            const bytes = bytesOf(packet, position);
            sent[packet.direction].push(bytes);
            const sum = expected.get(decision) ?? { packets: 0, bytes: 0 };
            expected.set(decision, { packets: sum.packets + 1, bytes: sum.bytes + bytes.length });
            count(`${decision.reason} ${decision.verdict}${decision.observeOnly ? " observed" : ""}`);
            count(`verdict enforced: ${enforcedVerdict(decision)}`);
            count(`${packet.direction} protocol ${packet.protocol} IPv${familyOf(packet.remote)}`);
          }
          const passedBefore = lab.counters("quiet").get("passed")?.packets ?? 0;
          lab.sendToHost(sent.ingress);
          lab.sendFromHost(sent.egress);
          expect(await counted(packets.length)).toEqual(
            Object.fromEntries(
              [...expected].map(([decision, sum]) => [
                nftablesDecisionName(decision),
                `${sum.packets} packets, ${sum.bytes} bytes`,
              ]),
            ),
          );
          const allowed = packets.filter((packet) => enforcedVerdict(answer(packet)) === "allow");
          expect((lab.counters("quiet").get("passed")?.packets ?? 0) - passedBefore).toBe(allowed.length);
        }),
        { numRuns: Math.ceil(PACKETS / PACKETS_PER_WORLD), seed: SEED, endOnFailure: true },
      );
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
  },
);
