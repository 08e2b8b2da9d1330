import { create } from "@bufbuild/protobuf";
import { Emergency, type HostStatus, HostStatusSchema } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { enforcementDifference } from "./agent-check.ts";
import { decide } from "./decision.ts";
import type { VerifiedManifest } from "./manifest.ts";
import { capabilitiesOf, obstaclesOf, platformToWire, readFacts } from "./platform.ts";
import { ScriptAnswer } from "./script.ts";
import { compareVersions, parseIdentity } from "./versions.ts";

const DEBIAN: Readonly<Record<string, readonly string[]>> = {
  uid: ["1000"],
  user: ["ada"],
  system: ["Linux"],
  release: ["6.1.0-42-amd64"],
  machine: ["x86_64"],
  libc: ["glibc 2.36"],
  home_kb: ["9000000"],
  lib_kb: ["9000000"],
  library: ["libbpf.so.1", "libatomic.so.1", "libstdc++.so.6"],
  program: ["gzip", "sha256sum", "sudo", "systemctl", "flock"],
  manager: ["systemd"],
  cgroup2: ["/sys/fs/cgroup"],
  bpffs: ["/sys/fs/bpf"],
  sudo: ["free"],
};

const factsOf = (change: Readonly<Record<string, readonly string[]>> = {}) =>
  readFacts(new ScriptAnswer(new Map(Object.entries({ ...DEBIAN, ...change })), 0, ""));

const digest = "ab".repeat(32);
const MANIFEST: VerifiedManifest = {
  version: "1.2.0",
  build: "b1",
  agents: [
    {
      platform: "linux-x64",
      sizeBytes: 119_000_000,
      sha256: digest,
      packed: { name: "a.gz", sizeBytes: 43_000_000, sha256: digest },
    },
  ],
  services: [],
  signedBy: "a test",
};

function failureOf(body: () => unknown): Failure {
  try {
    body();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("a platform", () => {
  it("is told in the words of the check", () => {
    expect(obstaclesOf(factsOf())).toEqual([]);
    expect(platformToWire(factsOf())).toMatchObject({
      operatingSystem: "Linux",
      architecture: "x64",
      serviceManager: "systemd",
      privilege: "sudo",
      obstacles: [],
    });
  });

  it.each([
    ["system", { system: ["FreeBSD"] }, "runs on Linux and macOS, not on FreeBSD"],
    ["musl", { libc: [""] }, "GNU C library; this system has another one"],
    ["old glibc", { libc: ["glibc 2.27"] }, "is 2.27; the agent needs 2.28 or newer"],
    ["no systemd", { manager: [] }, "systemd does not run there"],
    ["no libatomic", { library: ["libstdc++.so.6"] }, "install the package libatomic1"],
    ["no sudo", { sudo: [] }, "ada is not root there and there is no sudo"],
    ["no gzip", { program: ["sha256sum"] }, "The program gzip is missing"],
    [
      "a package",
      { agent: ["/usr/lib/wardline/wardline-agent"], package: ["wardline"] },
      "belongs to the package wardline",
    ],
  ])("that cannot take an agent says why: %s", (_, change, words) => {
    const obstacles = obstaclesOf(factsOf(change as Record<string, readonly string[]>));
    expect(obstacles.length).toBe(1);
    expect(obstacles[0]).toContain(words);
    const failure = failureOf(() => decide(MANIFEST, factsOf(change as Record<string, readonly string[]>), null, true));
    expect(failure.code).toBe(ErrorCode.HOST_UNSUPPORTED);
  });

  it("without libbpf can take one, and says which package is missing", () => {
    const facts = factsOf({ library: ["libatomic.so.1", "libstdc++.so.6"] });
    expect(obstaclesOf(facts)).toEqual([]);
    const libbpf = capabilitiesOf(facts).find(({ name }) => name === "libbpf");
    expect(libbpf).toMatchObject({ available: false, detail: expect.stringContaining("libbpf1 (Debian, Ubuntu") });
  });

  it("is taken from a stranger: what is not as it can be counts as not said", () => {
    const facts = factsOf({
      system: ["Linux; rm -rf /"],
      release: ["\u001b[31m"],
      uid: ["0x0"],
      libc: ["glibc 2.999999"],
      home_kb: ["-1"],
      sudo: ["yes"],
      agent: ["/usr/lib/wardline/wardline-agent"],
      agent_version: ['{"version":"1.0.0<b>","build":"x"}'],
      agent_sha: ["zz"],
    });
    expect(facts).toMatchObject({ kernelRelease: "", userId: null, homeFreeKb: null, sudo: "none" });
    expect(facts.system).toBe("");
    expect(facts.agent).toMatchObject({ identity: null, sha256: "" });
  });
});

describe("what there is to do", () => {
  const there = (version: string, sha256 = "00".repeat(32)) =>
    factsOf({
      agent: ["/usr/lib/wardline/wardline-agent"],
      agent_sha: [sha256],
      agent_version: [JSON.stringify({ version, build: "b1" })],
      unit: ["ActiveState=active", "UnitFileState=enabled"],
    });

  it("is nothing where this very file runs, unless it is forced", () => {
    expect(decide(MANIFEST, there("1.2.0", digest), null, false)).toMatchObject({ isNeeded: false, isUpgrade: true });
    expect(decide(MANIFEST, there("1.2.0", digest), null, true).isNeeded).toBe(true);
    expect(decide(MANIFEST, there("1.2.0"), null, false).isNeeded).toBe(true);
    expect(decide(MANIFEST, factsOf(), null, false)).toMatchObject({ isNeeded: true, isUpgrade: false });
  });

  it("is refused for a newer one, another platform and too little space", () => {
    const newer = failureOf(() => decide(MANIFEST, there("1.10.0"), null, false));
    expect(newer).toMatchObject({ code: ErrorCode.VERSION_MISMATCH });
    expect(decide(MANIFEST, there("1.10.0"), null, true).isNeeded).toBe(true);
    const arm = failureOf(() => decide(MANIFEST, factsOf({ machine: ["aarch64"] }), null, false));
    expect(arm.message).toContain("is linux-arm64, and this console has the agent for linux-x64 only");
    const home = failureOf(() => decide(MANIFEST, factsOf({ home_kb: ["1000"] }), null, false));
    expect([home.code, home.message]).toEqual([
      ErrorCode.DISK_FULL,
      expect.stringContaining("the home directory: 61 MB"),
    ]);
    const full = failureOf(() => decide(MANIFEST, factsOf({ lib_kb: ["50000"] }), null, false));
    expect(full.message).toContain("49 MB are free");
  });
});

describe("versions", () => {
  it("are ordered as semver has it", () => {
    const ordered = [
      "0.9.9",
      "1.0.0-alpha",
      "1.0.0-alpha.1",
      "1.0.0-beta.2",
      "1.0.0-beta.11",
      "1.0.0",
      "1.0.1",
      "1.10.0",
    ];
    for (const [index, version] of ordered.entries()) {
      for (const [other, against] of ordered.entries()) {
        expect(Math.sign(compareVersions(version, against))).toBe(Math.sign(index - other));
      }
    }
  });

  it("are read from what the agent prints, and from nothing else", () => {
    expect(parseIdentity('{"version":"0.1.0","build":"abc","node":"v26"}')).toEqual({ version: "0.1.0", build: "abc" });
    for (const text of [
      "",
      "null",
      "[]",
      '{"version":1}',
      '{"version":"1.0.0","build":""}',
      '{"version":"1.0","build":"a"}',
    ]) {
      expect(parseIdentity(text)).toBeNull();
    }
  });
});

describe("what is enforced", () => {
  const status = (change: Partial<HostStatus> = {}, number = 7n) =>
    Object.assign(
      create(HostStatusSchema, {
        attached: true,
        enforced: { number, programDigest: `d${number}`, mode: EnforcementMode.ENFORCE },
        emergency: Emergency.NONE,
        quarantines: [{ subjectKey: "db" }],
      }),
      change,
    );

  it("may be newer after an exchange, and nothing else may differ", () => {
    expect(enforcementDifference(status(), status())).toBeNull();
    expect(enforcementDifference(status(), status({}, 8n))).toBeNull();
    expect(enforcementDifference(status(), status({}, 6n))).toContain("generation 7 before and 6 after");
    expect(enforcementDifference(status(), status({ attached: false }))).toContain("not now");
    expect(enforcementDifference(status(), status({ emergency: Emergency.OPEN }))).toContain("was off and is open");
    expect(enforcementDifference(status(), status({ quarantines: [] }))).toContain("quarantine");
    const changed = status();
    changed.enforced!.programDigest = "other";
    expect(enforcementDifference(status(), changed)).toContain("is not what it was before");
  });
});
