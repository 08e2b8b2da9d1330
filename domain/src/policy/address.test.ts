import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonicalAddress,
  cidrContains,
  cidrContainsAddress,
  cidrsOverlap,
  formatAddress,
  formatCidr,
  parseAddress,
  parseCidr,
} from "./address.ts";
import type { Cidr } from "./model.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} ${parsed.message}`);
  return parsed.cidr;
}

function problemOf(result: ReturnType<typeof parseAddress> | ReturnType<typeof parseCidr>): string {
  return result.ok ? "none" : result.problem;
}

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6();

describe("parseAddress", () => {
  it.each([
    ["192.0.2.10", "192.0.2.10"],
    ["0.0.0.0", "0.0.0.0"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::ffff:0a00:0001", "10.0.0.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["0:0:0:0:0:0:0:0", "::"],
  ])("reads %s as %s", (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  it.each([
    ["", "syntax"],
    ["10.0.0", "syntax"],
    ["10.0.0.256", "syntax"],
    ["10.0.0.01", "leading-zero"],
    ["10.0.0.1/8", "unexpected-prefix-length"],
    [" 10.0.0.1", "syntax"],
    ["fe80::1%eth0", "zone"],
    ["%eth0", "syntax"],
    ["1::2::3", "syntax"],
    ["1:2:3:4:5:6:7::8", "syntax"],
    ["1:2:3:4:5:6::8", "none"],
    ["1:2:3:4:5:6:7:8::", "syntax"],
    [":1:2:3:4:5:6:7", "syntax"],
    ["12345::", "syntax"],
    ["::1.2.3", "syntax"],
    ["1.2.3.4::", "syntax"],
    ["10.0.0.1".padEnd(10_000, "%"), "syntax"],
  ])("says what is wrong with %j: %s", (text, problem) => {
    expect(problemOf(parseAddress(text))).toBe(problem);
  });

  it("accepts what node:net accepts, zones apart", () => {
    const almost = fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.%/ "), maxLength: 30 });
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6, almost), (text) => {
        expect(parseAddress(text).ok).toBe(isIP(text) !== 0 && !text.includes("%"));
      }),
      { numRuns: 3000 },
    );
  });

  it("round-trips every address through its text", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(bytes, (address) => {
        const text = formatAddress(address);
        expect(isIP(text)).toBe(address.length === 4 ? 4 : 6);
        const parsed = parseAddress(text);
        expect(parsed.ok && [...parsed.bytes]).toEqual([...(parsed.ok && parsed.mapped ? address.slice(12) : address)]);
      }),
      { numRuns: 2000 },
    );
  });

  it("writes IPv6 as the WHATWG URL parser does, which follows RFC 5952", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
        const long = Array.from({ length: 8 }, (_, i) =>
          ((address[2 * i]! << 8) | address[2 * i + 1]!).toString(16),
        ).join(":");
        expect(`[${formatAddress(address)}]`).toBe(new URL(`http://[${long}]/`).hostname);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("parseCidr", () => {
  it.each([
    ["10.0.0.0/8", "10.0.0.0/8", false],
    ["10.1.2.3/8", "10.0.0.0/8", true],
    ["0.0.0.0/0", "0.0.0.0/0", false],
    ["8.8.8.8/32", "8.8.8.8/32", false],
    ["::/0", "::/0", false],
    ["2001:db8::1/32", "2001:db8::/32", true],
    ["2001:db8:8000::/33", "2001:db8:8000::/33", false],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8", false],
    ["::ffff:0:0/96", "0.0.0.0/0", false],
    ["::ffff:10.0.0.0/90", "::ffc0:0:0/90", true],
  ])("reads %s as %s", (text, canonical, hostBitsSet) => {
    const parsed = parseCidr(text);
    expect(parsed.ok && formatCidr(parsed.cidr)).toBe(canonical);
    expect(parsed.ok && parsed.hostBitsSet).toBe(hostBitsSet);
  });

  it.each([
    ["10.0.0.0", "missing-prefix-length"],
    ["10.0.0.0/33", "bad-prefix-length"],
    ["10.0.0.0/", "bad-prefix-length"],
    ["10.0.0.0/08", "bad-prefix-length"],
    ["10.0.0.0/-1", "bad-prefix-length"],
    ["::/129", "bad-prefix-length"],
    ["fe80::%lo/10", "zone"],
    ["ten/8", "syntax"],
    ["/8", "syntax"],
    ["", "syntax"],
  ])("says what is wrong with %j: %s", (text, problem) => {
    expect(problemOf(parseCidr(text))).toBe(problem);
  });

  it("agrees with node:net's BlockList about what a prefix holds", () => {
    const sized = (address: fc.Arbitrary<string>, bits: number) =>
      fc.tuple(address, fc.integer({ min: 0, max: bits }), address, fc.nat({ max: bits }));
    fc.assert(
      fc.property(fc.oneof(sized(ipv4, 32), sized(ipv6, 128)), ([network, prefixLength, other, nearBits]) => {
        const prefix = parseCidr(`${network}/${prefixLength}`);
        const base = parseAddress(network);
        const far = parseAddress(other);
        if (!prefix.ok || !base.ok || !far.ok || base.mapped || far.mapped) return;
        const near = base.bytes.slice();
        const flipped = Math.min(nearBits, near.length * 8 - 1);
        near[flipped >> 3]! ^= 0x80 >> (flipped & 7);
        const family = base.family === 4 ? "ipv4" : "ipv6";
        const list = new BlockList();
        list.addSubnet(network, prefixLength, family);
        for (const bytes of [far.bytes, near, base.bytes]) {
          expect(cidrContainsAddress(prefix.cidr, bytes)).toBe(list.check(formatAddress(bytes), family));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("cidrContains", () => {
  it.each([
    ["10.0.0.0/8", "10.1.0.0/16", true],
    ["10.1.0.0/16", "10.0.0.0/8", false],
    ["10.0.0.0/8", "10.0.0.0/8", true],
    ["10.0.0.0/9", "10.128.0.0/16", false],
    ["0.0.0.0/0", "::/0", false],
    ["::/0", "2001:db8::/32", true],
  ])("%s contains %s: %s", (outer, inner, contained) => {
    expect(cidrContains(cidr(outer), cidr(inner))).toBe(contained);
  });

  it("counts IPv4-mapped bytes as IPv4", () => {
    const mapped = new Uint8Array(16);
    mapped.set([0xff, 0xff, 10, 1, 2, 3], 10);
    expect(cidrContainsAddress(cidr("10.0.0.0/8"), mapped)).toBe(true);
    expect(cidrContainsAddress(cidr("11.0.0.0/8"), mapped)).toBe(false);
  });

  it("overlap is containment one way or the other", () => {
    expect(cidrsOverlap(cidr("10.0.0.0/8"), cidr("10.1.0.0/16"))).toBe(true);
    expect(cidrsOverlap(cidr("10.1.0.0/16"), cidr("10.0.0.0/8"))).toBe(true);
    expect(cidrsOverlap(cidr("10.0.0.0/8"), cidr("11.0.0.0/8"))).toBe(false);
  });
});
