/** ~/.ssh/config, held against what `ssh -G` makes of the same files. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseJumps } from "./addresses.ts";
import { listCandidates } from "./candidates.ts";
import { loadConfig } from "./config-files.ts";
import { matchesPattern, matchesPatternList } from "./patterns.ts";
import { resolveTarget, type SshTarget, type TargetEnvironment } from "./target.ts";

let home: string;
const hasSsh = spawnSync("ssh", ["-V"]).status === 0;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "wardline-ssh-config-"));
  mkdirSync(join(home, ".ssh"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function write(name: string, text: string, mode = 0o600): string {
  const path = join(home, ".ssh", name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function environment(more: Partial<TargetEnvironment> = {}): TargetEnvironment {
  const localUser = userInfo().username;
  return {
    homeDir: home,
    systemConfigPath: null,
    environment: {},
    localUser,
    localHostName: "console.example",
    ...more,
  };
}

async function target(address: string, more: object = {}, surroundings = environment()): Promise<SshTarget> {
  const config = await loadConfig(surroundings);
  return resolveTarget(config, create(HostAccessSchema, { address, ...more }), surroundings);
}

async function refusal(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error(`no failure but ${String(error)}`);
  expect(error.code).toBe(ErrorCode.INVALID_ARGUMENT);
  return error;
}

describe("~/.ssh/config", () => {
  it("takes the first value of each keyword, collects keys, and follows Include where it stands", async () => {
    write("config.d", "");
    mkdirSync(join(home, ".ssh", "conf.d"));
    write("conf.d/10-web.conf", "Host web\n  User deploy\n  IdentityFile ~/.ssh/web\n");
    write("conf.d/20-all.conf", "Host *\n  ServerAliveInterval 1m\n");
    write(
      "config",
      [
        "Include conf.d/*.conf",
        'Host web "db one"',
        "  HostName=%h.example.com",
        "  User nobody",
        "  Port 2222 # behind the gate",
        "  IdentityFile /keys/second",
        "Host *",
        "  Port 22",
        "  UserKnownHostsFile ~/.ssh/known_%k /etc/more",
        "  IdentitiesOnly yes",
      ].join("\n"),
    );
    expect(await target("web")).toMatchObject({
      hostName: "web.example.com",
      port: 2222,
      user: "deploy",
      aliveIntervalMs: 60_000,
      identitiesOnly: true,
      identityFiles: [
        { path: join(home, ".ssh/web"), isChosen: true },
        { path: "/keys/second", isChosen: true },
      ],
      userKnownHostsFiles: [join(home, ".ssh/known_web"), "/etc/more"],
    });
  });

  it("lets what the person chose for the host come before every file", async () => {
    write("config", "Host web\n User deploy\n Port 2222\n IdentityFile /keys/config\n ProxyJump gate\n");
    const chosen = await target("web", { user: "ada", port: 22, identityFiles: ["~/mine"], jump: "none" });
    expect(chosen).toMatchObject({ user: "ada", port: 22, jumps: [] });
    expect(chosen.identityFiles.map(({ path }) => path)).toEqual([join(home, "mine"), "/keys/config"]);
    expect((await target("web")).jumps).toEqual([{ address: "gate", port: 0, user: "" }]);
  });

  it("never runs Match exec: the block is left out, also when it is negated, and said so", async () => {
    const witness = join(home, "ran");
    const exec = `exec "touch ${witness}"`;
    write("config", `Match ${exec}\n User a\nMatch host web !${exec}\n User b\nMatch host web\n User c\n`);
    const { user, notes } = await target("web");
    expect(user).toBe("c");
    expect(notes.join()).toMatch(/config:1: "Match exec" is never run here/);
    expect(spawnSync("test", ["-e", witness]).status).toBe(1);
  });

  it("names what only the system's ssh follows, with its place", async () => {
    write(
      "config",
      "Host web\n ProxyCommand nc %h %p\n ProxyJump gate\n Ciphers aes128-ctr\nHost db\n ProxyJump gate\n ProxyCommand nc %h %p\n",
    );
    const web = await target("web");
    expect(web.systemReasons.map((reason) => reason.replace(home, "~"))).toEqual([
      "ProxyCommand (~/.ssh/config:2)",
      "Ciphers (~/.ssh/config:4)",
    ]);
    expect(web.jumps).toEqual([]);
    expect(await target("db")).toMatchObject({ systemReasons: [], jumps: [{ address: "gate", port: 0, user: "" }] });
    expect((await target("web", { jump: "other" })).systemReasons).toHaveLength(1);
  });

  it("finds the agent: the environment, another socket, a variable, none", async () => {
    const surroundings = environment({ environment: { SSH_AUTH_SOCK: "/run/agent", MINE: "/run/mine" } });
    const agent = async (line: string) => {
      write("config", line);
      return (await target("web", {}, surroundings)).agentSocket;
    };
    expect(await agent("")).toBe("/run/agent");
    expect(await agent("IdentityAgent SSH_AUTH_SOCK")).toBe("/run/agent");
    expect(await agent("IdentityAgent none")).toBeNull();
    expect(await agent("IdentityAgent $MINE")).toBe("/run/mine");
    expect(await agent(`IdentityAgent "~/a b"`)).toBe(join(home, "a b"));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of ssh_config
    expect(await agent("IdentityAgent ${MINE}/x")).toBe("/run/mine/x");
  });

  it("refuses files that others may write, what is no file, and what is too large", async () => {
    write("config", "Host *\n", 0o666);
    expect((await refusal(target("web"))).message).toMatch(/may be written by others/);
    write("config", `# ${"x".repeat(1024 * 1024)}\n`);
    expect((await refusal(target("web"))).message).toMatch(/more than 1 MiB/);
    rmSync(join(home, ".ssh/config"));
    execFileSync("mkfifo", [join(home, ".ssh/config")]);
    expect((await refusal(target("web"))).message).toMatch(/is not a file/);
    rmSync(join(home, ".ssh/config"));
    mkdirSync(join(home, ".ssh/config"));
    expect((await refusal(target("web"))).message).toMatch(/is not a file/);
    rmSync(join(home, ".ssh/config"), { recursive: true });
    expect((await target("web")).hostName).toBe("web");
  });

  it("ends where files include themselves, and where too many are included", async () => {
    write("config", "Include config\nUser ada\n");
    const config = await loadConfig(environment());
    expect(config.problems.join()).toMatch(/nested more than 16 deep/);
    expect((await target("web")).user).toBe("ada");
    write("loop", "Include loop loop\n");
    write("config", "Include loop\nUser ada\n");
    expect((await loadConfig(environment())).problems.join()).toMatch(/More than 128 files/);
  });

  it("says which line cannot be read, and which value", async () => {
    write("config", 'Host "web\nUser ada\n');
    expect((await loadConfig(environment())).problems.join()).toMatch(/config:1: a quote is not closed/);
    for (const line of [
      "Port 0",
      "Port 99999",
      "Port ssh",
      "ConnectTimeout soon",
      "IdentityFile ~/%Q",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of ssh_config
      "IdentityFile ${NOT_SET}",
    ]) {
      write("config", line);
      expect((await refusal(target("web"))).message, line).not.toBe("");
    }
  });

  it.each(["-oProxyCommand=touch", "a b", "a;b", "$(a)", "`a`", "a\nb", "a\u202eb", "", "x".repeat(254), "a'b", "{a}"])(
    "refuses %j as an address, and in HostName and ProxyJump",
    async (address) => {
      await refusal(target(address));
      if (address === "" || address.includes("\n") || address.length > 250) return;
      write("config", `Host web\n HostName "${address}"\n`);
      if (address !== "a'b") await refusal(target("web"));
      await refusal(target("db", { jump: address }));
    },
  );

  it.each(["-ladmin", "a b", "a;b", "a\\", "a\nb", "a'b"])("refuses %j as a user", async (user) => {
    await refusal(target("web", { user }));
  });

  it("reads ways with machines in between as ssh does", () => {
    expect(parseJumps("ada@gate:2222,[2001:db8::1]:22,ssh://bob@last,2001:db8::2")).toEqual([
      { user: "ada", address: "gate", port: 2222 },
      { user: "", address: "2001:db8::1", port: 22 },
      { user: "bob", address: "last", port: 0 },
      { user: "", address: "2001:db8::2", port: 0 },
    ]);
    expect(parseJumps("none")).toEqual([]);
    expect(() => parseJumps("a,b,c,d,e,f,g,h,i")).toThrow(/at most 8/);
  });

  it("lists the machines that it names, each once, with its place", async () => {
    mkdirSync(join(home, ".ssh", "conf.d"));
    write("conf.d/a.conf", "Host inner\n");
    write("config", 'Host web db *.example.com !no ?\n\nHost db "-bad"\nInclude conf.d/*\nMatch host x\n');
    const { candidates, problems } = await listCandidates(environment());
    expect(candidates.map(({ alias, origin }) => [alias, origin])).toEqual([
      ["web", "~/.ssh/config:1"],
      ["db", "~/.ssh/config:1"],
      ["inner", "~/.ssh/conf.d/a.conf:1"],
    ]);
    expect(candidates[0]?.access?.address).toBe("web");
    expect(problems.join()).toMatch(/config:3: The address "-bad"/);
    chmodSync(join(home, ".ssh/config"), 0o666);
    expect((await listCandidates(environment())).problems.join()).toMatch(/may be written by others/);
    symlinkSync("/nonexistent", join(home, ".ssh/dangling"));
    expect(await listCandidates(environment({ userConfigPath: join(home, ".ssh/dangling") }))).toEqual({
      candidates: [],
      problems: [],
    });
  });
});

describe.skipIf(!hasSsh)(`the same files in ssh -G${hasSsh ? "" : " (needs ssh)"}`, () => {
  const hosts = ["web", "db", "web.example.com", "web1", "10.0.0.1"];
  const pattern = fc.constantFrom("web", "db", "*", "web*", "*.example.com", "!db", "!web*", "web?", "10.0.0.*", "WEB");
  const option = fc.oneof(
    fc.constantFrom("User ada", "user=bob", 'User "carol"', "User dave # her", "Port 2222", "Port = 2200", "port 22"),
    fc.constantFrom("HostName web.example.com", "HostName %h.example.com", "HostName 10.0.0.1", "HostName db"),
    fc.constantFrom("IdentityFile /keys/one", "IdentityFile /keys/two", 'IdentityFile "/keys/a b"'),
    fc.constantFrom("ProxyJump gate", "ProxyJump ada@gate:2222,other", "ProxyJump none", "HostKeyAlias alias"),
    fc.constantFrom("ConnectTimeout 5", "ConnectTimeout 1m30", "ServerAliveInterval 7", "ServerAliveCountMax 9"),
    fc.constantFrom("IdentitiesOnly yes", "IdentitiesOnly no", "HashKnownHosts yes", "UserKnownHostsFile /k/a /k/b"),
    fc.constantFrom(
      "Include extra",
      "Include nothing-there",
      "# User eve",
      "",
      "AddressFamily inet6",
      "AddressFamily any",
    ),
  );
  const criterion = fc.oneof(
    fc.constantFrom("host web*", "host db,10.*", "originalhost web", "user ada", "!user ada", "user bob,carol"),
    fc.constantFrom("!host db", "localuser root", "!localuser root", "final", "!final", "!originalhost web,db"),
  );
  const head = fc.oneof(
    fc.array(pattern, { minLength: 1, maxLength: 3 }).map((patterns) => `Host ${patterns.join(" ")}`),
    fc.array(criterion, { minLength: 1, maxLength: 2 }).map((criteria) => `Match ${criteria.join(" ")}`),
    fc.constant("Match all"),
  );
  const block = fc
    .tuple(head, fc.array(option, { maxLength: 4 }))
    .map(([first, rest]) => [first, ...rest].join("\n  "));
  const file = fc.tuple(fc.array(option, { maxLength: 2 }), fc.array(block, { maxLength: 5 }));

  it("mean the same to both", async () => {
    await fc.assert(
      fc.asyncProperty(file, file, fc.constantFrom(...hosts), async (main, extra, host) => {
        const text = ([loose, blocks]: [string[], string[]]) => `${[...loose, ...blocks].join("\n")}\n`;
        write("extra", text(extra).replaceAll(/Include .*/g, ""));
        // ssh takes a relative Include from the home directory of the account, which is not ours.
        const path = write("config", text(main).replaceAll("Include extra", `Include ${join(home, ".ssh/extra")}`));
        expect(ours(await target(host))).toEqual(theirs(path, host));
      }),
      { numRuns: 60, verbose: false },
    );
  });

  function ours(found: SshTarget) {
    return {
      hostname: found.hostName,
      port: String(found.port),
      user: found.user,
      identityfile: found.identityFiles.filter(({ isChosen }) => isChosen).map(({ path }) => path),
      jump: found.jumps
        .map(({ user, address, port }) => `${user && `${user}@`}${address}${port ? `:${port}` : ""}`)
        .join(),
      hostkeyalias: found.hostKeyAlias,
      connecttimeout: found.connectTimeoutMs / 1000,
      alive: [found.aliveIntervalMs / 1000, found.aliveCount],
      identitiesonly: found.identitiesOnly,
      hashknownhosts: found.hashesKnownHosts,
      addressfamily: found.addressFamily,
      known: found.userKnownHostsFiles.some((path) => path.startsWith("/k/")) ? found.userKnownHostsFiles : [],
    };
  }

  function theirs(path: string, host: string) {
    const lines = execFileSync("ssh", ["-G", "-F", path, host], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })
      .split("\n")
      .map((line) => /^(\S+) ?(.*)$/.exec(line) ?? []);
    const all = (keyword: string) => lines.filter(([, name]) => name === keyword).map(([, , value = ""]) => value);
    const one = (keyword: string) => all(keyword)[0] ?? "";
    const jump = one("proxyjump");
    const known = one("userknownhostsfile");
    return {
      hostname: one("hostname"),
      port: one("port"),
      user: one("user"),
      identityfile: all("identityfile").filter((key) => key.startsWith("/keys/")),
      jump: jump === "none" ? "" : jump,
      hostkeyalias: one("hostkeyalias"),
      // Absent, they print what they wait by themselves; ours are shorter.
      connecttimeout: one("connecttimeout") === "none" ? 10 : Number(one("connecttimeout")),
      alive: [
        one("serveraliveinterval") === "0" ? 15 : Number(one("serveraliveinterval")),
        Number(one("serveralivecountmax")),
      ],
      identitiesonly: one("identitiesonly") === "yes",
      hashknownhosts: one("hashknownhosts") === "yes",
      addressfamily: { any: 0, inet: 4, inet6: 6 }[one("addressfamily")],
      known: known.startsWith("/k/") ? known.split(" ") : [],
    };
  }
});

describe("patterns", () => {
  it("match as ssh_config(5) says", () => {
    expect(matchesPattern("*.example.?om", "a.b.example.com")).toBe(true);
    expect(matchesPattern("a*b*c", "aXXbYY")).toBe(false);
    expect(matchesPatternList(["*", "!db"], "db")).toBe(false);
    expect(matchesPatternList(["!web"], "db")).toBe(false);
  });

  it("take no longer for spiteful ones", () => {
    const startedAt = process.cpuUsage().user;
    expect(matchesPattern(`${"*a".repeat(2000)}b`, "a".repeat(4000))).toBe(false);
    expect(process.cpuUsage().user - startedAt).toBeLessThan(2_000_000);
  });
});
