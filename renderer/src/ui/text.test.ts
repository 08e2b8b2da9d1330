import { describe, expect, it } from "vitest";
import {
  formatAddressPort,
  formatAge,
  formatBytes,
  formatCountdown,
  formatPortRange,
  formatProtocolPort,
  formatQuantity,
  formatRate,
  shortKey,
  visibleText,
} from "./text.ts";

describe("visibleText", () => {
  it("writes bidirectional overrides, zero-width and control characters as code points", () => {
    expect(visibleText("web\u202egpj.exe")).toBe("web⟨U+202E⟩gpj.exe");
    expect(visibleText("a\u200bb\u0000c\u001b[31m")).toBe("a⟨U+200B⟩b⟨U+0000⟩c⟨U+001B⟩[31m");
    expect(visibleText("x\u2066y\u2069\ufeff")).toBe("x⟨U+2066⟩y⟨U+2069⟩⟨U+FEFF⟩");
    expect(visibleText("tag\u{e0041}")).toBe("tag⟨U+E0041⟩");
  });
  it("leaves ordinary text of any script alone", () => {
    expect(visibleText("web-1 größe 東京 مرحبا 🙂")).toBe("web-1 größe 東京 مرحبا 🙂");
  });
  it("bounds the length", () => {
    expect(visibleText("n".repeat(5_000))).toHaveLength(1_001);
  });
});

describe("numbers and times", () => {
  it("names quantities", () => {
    expect(formatQuantity(1, "file")).toBe("1 file");
    expect(formatQuantity(12_345, "flow")).toBe("12,345 flows");
    expect(formatQuantity(1n, "entry", "entries")).toBe("1 entry");
  });
  it("scales bytes and rates", () => {
    expect(formatBytes(1_536)).toBe("1.5 KiB");
    expect(formatRate(0.4)).toBe("0.4/s");
    expect(formatRate(1_412.4)).toBe("1,412/s");
  });
  it("counts down to zero and not below", () => {
    expect(formatCountdown(59_001)).toBe("01:00");
    expect(formatCountdown(1)).toBe("00:01");
    expect(formatCountdown(-5)).toBe("00:00");
    expect(formatCountdown(3_600_000)).toBe("1:00:00");
  });
  it("ages", () => {
    expect([500, 2_000, 61_000, 7_200_000, 172_800_000].map(formatAge)).toEqual([
      "under 1 s",
      "2 s",
      "1 min",
      "2 h",
      "2 d",
    ]);
  });
});

describe("protocols, ports and keys", () => {
  it("decodes ICMP type and code from the port", () => {
    expect(formatProtocolPort(1, 8 << 8)).toBe("ICMP echo");
    expect(formatProtocolPort(1, (3 << 8) | 4)).toBe("ICMP type 3 code 4");
    expect(formatProtocolPort(58, 128 << 8)).toBe("ICMPv6 echo");
    expect(formatProtocolPort(6, 443)).toBe("TCP 443");
    expect(formatProtocolPort(47, 0)).toBe("IP 47");
  });
  it("writes ranges", () => {
    expect(formatPortRange(0, 0, 0)).toBe("any protocol and port");
    expect(formatPortRange(0, 0, 65_535, [6, 47])).toBe("any protocol but TCP, IP 47");
    expect(formatPortRange(6, 0, 65_535)).toBe("TCP any port");
    expect(formatPortRange(17, 8000, 8100)).toBe("UDP 8000–8100");
    expect(formatAddressPort("2001:db8::1", 443)).toBe("[2001:db8::1]:443");
    expect(shortKey("NetworkPolicy/default/web")).toBe("default/web");
  });
});
