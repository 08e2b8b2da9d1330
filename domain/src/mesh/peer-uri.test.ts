import { describe, expect, it } from "vitest";
import { interfaceNameProblem, parsePeerUri, shownUri } from "./peer-uri.ts";

const shownOf = (text: string) => {
  const result = parsePeerUri(text);
  return result.ok ? result.peer.shown : result.problem;
};

describe("parsePeerUri", () => {
  it.each([
    ["tcp://192.0.2.1:443", "tcp://192.0.2.1:443"],
    ["TLS://Example.ORG.:0443", "tls://example.org:443"],
    ["quic://[2001:DB8::0:1]:9?password=secret&key=aa", "quic://[2001:db8::1]:9"],
    ["ws://a:80/way?password=x", "ws://a:80/way"],
    ["wss://a_b.example:65535/", "wss://a_b.example:65535/"],
  ])("takes %s", (text, shown) => {
    expect(shownOf(text)).toBe(shown);
    expect(parsePeerUri(text)).toMatchObject({ ok: true, peer: { uri: text } });
  });

  it.each([
    ["", "missing"],
    ["192.0.2.1:443", "scheme://"],
    ["tcp://192.0.2.1", "scheme://"],
    ["socks://proxy:1080/192.0.2.1:443", "one of tcp"],
    ["unix:///run/x.sock", "one of tcp"],
    ["tcp://me:secret@192.0.2.1:443", "scheme://"],
    ["tcp://192.0.2.1:0", "1 to 65535"],
    ["tcp://192.0.2.1:65536", "1 to 65535"],
    ["tcp://192.0.2.999:1", "neither an address nor a name"],
    ["tcp://192.0.2.01:1", "neither an address nor a name"],
    ["tcp://[192.0.2.1]:1", "neither an address nor a name"],
    ["tcp://[::g]:1", "scheme://"],
    ["tcp://[1:2]:1", "neither an address nor a name"],
    ["tcp://2001:db8::1:1", "scheme://"],
    ["tcp://[fe80::1%eth0]:1", "scheme://"],
    ["tcp://a..b:1", "neither an address nor a name"],
    ["tcp://-a:1", "neither an address nor a name"],
    ["tcp://a:1/way", "Only ws and wss"],
    ["tcp://a:1#x", "scheme://"],
    ["tcp://a b:1", "blank"],
    ["tcp://a:1?x=\n", "blank"],
    ["tcp://аpple.com:1", "blank"],
    [`tcp://${"a".repeat(600)}:1`, "longer than 512"],
    ["$(reboot)://a:1", "scheme://"],
  ])("refuses %s", (text, problem) => {
    expect(shownOf(text)).toContain(problem);
  });
});

describe("shownUri", () => {
  it.each([
    ["tcp://192.0.2.1:443?password=secret", "tcp://192.0.2.1:443"],
    ["socks://me:secret@proxy:1080/192.0.2.1:443?password=x", "socks://proxy:1080/192.0.2.1:443"],
    ["tcp://a@b@192.0.2.1:443", "tcp://192.0.2.1:443"],
    ["tls://[fe80::1%25eth0]:4000?a#b", "tls://[fe80::1%25eth0]:4000"],
    ["me:secret@host", "host"],
    ["unix:///run/a.sock?password=x", "unix:///run/a.sock"],
    ["tcp://a\u202e\n:1?x", "tcp://a��:1"],
    ["", ""],
  ])("shows %j", (text, shown) => {
    expect(shownUri(text)).toBe(shown);
    expect(shownUri(shown)).toBe(shown);
  });

  it("is bounded", () => {
    expect(shownUri("x".repeat(100_000))).toHaveLength(512);
  });
});

it("knows names that interfaces can have", () => {
  expect(["", "eth0", "br-1.2", "veth@if5"].map(interfaceNameProblem)).toEqual(["", "", "", ""]);
  for (const name of ["..", "a b", "a/b", "a".repeat(16), "ü"]) expect(interfaceNameProblem(name)).not.toBe("");
});
