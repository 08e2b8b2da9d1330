import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedObject, loadObject, testRun } from "../../linux/bpf/libbpf.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { ethernet, icmp, ipv4, ipv6, tcp, udp } from "../../testing/rawPacket.ts";

const SOURCE = fileURLToPath(new URL("../../testing/native/readers.bpf.c", import.meta.url));
const BPF = fileURLToPath(new URL("../../../../bpf", import.meta.url));
const IFINDEX_OFFSET = 40;
const CB_OFFSET = 48;
/** Below that the kernel refuses a test run: a whole IP header of the Ethernet type. */
const SHORTEST_BYTES = { 2048: 20, 34525: 40 } as const;
const DECLINED = 0;
const AGREE = 1;
const problem = kernelLabProblem();

const port = fc.integer({ min: 0, max: 65_535 });
const transport = fc.oneof(
  fc
    .tuple(port, port, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 15 }))
    .map(([from, to, flags, offset]) => ({ protocol: 6, bytes: tcp(from, to, flags, offset) })),
  fc
    .tuple(port, port, fc.integer({ min: 8, max: 60 }))
    .map(([from, to, size]) => ({ protocol: 17, bytes: udp(from, to, size) })),
  fc.integer({ min: 0, max: 255 }).map((type) => ({ protocol: 1, bytes: icmp(type, 0, Buffer.alloc(16)) })),
  fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ minLength: 0, maxLength: 40 }))
    .map(([protocol, bytes]) => ({ protocol, bytes: Buffer.from(bytes) })),
);
const address4 = fc.constantFrom("192.0.2.1", "198.51.100.7", "127.0.0.1", "10.0.0.1");
const address6 = fc.constantFrom("2001:db8::1", "fd00::7", "::1", "::ffff:192.0.2.1", "fe80::1");
const packet = fc.oneof(
  fc.tuple(address4, address4, transport).map(([from, to, { protocol, bytes }]) => ipv4(from, to, protocol, bytes)),
  fc.tuple(address6, address6, transport).map(([from, to, { protocol, bytes }]) => {
    return ipv6(
      from.startsWith("::ffff") ? "2001:db8::2" : from,
      to.startsWith("::ffff") ? "::1" : to,
      protocol,
      bytes,
    );
  }),
);
/** A few bytes of a packet changed, and its end cut off. */
const changed = fc
  .tuple(packet, fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 3 }), fc.option(fc.nat(80), { freq: 4 }))
  .map(([bytes, edits, cut]) => {
    const copy = Buffer.from(bytes);
    for (const [at, value] of edits) if (at < copy.length) copy.writeUInt8(value, at);
    return copy.subarray(0, Math.max(SHORTEST_BYTES[0x0800], cut ?? copy.length));
  });

function otherInterface(): number {
  return readdirSync("/sys/class/net")
    .map((name) => Number(readFileSync(join("/sys/class/net", name, "ifindex"), "utf8")))
    .reduce((highest, index) => Math.max(highest, index), 0);
}

describe.skipIf(problem !== null)(`the two readers of packets${problem === null ? "" : ` (${problem})`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), "wardline-readers-"));
  let object: LoadedObject;
  let ifindex = 0;

  beforeAll(() => {
    const path = join(directory, "readers.o");
    const machine = execFileSync("uname", ["-m"]).toString().trim();
    const flags = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-I", join(BPF, "include"), "-I", join(BPF, "src")];
    execFileSync("clang", [...flags, "-idirafter", `/usr/include/${machine}-linux-gnu`, "-c", SOURCE, "-o", path]);
    object = loadObject(readFileSync(path), { maxEntries: new Map(), reuse: new Map() });
    ifindex = otherInterface();
  });

  afterAll(() => {
    object.close();
    rmSync(directory, { recursive: true });
  });

  function compare(bytes: Buffer, egress: boolean, etherType?: number): number {
    const context = Buffer.alloc(192);
    context.writeUInt32LE(ifindex, IFINDEX_OFFSET);
    context.writeUInt32LE(egress ? 1 : 0, CB_OFFSET);
    const frame = ethernet(bytes, etherType);
    return testRun(object.programFd("compare_readers"), frame, context).context.readUInt32LE(CB_OFFSET + 8);
  }

  it("never differ, on valid and broken packets, and the plain one answers the usual ones", () => {
    let answered = 0;
    fc.assert(
      fc.property(changed, fc.boolean(), fc.boolean(), (bytes, egress, otherType) => {
        const etherType = ((bytes[0] ?? 0) >> 4 === 4) !== otherType ? 0x0800 : 0x86dd;
        fc.pre(bytes.length >= SHORTEST_BYTES[etherType]);
        const outcome = compare(bytes, egress, etherType);
        if (outcome !== DECLINED) answered += 1;
        expect(outcome === DECLINED || outcome === AGREE).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(answered).toBeGreaterThan(500);
    for (const egress of [false, true]) {
      expect(compare(ipv4("192.0.2.1", "198.51.100.7", 6, tcp(1, 2, 16)), egress)).toBe(AGREE);
      expect(compare(ipv4("192.0.2.1", "198.51.100.7", 17, udp(1, 2, 16)), egress)).toBe(AGREE);
      expect(compare(ipv6("2001:db8::1", "fd00::7", 6, tcp(1, 2, 2)), egress)).toBe(AGREE);
      expect(compare(ipv4("192.0.2.1", "198.51.100.7", 17, udp(1, 2)), egress)).toBe(DECLINED);
    }
  });
});
