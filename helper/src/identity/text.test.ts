/** What comes as text from people, peers and disks: addresses, PEM, addresses of callers. */
import { ErrorCode } from "@wardline/domain/errors";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DerError, readObjectIdentifier, readValues } from "./der.ts";
import { formatIpAddress, parsePeerAddress } from "./peerAddress.ts";
import { decodePem, encodePem } from "./pem.ts";
import { subjectOfAddress, TryLimiter } from "./tryLimiter.ts";

describe("parsePeerAddress", () => {
  it.each([
    ["10.0.0.1:7443", "10.0.0.1", 7443],
    ["[fd00::1]:1", "fd00::1", 1],
    ["127.0.0.1:65535", "127.0.0.1", 65535],
  ])("reads %s", (text, ipAddress, port) => {
    expect(parsePeerAddress(text)).toEqual({ ipAddress, port });
  });

  it.each([
    "",
    "10.0.0.1",
    "10.0.0.1:0",
    "10.0.0.1:65536",
    "10.0.0.256:1",
    "0.0.0.0:1",
    "[::]:1",
    "fd00::1:7443",
    "[fe80::1%eth0]:1",
    "host.example:1",
    "10.0.0.1:1\n",
    " 10.0.0.1:1",
    "[10.0.0.1]:1",
    "10.0.0.1:1e3",
    `${"1".repeat(100)}:1`,
  ])("refuses %j", (text) => {
    expect(() => parsePeerAddress(text)).toThrow(expect.objectContaining({ code: ErrorCode.INVALID_ARGUMENT }));
  });

  it("writes the bytes of certificates as they are read again", () => {
    expect(formatIpAddress(new Uint8Array([10, 0, 0, 1]))).toBe("10.0.0.1");
    expect(formatIpAddress(new Uint8Array([0xfd, ...Array.from({ length: 14 }, () => 0), 1]))).toBe(
      "fd00:0:0:0:0:0:0:1",
    );
  });
});

describe("PEM", () => {
  it("comes back byte for byte", () => {
    const blocks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(blocks, (certificates) => {
        expect(decodePem(encodePem(certificates)).map((der) => [...der])).toEqual(certificates.map((der) => [...der]));
      }),
    );
  });

  const one = encodePem([new Uint8Array([1, 2, 3])]);
  it.each([
    ["nothing", ""],
    ["another block", one.replaceAll("CERTIFICATE", "PRIVATE KEY")],
    ["text between", `${one}hello\n${one}`],
    ["text behind", `${one}hello`],
    ["a block cut short", one.slice(0, -10)],
    ["too many", one.repeat(17)],
    ["too much", one + " ".repeat(300_000) + one],
  ])("refuses %s", (_what, text) => {
    expect(() => decodePem(text)).toThrow(expect.objectContaining({ code: ErrorCode.IDENTITY_REFUSED }));
  });

  it("takes no longer than its length for hostile text", () => {
    const began = process.cpuUsage();
    for (const text of [
      `-----BEGIN CERTIFICATE-----\n${"A".repeat(250_000)}`,
      `-----BEGIN CERTIFICATE-----${"\n".repeat(250_000)}`,
      "-----BEGIN CERTIFICATE-----\n".repeat(9_000),
    ]) {
      expect(() => decodePem(text)).toThrow();
    }
    const { user } = process.cpuUsage(began);
    expect(user / 1000).toBeLessThan(2_000);
  });
});

describe("DER", () => {
  it("gives values or says that there are none, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          const values = readValues(bytes);
          expect(values.reduce((sum, { encoded }) => sum + encoded.length, 0)).toBe(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
    );
  });

  it.each([
    ["a length of its own choice", [0x30, 0x80, 0, 0]],
    ["a length that is longer than it has to be", [0x04, 0x81, 0x01, 0]],
    ["a value that is cut short", [0x04, 0x05, 1]],
    ["a length of four bytes", [0x04, 0x84, 0, 0, 0, 1, 0]],
    ["a tag of several bytes", [0x1f, 0x81, 0x01, 0]],
  ])("refuses %s", (_what, bytes) => {
    expect(() => readValues(new Uint8Array(bytes))).toThrow(DerError);
  });

  it("reads object identifiers", () => {
    expect(readObjectIdentifier(new Uint8Array([0x55, 0x1d, 0x11]))).toBe("2.5.29.17");
    expect(readObjectIdentifier(new Uint8Array([0x2b, 6, 1, 5, 5, 7, 3, 2]))).toBe("1.3.6.1.5.5.7.3.2");
    expect(() => readObjectIdentifier(new Uint8Array([0x55, 0x9d]))).toThrow(DerError);
  });
});

describe("TryLimiter", () => {
  it("counts per subject and together, within a minute, in bounded memory", () => {
    let nowMs = 0;
    const limiter = new TryLimiter({ perSubject: 2, together: 5_000 }, () => nowMs);
    limiter.count("a");
    expect(limiter.mayTry("a")).toBe(true);
    limiter.count("a");
    expect([limiter.mayTry("a"), limiter.mayTry("b")]).toEqual([false, true]);
    for (let count = 0; count < 4_998; count += 1) limiter.count(`x${count}`);
    expect(limiter.mayTry("b")).toBe(false);
    nowMs = 60_000;
    expect([limiter.mayTry("a"), limiter.mayTry("b")]).toEqual([true, true]);
  });

  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["fd00:1:2:3:4:5:6:7", "fd00:1:2:3::/64"],
    ["fd00::1", "fd00:0:0:0::/64"],
    ["fd00:1:2:3::9", "fd00:1:2:3::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
  ])("counts %s as %s", (address, subject) => {
    expect(subjectOfAddress(address)).toBe(subject);
  });
});
