import { describe, expect, it } from "vitest";
import { parseProtocolPort } from "./explain-input.ts";

describe("parseProtocolPort", () => {
  it.each([
    ["443", 6, 443],
    ["443/tcp", 6, 443],
    [" 53/UDP ", 17, 53],
    ["icmp", 1, 8 << 8],
    ["icmp/3/4", 1, (3 << 8) | 4],
    ["icmpv6", 58, 128 << 8],
  ])("reads %s", (text, protocol, port) => {
    expect(parseProtocolPort(text)).toEqual({ protocol, port });
  });
  it.each(["", "0", "65536/tcp", "443/quic", "443/tcp/1", "icmp/256", "443/icmp", "a"])("refuses %j", (text) => {
    expect(parseProtocolPort(text)).toBeNull();
  });
});
