/**
 * Measures the datapath on this machine and prints JSON: verifier cost, nanoseconds per packet (BPF_PROG_TEST_RUN), time
 * to prepare and to flip. Run as root: `node helper/src/testing/measureDatapath.ts`.
 */
import { programInfo } from "../linux/bpf/libbpf.ts";
import { type HandRule, handProgram } from "./handProgram.ts";
import { ProgramRunner } from "./programRunner.ts";
import { ipv4, TCP_FLAG, tcp, udp } from "./rawPacket.ts";

const REPEAT = 200_000;
const ROUNDS = 5;
const LOCAL = "198.51.100.1";

function addressAt(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}

/** One address and one port for each rule, all in one direction. */
function rules(count: number): readonly HandRule[] {
  return Array.from({ length: count }, (_, index) => ({
    direction: "ingress" as const,
    remote: addressAt(index),
    protocol: 6,
    port: 1000 + (index % 20_000),
    verdict: "allow" as const,
  }));
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? 0;
}

const runner = new ProgramRunner();
const results: Record<string, unknown> = {};
try {
  let start = performance.now();
  await runner.open();
  results.loadAndAttachMs = performance.now() - start;
  await runner.enforcer.close();
  start = performance.now();
  await runner.enforcer.open();
  results.adoptMs = performance.now() - start;
  for (const name of ["wardline_ingress", "wardline_egress", "wardline_selftest"] as const)
    results[`${name}.verifiedInstructions`] = programInfo(runner.pin(name)).verifiedInstructions;

  const perPacket = (direction: "ingress" | "egress", packet: Buffer, ifindex?: number): number =>
    median(
      Array.from({ length: ROUNDS }, () => {
        const options = ifindex === undefined ? { repeat: REPEAT } : { repeat: REPEAT, ifindex };
        return runner.run(direction, packet, options).durationNs;
      }),
    );
  let generation = 0;
  for (const count of [8, 10, 100, 1000, 16_000]) {
    const program = handProgram({ rules: rules(count) });
    const prepareMs: number[] = [];
    const fillUs: number[] = [];
    const selfTestUs: number[] = [];
    const flipUs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      generation += 1;
      start = performance.now();
      const prepared = await runner.enforcer.prepare(program, generation);
      prepareMs.push(performance.now() - start);
      fillUs.push(prepared.timings.fillUs);
      selfTestUs.push(prepared.timings.selfTestUs);
      flipUs.push(runner.enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null }));
    }
    const middle = count >> 1;
    const established = ipv4(addressAt(middle), LOCAL, 6, tcp(50_000, 1000 + (middle % 20_000), TCP_FLAG.ack));
    const opening = ipv4(addressAt(middle), LOCAL, 6, tcp(50_000, 1000 + (middle % 20_000), TCP_FLAG.syn));
    runner.run("ingress", opening);
    runner.run(
      "egress",
      ipv4(LOCAL, addressAt(middle), 6, tcp(1000 + (middle % 20_000), 50_000, TCP_FLAG.syn | TCP_FLAG.ack)),
    );
    results[`rules.${count}`] = {
      entries: program.addresses4.length + program.classes.length + program.ports.length,
      prepareMs: median(prepareMs),
      fillUs: median(fillUs),
      selfTestUs: median(selfTestUs),
      flipUs: median(flipUs),
      establishedNs: perPacket("ingress", established),
      // Read, three lookups, answer; no flow table, no counter, no event.
      lookupNs: median(Array.from({ length: ROUNDS }, () => runner.runSelfTest("ingress", opening, REPEAT).durationNs)),
      deniedNs: perPacket("ingress", ipv4(addressAt(middle), LOCAL, 17, udp(1, 2))),
      loopbackNs: perPacket("ingress", established, 1),
    };
  }
} finally {
  await runner.close();
}
console.log(JSON.stringify(results, null, 2));
