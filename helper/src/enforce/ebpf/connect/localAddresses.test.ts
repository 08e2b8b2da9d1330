import { networkInterfaces } from "node:os";
import { describe, expect, it } from "vitest";
import { addressBytes, parseFibTrie, parseIfInet6, readLocalAddresses } from "./localAddresses.ts";

const TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
`;

describe("addresses of the network namespace", () => {
  it("are the local entries of the trie, loopback and broadcast left out", () => {
    expect(parseFibTrie(TRIE)).toEqual({ addresses: ["192.0.2.2"], isComplete: true });
  });

  it("are not complete when a whole network is local", () => {
    const anyIp = `${TRIE}        |-- 198.51.100.0\n           /24 host LOCAL\n`;
    expect(parseFibTrie(anyIp)).toEqual({ addresses: ["192.0.2.2"], isComplete: false });
  });

  it("are read from if_inet6", () => {
    const text = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n\nnonsense\n";
    expect(parseIfInet6(text)).toEqual(["fe80:0000:0000:0000:00fc:00ff:fe00:0001"]);
  });

  it.skipIf(process.platform !== "linux")("include every address that Node knows (needs Linux)", () => {
    const keys = new Set(readLocalAddresses().addresses.map((address) => addressBytes(address)?.toString("hex")));
    for (const { address, internal } of Object.values(networkInterfaces()).flatMap((list) => list ?? []))
      if (!internal) expect(keys.has(addressBytes(address.split("%")[0] ?? "")?.toString("hex")), address).toBe(true);
  });

  it("are written as the datapath writes them", () => {
    expect(addressBytes("192.0.2.1")?.toString("hex")).toBe("00000000000000000000ffffc0000201");
    expect(addressBytes("fe80::1")?.toString("hex")).toBe("fe800000000000000000000000000001");
    expect(addressBytes("here")).toBeNull();
  });
});
