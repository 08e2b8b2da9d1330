import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalAddress, formatAddress } from "../policy/index.ts";
import {
  canonicalMeshKey,
  isMeshKey,
  meshAddressOwner,
  yggdrasilAddress,
  yggdrasilAddressBytes,
  yggdrasilSubnet,
  yggdrasilSubnetCidr,
} from "./yggdrasil-address.ts";

/** What `yggdrasil -useconffile FILE -address` and `-subnet` of release 0.4.7 printed for a file with this key. */
const SAID_BY_THE_DAEMON: readonly (readonly [key: string, address: string, subnet: string])[] = [
  [
    "6ab7523d02831823e4fe94b1dadedf5ff6345f963ba193fa9a7da9547ed0e73a",
    "201:5522:b70b:f5f3:9f70:6c05:ad38:9484",
    "301:5522:b70b:f5f3::/64",
  ],
  [
    "0d137fa74af38f30b17284e5d7a849e889247a70d4244eb7256a36e6f09ef2ad",
    "204:5d90:b16:a18e:19e9:d1af:6345:af6",
    "304:5d90:b16:a18e::/64",
  ],
  [
    "51c38aa7a908bf4740dd11243a265a740981827e52dc82f3f283983bf72dbe32",
    "201:b8f1:d561:5bdd:2e2:fc8b:bb6f:1766",
    "301:b8f1:d561:5bdd::/64",
  ],
  ["0000000000000000000000000000000000000000000000000000000000000000", "200::", "300::/64"],
  ["ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "200::", "300::/64"],
  [
    "8000000000000000000000000000000000000000000000000000000000000000",
    "200:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "300:ffff:ffff:ffff::/64",
  ],
  ["7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "201::", "301::/64"],
  ["0000000000000000000000000000000000000000000000000000000000000001", "2ff::", "3ff::/64"],
  [
    "00000000000000000000000000000000000001ababababababababababababab",
    "297:5454:5454:5454:5454:5454:5454:5400",
    "397:5454:5454:5454::/64",
  ],
  [
    "0000000000000000000000000000000000ffcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
    "288:64:6464:6464:6464:6464:6464:6464",
    "388:64:6464:6464::/64",
  ],
  [
    "0000000fa5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
    "21c:b4b:4b4b:4b4b:4b4b:4b4b:4b4b:4b4b",
    "31c:b4b:4b4b:4b4b::/64",
  ],
  [
    "000000000000000000000000000000000001efefefefefefefefefefefefefef",
    "28f:1010:1010:1010:1010:1010:1010:1010",
    "38f:1010:1010:1010::/64",
  ],
  [
    "0000000000000000000000000000000000000deadbeef0123456789abcdef012",
    "294:42a4:8221:fdb9:7530:eca8:6421:fd00",
    "394:42a4:8221:fdb9::/64",
  ],
  [
    "9425345ca09add30c6ceb20275b11fe7e910466dd2249c6fb3ef312a1b680a0a",
    "200:d7b5:9746:beca:459e:7262:9bfb:149d",
    "300:d7b5:9746:beca::/64",
  ],
  [
    "ae1a8cf3bbad610197865a6ec4fa7461c387a3d4f6f5a77ee9025bb3faaa0c96",
    "200:a3ca:e618:88a5:3dfc:d0f3:4b22:760b",
    "300:a3ca:e618:88a5::/64",
  ],
  [
    "949e883eb1b718bfd9fbf77f6337d05a51453bceeb14d49215cb09e08788c652",
    "200:d6c2:ef82:9c91:ce80:4c08:1101:3990",
    "300:d6c2:ef82:9c91::/64",
  ],
  [
    "f19a2a2147ae97ec011b8761aec9df7db96f97f7fff92e90ae641d05f143a91d",
    "200:1ccb:abbd:70a2:d027:fdc8:f13c:a26c",
    "300:1ccb:abbd:70a2::/64",
  ],
  [
    "fc504049208bd376fef74a47950a7e43ff078241dd8f3e7f6e2c1bc7677341f1",
    "200:75f:7f6d:bee8:5912:211:6b70:d5eb",
    "300:75f:7f6d:bee8::/64",
  ],
  [
    "3a72f3d92093b7b1faddd24b350174a9ca73cadb617557a586d8e462cc23f7b6",
    "202:2c68:6136:fb62:4270:2911:6da6:57f4",
    "302:2c68:6136:fb62::/64",
  ],
];

const keys = fc
  .tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.integer({ min: 0, max: 32 }))
  .map(([bytes, zeros]) => Buffer.from(bytes.fill(0, 0, zeros)).toString("hex"));

/** The derivation as bits of text: slow, and nothing in common with the implementation. */
function addressByBits(key: string): string {
  const bits = [...key].map((digit) => (15 - Number.parseInt(digit, 16)).toString(2).padStart(4, "0")).join("");
  const ones = /^1*/.exec(bits)![0].length;
  const rest = bits.slice(ones + 1);
  const whole = rest
    .slice(0, rest.length - (rest.length % 8))
    .padEnd(112, "0")
    .slice(0, 112);
  const all = `00000010${(ones % 256).toString(2).padStart(8, "0")}${whole}`;
  const groups = all.match(/.{16}/g)!.map((group) => Number.parseInt(group, 2).toString(16));
  return canonicalAddress(groups.join(":"))!;
}

describe("the address of a key", () => {
  it.each(SAID_BY_THE_DAEMON)("is what the daemon says: %s", (key, address, subnet) => {
    expect(yggdrasilAddress(key)).toBe(canonicalAddress(address));
    expect(yggdrasilSubnet(key)).toBe(subnet);
    expect(yggdrasilAddress(key.toUpperCase())).toBe(canonicalAddress(address));
  });

  it("equals a derivation by text for any key", () => {
    fc.assert(
      fc.property(keys, (key) => yggdrasilAddress(key) === addressByBits(key)),
      { numRuns: 500 },
    );
  });

  it("lies in 200::/8, its prefix in 300::/8 with the same bits", () => {
    fc.assert(
      fc.property(keys, (key) => {
        const address = yggdrasilAddressBytes(key)!;
        const subnet = yggdrasilSubnetCidr(key)!;
        expect([address[0], subnet.bytes[0], subnet.prefixLength]).toEqual([0x02, 0x03, 64]);
        expect([...subnet.bytes.subarray(1, 8)]).toEqual([...address.subarray(1, 8)]);
        expect([...subnet.bytes.subarray(8)]).toEqual(new Array(8).fill(0));
      }),
    );
  });

  it.each(["", "ab", "g".repeat(64), "0".repeat(63), "0".repeat(65), ` ${"0".repeat(63)}`, `${"0".repeat(64)}\n`])(
    "is none for %j",
    (text) => {
      expect(isMeshKey(text)).toBe(false);
      expect([canonicalMeshKey(text), yggdrasilAddress(text), yggdrasilSubnet(text)]).toEqual([null, null, null]);
      expect(meshAddressOwner(text, "200::1")).toBeNull();
    },
  );
});

describe("whether an address belongs to a key", () => {
  it("says yes to its own address and to every address of its prefix, and as what", () => {
    fc.assert(
      fc.property(keys, fc.uint8Array({ minLength: 8, maxLength: 8 }), (key, host) => {
        const inSubnet = yggdrasilSubnetCidr(key)!.bytes.slice();
        inSubnet.set(host, 8);
        expect(meshAddressOwner(key, yggdrasilAddress(key)!)).toBe("node");
        expect(meshAddressOwner(key, formatAddress(inSubnet))).toBe("subnet");
      }),
    );
  });

  it("says no to an address that differs in one bit, unless the bit is in the host part of the prefix", () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 0, max: 127 }), (key, bit) => {
        const address = yggdrasilAddressBytes(key)!;
        address[bit >> 3]! ^= 0x80 >> (bit & 7);
        const expected = bit === 7 ? "subnet" : null;
        expect(meshAddressOwner(key, formatAddress(address))).toBe(expected);
      }),
    );
  });

  it("says no to what is no address, and to IPv4", () => {
    const key = SAID_BY_THE_DAEMON[0]![0];
    for (const text of ["", "200::/7", "10.0.0.1", "fe80::1%eth0"]) expect(meshAddressOwner(key, text)).toBeNull();
  });
});
