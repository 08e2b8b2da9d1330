import { describe, expect, it } from "vitest";
import type { NetworkInterface } from "../../../linux/network/interfaces.ts";
import { innerInterfaces, isPort, packetStart } from "./interfaceRules.ts";

const ETHERNET = 1;

function entry(index: number, more: Partial<NetworkInterface> = {}): NetworkInterface {
  return {
    index,
    name: `if${index}`,
    hardwareType: ETHERNET,
    isLoopback: false,
    kind: "",
    master: 0,
    portKind: "",
    crossesNamespace: false,
    xdp: "none",
    ...more,
  };
}

const container = (index: number, master = 0): NetworkInterface =>
  entry(index, { kind: "veth", crossesNamespace: true, master, portKind: master === 0 ? "" : "bridge" });

describe("rules for interfaces", () => {
  it("find what leads only into containers", () => {
    const bridge = entry(10, { kind: "bridge" });
    const emptyBridge = entry(11, { kind: "bridge" });
    const mixedBridge = entry(12, { kind: "bridge" });
    const tap = entry(20, { kind: "tun", master: 12, portKind: "bridge" });
    const pair = entry(30, { kind: "veth" });
    const macvlan = entry(40, { kind: "macvlan", crossesNamespace: true });
    const all = [entry(2), bridge, emptyBridge, mixedBridge, tap, pair, macvlan];
    const inner = innerInterfaces([...all, container(3), container(4, 10), container(5, 10), container(6, 12)]);
    expect([...inner].sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 10]);
  });

  it("leave ports to their master, but not those of a VRF", () => {
    expect(isPort(entry(2))).toBe(false);
    expect(isPort(entry(2, { master: 9, portKind: "bridge" }))).toBe(true);
    expect(isPort(entry(2, { master: 9, portKind: "bond" }))).toBe(true);
    expect(isPort(entry(2, { master: 9, portKind: "vrf" }))).toBe(false);
  });

  it("know where packets start", () => {
    expect(packetStart(entry(2))).toBe("l2");
    expect(packetStart(entry(2, { hardwareType: 65_534 }))).toBe("l3");
    expect(packetStart(entry(2, { hardwareType: 32 }))).toBe(null);
  });
});
