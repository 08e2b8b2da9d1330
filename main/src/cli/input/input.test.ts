import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UsageError } from "../exit-code.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { readInput, toWorkspaceNames } from "./policy-files.ts";
import { formatPort, formatProtocol, parsePort, portOfFamily } from "./port.ts";

describe("ports", () => {
  it.each([
    ["443/tcp", 4, 6, 443, "443/tcp"],
    ["443", 4, 6, 443, "443/tcp"],
    ["53/UDP", 6, 17, 53, "53/udp"],
    ["0/sctp", 4, 132, 0, "0/sctp"],
    ["icmp", 4, 1, 8 << 8, "8/icmp"],
    ["icmp", 6, 58, 128 << 8, "128/icmpv6"],
    ["8/icmp", 4, 1, 8 << 8, "8/icmp"],
    ["3.4/icmp", 4, 1, (3 << 8) | 4, "3.4/icmp"],
    ["135/icmpv6", 6, 58, 135 << 8, "135/icmpv6"],
  ] as const)("%s over IPv%i", (text, family, protocol, port, shown) => {
    expect(portOfFamily(parsePort(text), family)).toEqual({ protocol, port });
    expect(formatPort(protocol, port)).toBe(shown);
  });

  it.each([
    ["0/icmp", 4, "0/icmp answers 8/icmp."],
    ["14/icmp", 4, "14/icmp answers 13/icmp."],
    ["129/icmp", 6, "129/icmpv6 answers 128/icmpv6."],
  ] as const)("%s over IPv%i opens nothing", (text, family, message) => {
    expect(() => portOfFamily(parsePort(text), family)).toThrow(message);
  });

  it.each(["", "tcp", "443/", "/tcp", "65536/tcp", "256/icmp", "1.256/icmp", "1.2/tcp", "-1/tcp", "443/http", "4 43"])(
    "refuses %j",
    (text) => {
      expect(() => parsePort(text)).toThrow(UsageError);
    },
  );

  it("shows protocols without a name by number", () => {
    expect(formatPort(47, 0)).toBe("protocol 47");
    expect([6, 58, 47].map(formatProtocol)).toEqual(["tcp", "icmpv6", "protocol 47"]);
  });
});

describe("times", () => {
  it.each([
    ["90", 90_000],
    ["90s", 90_000],
    ["2m", 120_000],
    ["1h30m", 5_400_000],
    ["1d", 86_400_000],
  ])("%s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "m", "2 m", "1.5h", "-1s", "2w", "99999999999"])("refuses %j", (text) => {
    expect(() => parseDuration(text)).toThrow(UsageError);
  });

  it("are said in words", () => {
    expect([0, 400, 59_500, 60_000, 125_000].map(formatDuration)).toEqual([
      "0 s",
      "1 s",
      "1 min",
      "1 min",
      "2 min 5 s",
    ]);
  });
});

describe("policy files", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "wardline-input-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const write = (name: string, content: string | Uint8Array) => {
    mkdirSync(join(dir, name, ".."), { recursive: true });
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };

  it("of a folder: policies only, in order, without hidden ones and without following links to folders", async () => {
    write("b.yml", "b");
    write("a/x.yaml", "x");
    write("a/notes.md", "no");
    write(".git/c.yaml", "no");
    symlinkSync(dir, join(dir, "a", "loop"));
    symlinkSync(join(dir, "b.yml"), join(dir, "c.json"));
    const { files } = await readInput([dir]);
    expect(files.map((file) => file.path)).toEqual(["a/x.yaml", "b.yml", "c.json"].map((name) => join(dir, name)));
  });

  it("named twice are read once", async () => {
    const path = write("a.yaml", "a");
    expect((await readInput([path, path])).files).toHaveLength(1);
  });

  it("that are not text are diagnostics of their own and keep no other file out", async () => {
    const binary = write(
      "bad.yaml",
      new Uint8Array(512).map((_, index) => index % 7),
    );
    const { files, refused } = await readInput([binary, write("good.yaml", "a: 1")]);
    expect(files).toHaveLength(1);
    expect(refused).toEqual([
      expect.objectContaining({ severity: "error", source: expect.objectContaining({ file: binary }) }),
    ]);
  });

  it("that do not exist, and folders without any, are wrong usage", async () => {
    await expect(readInput([join(dir, "absent.yaml")])).rejects.toThrow(/There is no file or folder/);
    await expect(readInput([dir])).rejects.toThrow(UsageError);
  });

  it("that are far too large are refused without being opened, and the others are read", async () => {
    const huge = write("huge.yaml", "");
    truncateSync(huge, 100 * 1024 * 1024 * 1024);
    const before = process.memoryUsage().rss;
    const { files, refused } = await readInput([huge, write("small.yaml", "a: 1")]);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    expect(files.map(({ text }) => text)).toEqual(["a: 1"]);
    expect(refused).toEqual([expect.objectContaining({ code: "WL109" })]);
  });

  it("that never end are refused at the limit", async () => {
    const refusal = await readInput(["/dev/zero"]).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Failure);
    expect((refusal as Failure).code).toBe(ErrorCode.TOO_LARGE);
  });

  it("get names below the folder that all share", () => {
    const named = (paths: string[]) =>
      toWorkspaceNames(paths.map((path) => ({ path, text: "" }))).map(({ path }) => path);
    expect(named(["/x/p/a.yaml", "/x/p/sub/b.yaml"])).toEqual(["a.yaml", "sub/b.yaml"]);
    expect(named(["/x/p/a.yaml", "/x/pq/a.yaml"])).toEqual(["p/a.yaml", "pq/a.yaml"]);
    expect(named(["/a.yaml", "/b/a.yaml"])).toEqual(["a.yaml", "b/a.yaml"]);
    expect(named(["/x/net.policy"])).toEqual(["net.policy.yaml"]);
  });
});
