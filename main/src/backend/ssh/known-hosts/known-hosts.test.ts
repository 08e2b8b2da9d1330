/** known_hosts, fingerprints and pictures, held against ssh-keygen. */
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { keyBits, keyTypeName, type PublicKey, randomArtOf, readPublicKeyText } from "../keys/public-key.ts";
import { generateKey, keygen } from "../testing/real-sshd.ts";
import { checkHostKey, hostKeyAlgorithms } from "./host-key-check.ts";
import { judge, type KnownHostsPlace, lookUp } from "./known-hosts.ts";
import { hashedName, parseKnownHosts } from "./known-hosts-file.ts";
import { appendKnownHost } from "./trust-file.ts";

const TYPES = ["ed25519", "rsa", "ecdsa"] as const;
const hasKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined;

describe.skipIf(!hasKeygen)(`known hosts${hasKeygen ? "" : " (needs ssh-keygen)"}`, () => {
  let dir: string;
  let file: string;
  const keys = new Map<string, PublicKey>();

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "wardline-known-hosts-"));
    for (const type of TYPES) {
      generateKey(join(dir, type), type);
      keys.set(type, readPublicKeyText(readFileSync(join(dir, `${type}.pub`), "utf8").split(" ")[1]!)!);
    }
  });
  beforeEach(() => {
    file = join(dir, "known_hosts");
    rmSync(file, { force: true });
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  function place(more: Partial<KnownHostsPlace> = {}): KnownHostsPlace {
    return {
      hostName: "web",
      port: 22,
      hostKeyAlias: "",
      userKnownHostsFiles: [file],
      globalKnownHostsFiles: [],
      ...more,
    };
  }
  function line(names: string, type = "ed25519", marker = ""): string {
    const key = keys.get(type)!;
    return `${marker}${names} ${key.type} ${key.blob.toString("base64")} a comment\n`;
  }
  const verdict = async (more: Partial<KnownHostsPlace> = {}, type = "ed25519") =>
    judge(await lookUp(place(more)), keys.get(type)!).kind;

  it.each(TYPES)("prints and draws a key as ssh-keygen does (%s)", (type) => {
    const key = keys.get(type)!;
    const [summary, ...art] = keygen("-lv", "-f", join(dir, `${type}.pub`))
      .trimEnd()
      .split("\n");
    expect(`${keyBits(key)} ${key.fingerprint} test (${keyTypeName(key.type)})`).toBe(summary);
    expect(randomArtOf(key).split("\n")).toEqual(art);
  });

  it("draws every key as ssh-keygen does", () => {
    // A public key need not be a point of the curve to be printed: any 32 bytes will do.
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const blob = Buffer.concat([keys.get("ed25519")!.blob.subarray(0, 19), bytes]);
        const key = readPublicKeyText(blob.toString("base64"))!;
        writeFileSync(join(dir, "any.pub"), `${key.type} ${blob.toString("base64")} test\n`);
        const [summary, ...art] = keygen("-lv", "-f", join(dir, "any.pub")).trimEnd().split("\n");
        expect(summary).toContain(key.fingerprint);
        expect(randomArtOf(key).split("\n")).toEqual(art);
      }),
      { numRuns: 15 },
    );
  });

  it("finds the same lines as ssh-keygen -F, plain and hashed", () => {
    const name = fc.constantFrom(
      "web",
      "db",
      "10.0.0.1",
      "[web]:2222",
      "*.example.com",
      "!db",
      "w?b",
      "WEB",
      "[10.0.0.1]:2222",
      "*",
    );
    const names = fc.array(name, { minLength: 1, maxLength: 3 }).map((list) => list.join(","));
    const entry = fc.oneof(
      fc
        .tuple(fc.constantFrom("", "@revoked ", "@cert-authority "), names, fc.constantFrom(...TYPES))
        .map((parts) => line(parts[1], parts[2], parts[0])),
      fc
        .tuple(fc.constantFrom("web", "db", "[web]:2222"), fc.constantFrom(...TYPES))
        .map(([host, type]) => line(hashedName(host, Buffer.alloc(20, host.length)), type)),
      fc.constantFrom("# a comment\n", "\n", "web not-a-type AAAA\n", "@unknown web ssh-rsa AAAA\n", "web\n"),
    );
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 8 }),
        fc.constantFrom("web", "db", "[web]:2222", "a.example.com", "10.0.0.1"),
        (entries, host) => {
          writeFileSync(file, entries.join(""));
          const found = parseKnownHosts(entries.join("")).filter(({ hosts }) => hosts.matches(host));
          const { stdout } = spawnSync("ssh-keygen", ["-F", host, "-f", file], { encoding: "utf8" });
          const theirs = [...stdout.matchAll(/found: line (\d+)(?: (CA|REVOKED))?/g)].map(
            ([, at, marker]) => `${at} ${marker ?? ""}`,
          );
          const marks = { key: "", authority: "CA", revoked: "REVOKED" };
          expect(found.map(({ line: at, marker }) => `${at} ${marks[marker]}`)).toEqual(theirs);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("reads what ssh-keygen -H hashed", async () => {
    writeFileSync(file, line("web") + line("[db]:2222", "rsa"));
    keygen("-H", "-f", file);
    expect(readFileSync(file, "utf8")).not.toMatch(/^(?:web|\[db)/m);
    expect(await verdict()).toBe("trusted");
    expect(await verdict({ hostName: "db", port: 2222 }, "rsa")).toBe("trusted");
    expect(await verdict({ hostName: "db" }, "rsa")).toBe("unknown");
  });

  it("tells known, unknown, changed and revoked apart", async () => {
    expect(await verdict()).toBe("unknown");
    writeFileSync(file, line("web") + line("web", "ecdsa"));
    expect(await verdict()).toBe("trusted");
    expect(await verdict({}, "ecdsa")).toBe("trusted");
    // A key of a type that is not known, where others are: somebody in between could take that way.
    expect(await verdict({}, "rsa")).toBe("changed");
    appendFileSync(file, line("*", "ed25519", "@revoked "));
    expect(await verdict()).toBe("revoked");
  });

  it("looks a port up with its name first, then without, and an alias alone", async () => {
    writeFileSync(file, line("web"));
    expect(await verdict({ port: 2222 })).toBe("trusted");
    appendFileSync(file, line("[web]:2222", "rsa"));
    expect(await verdict({ port: 2222 })).toBe("changed");
    expect(await verdict({ hostKeyAlias: "other" })).toBe("unknown");
    appendFileSync(file, line("other"));
    expect(await verdict({ hostKeyAlias: "other", port: 2222 })).toBe("trusted");
    appendFileSync(file, line("web", "ed25519", "@revoked "));
    expect(await verdict({ port: 2222 })).toBe("revoked");
  });

  it("looks into several files, and does not overlook one that it cannot read", async () => {
    const second = join(dir, "second");
    writeFileSync(second, line("web"));
    const both = { userKnownHostsFiles: [file, second], globalKnownHostsFiles: ["/dev/null"] };
    expect(await verdict(both)).toBe("trusted");
    await expect(lookUp(place({ globalKnownHostsFiles: [dir] }))).rejects.toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
    });
  });

  it("is read again when it changes, and not computed again while it stays", async () => {
    const lines = Array.from({ length: 3000 }, (_, index) =>
      line(hashedName(`host-${index}`, Buffer.alloc(20, index))),
    );
    writeFileSync(file, lines.join(""));
    expect(await verdict({ hostName: "host-2999" })).toBe("trusted");
    const startedAt = process.cpuUsage().user;
    for (let lookup = 0; lookup < 200; lookup++) await verdict({ hostName: "host-2999" });
    // Each would take about 6 ms.
    expect(process.cpuUsage().user - startedAt).toBeLessThan(400_000);
    appendFileSync(file, line("host-2999", "ed25519", "@revoked "));
    expect(await verdict({ hostName: "host-2999" })).toBe("revoked");
  });

  it("asks a machine for the types that are known, before the others", async () => {
    writeFileSync(file, line("web", "rsa"));
    expect(hostKeyAlgorithms(await lookUp(place())).slice(0, 3)).toEqual([
      "rsa-sha2-512",
      "rsa-sha2-256",
      "ssh-ed25519",
    ]);
    expect(hostKeyAlgorithms(await lookUp(place({ hostName: "new" })))[0]).toBe("ssh-ed25519");
    expect(hostKeyAlgorithms(await lookUp(place()))).not.toContain("ssh-rsa");
  });

  it("shows a person both prints, the picture, file and line", async () => {
    writeFileSync(file, `# first\n${line("web", "rsa")}`);
    const failure = checkHostKey(await lookUp(place()), keys.get("ed25519")!, place())!;
    expect(failure.code).toBe(ErrorCode.HOST_KEY_CHANGED);
    expect(failure.message).toContain(keys.get("ed25519")!.fingerprint);
    expect(failure.message).toContain(`${keys.get("rsa")!.fingerprint} (ssh-rsa, ${file}:2)`);
    expect(failure.shown.randomArt.split("\n")).toHaveLength(11);
    const unknown = checkHostKey(
      await lookUp(place({ hostName: "new" })),
      keys.get("rsa")!,
      place({ hostName: "new" }),
    )!;
    expect([unknown.code, unknown.shown.known]).toEqual([ErrorCode.HOST_KEY_UNKNOWN, []]);
  });

  describe("that are added", () => {
    it("are found by ssh-keygen, hashed and plain, behind a line without an end", async () => {
      writeFileSync(file, line("db").trimEnd());
      await appendKnownHost(file, "web", keys.get("ed25519")!, false);
      await appendKnownHost(file, "[hidden]:2222", keys.get("rsa")!, true);
      expect(readFileSync(file, "utf8")).not.toContain("hidden");
      for (const [name, at] of [
        ["db", 1],
        ["web", 2],
        ["[hidden]:2222", 3],
      ]) {
        expect(keygen("-F", String(name), "-f", file)).toContain(`found: line ${at}`);
      }
    });

    it("leave mode and link of the file, and make it for its owner alone where there is none", async () => {
      const real = join(dir, "dotfiles");
      writeFileSync(real, "");
      chmodSync(real, 0o640);
      symlinkSync(real, file);
      await appendKnownHost(file, "web", keys.get("ed25519")!, false);
      expect(lstatSync(file).isSymbolicLink()).toBe(true);
      expect(statSync(real).mode & 0o777).toBe(0o640);
      const fresh = join(dir, "new-home", ".ssh", "known_hosts");
      await appendKnownHost(fresh, "web", keys.get("ed25519")!, false);
      expect([statSync(fresh).mode & 0o777, statSync(join(fresh, "..")).mode & 0o777]).toEqual([0o600, 0o700]);
    });

    it("all stay whole when several are added at once", async () => {
      await Promise.all(
        Array.from({ length: 40 }, (_, index) => appendKnownHost(file, `host-${index}`, keys.get("rsa")!, true)),
      );
      expect(parseKnownHosts(readFileSync(file, "utf8"))).toHaveLength(40);
    });

    it("change nothing when they cannot be written whole", async () => {
      const failure = await appendKnownHost("/dev/full", "web", keys.get("rsa")!, false).catch(
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({ code: ErrorCode.DISK_FULL });
      const none = await appendKnownHost(join(dir, "rsa", "known_hosts"), "web", keys.get("rsa")!, false).catch(
        (error: unknown) => error,
      );
      expect(none).toBeInstanceOf(Failure);
      expect(existsSync(join(dir, "rsa"))).toBe(true);
    });
  });
});

describe("lines that are hostile", () => {
  it("never make a parser fail, and never match", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const text = Buffer.from(bytes).toString("latin1");
        for (const { hosts } of parseKnownHosts(text)) hosts.matches("web");
      }),
    );
    expect(parseKnownHosts(`${"w".repeat(100_000)} ssh-ed25519 AAAA`)).toEqual([]);
    expect(parseKnownHosts("|1|bad ssh-ed25519 AAAA\n|2|a|b ssh-ed25519 AAAA")).toEqual([]);
  });
});
