/** The test fleet itself: what it gives, what it leaves alone, and what is left when it is gone. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BackendKind, Role } from "@wardline/api/wardline/v1/host";
import { CGROUP_HOOKS } from "@wardline/helper/enforce/ebpf/layout";
import { attachedPrograms } from "@wardline/helper/linux/bpf/attached";
import { findCgroup2Mount } from "@wardline/helper/linux/mounts";
import { connectAgent } from "@wardline/helper/testing/agentClient";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import type { Account } from "./accounts.ts";
import { networkPrefix, overlapsFleet } from "./addresses.ts";
import { claimedPlaces, FLEETS_DIRECTORY, sweepDeadFleets } from "./claim.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { type FleetHost, inodeOf } from "./fleet-host.ts";
import { consoleInterface, fleetCgroup, namespacePrefix } from "./names.ts";
import { type ProgramResult, runToEnd } from "./run-program.ts";

const problem = fleetProblem();
const ORPHAN_MAIN = fileURLToPath(new URL("./orphan-main.ts", import.meta.url));
/** Files of this machine that hosts have versions of their own of. */
const OWN_FILES = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hostname", "/usr/bin/systemctl"];
const OWN_PLACES = ["/usr/lib/wardline", "/etc/systemd/system/wardline-agent.service", "/home/operator"];

const fingerprint = (): string[] =>
  OWN_FILES.map((path) => {
    const { mtimeMs, size, ino } = statSync(path);
    return `${path} ${mtimeMs} ${size} ${ino}`;
  });

describe.skipIf(problem !== null)(`the test fleet${skipReason(problem)}`, { timeout: 240_000 }, () => {
  const before = problem === null ? fingerprint() : [];
  let fleet: Fleet;
  let web: FleetHost;
  let bare: FleetHost;

  beforeAll(async () => {
    fleet = await Fleet.start({
      hosts: [
        { name: "web-1", stateSizeBytes: 512 * 1024 },
        { name: "db-1", agentOptions: ["--log-level", "warn"] },
        { name: "bare-1", agent: "none", hasPasswords: true },
      ],
    });
    web = fleet.host("web-1");
    bare = fleet.host("bare-1");
  }, 240_000);
  afterAll(() => fleet?.close(), 240_000);

  const ssh = (host: FleetHost, account: Account, command: string): Promise<ProgramResult> =>
    runToEnd("ssh", [...fleet.home.sshArguments(host, account), command]);

  it("runs each host with name, address, control group and agent of its own", async () => {
    for (const host of [web, fleet.host("db-1")]) {
      const { agent, close } = connectAgent(host.agentSocket);
      const { status } = await agent.getStatus({});
      close();
      expect(status?.info).toMatchObject({ name: host.name, backend: BackendKind.EBPF });
      expect(status?.info?.addresses).toContain(host.address[4]);
    }
    const said = await ssh(web, "root", "hostname; stat -c %i /sys/fs/cgroup; ip -4 -j route show default");
    expect(said.stdout.trim().split("\n")).toEqual(["web-1", String(inodeOf(web.place.cgroup)), "[]"]);
    expect(existsSync(bare.path("/usr/lib/wardline"))).toBe(false);
  });

  it("attaches nothing to this machine's own control groups", () => {
    const root = findCgroup2Mount() ?? "";
    expect(attachedPrograms(root, CGROUP_HOOKS).filter(({ name }) => name.startsWith("wardline"))).toEqual([]);
    expect(attachedPrograms(web.place.cgroup, CGROUP_HOOKS).length).toBeGreaterThan(0);
  });

  it("has accounts for each role, and sudo with and without a password", async () => {
    const groups = async (account: Account) => (await ssh(web, account, "id -Gn")).stdout.trim();
    expect(await groups("operator")).toBe("operator wardline wardline-operators");
    expect(await groups("viewer")).toBe("viewer wardline");
    expect(await groups("stranger")).toBe("stranger");
    expect((await ssh(bare, "deploy", "sudo -n id -u")).stdout).toBe("0\n");
    expect(await ssh(bare, "maintainer", "sudo -n id -u")).toMatchObject({ stdout: "", exitCode: 1 });
    expect((await ssh(bare, "maintainer", "echo fleet | sudo -S -p '' id -u")).stdout).toBe("0\n");
    expect((await ssh(bare, "stranger", "sudo -n id -u")).exitCode).toBe(1);
  });

  it("tells the agent which account calls over SSH", async () => {
    const { agent, close } = connectAgent(web.agentSocket);
    expect((await agent.handshake({ apiMin: 1, apiMax: 100 })).role).toBe(Role.ADMIN);
    close();
    expect((await ssh(web, "stranger", "test -w /run/wardline/agent.sock")).exitCode).toBe(1);
    expect((await ssh(web, "viewer", "test -w /run/wardline/agent.sock")).exitCode).toBe(0);
  });

  it("starts, enables and restarts services as their unit files say", async () => {
    expect((await ssh(web, "viewer", "systemctl is-active wardline-agent")).stdout).toBe("active\n");
    expect((await ssh(web, "viewer", "systemctl stop wardline-agent")).stderr).toContain("authentication required");
    expect(
      (await ssh(web, "root", "systemctl enable wardline-agent; systemctl is-enabled wardline-agent")).stdout,
    ).toBe("enabled\n");
    const killed = await web.killAgent();
    await expect.poll(() => web.mainPid("wardline-agent.service"), { timeout: 40_000 }).not.toBeOneOf([0, killed]);
    await web.agentAnswers();
    expect(await web.systemctl("start", "nothing.service")).toMatchObject({ exitCode: 5 });
  });

  it("reads drop-ins after a daemon-reload and not before", async () => {
    const folder = "/etc/systemd/system/wardline-agent.service.d";
    await ssh(
      web,
      "root",
      `mkdir -p ${folder}; printf '[Service]\\nExecStart=\\nExecStart=/bin/sleep 77\\n' > ${folder}/x.conf`,
    );
    const command = async () => readFileSync(`/proc/${await web.mainPid("wardline-agent.service")}/cmdline`, "utf8");
    await ssh(web, "root", "systemctl restart wardline-agent");
    // Between two processes there is none, and a new one is not yet what it will be.
    await expect.poll(command, { timeout: 40_000 }).toMatch(/helper\/src\/main\.ts|programs\/agent\.js/);
    await ssh(web, "root", "systemctl daemon-reload; systemctl restart wardline-agent");
    await expect.poll(command, { timeout: 40_000 }).toBe("/bin/sleep\u000077\u0000");
    await ssh(web, "root", `rm ${folder}/x.conf; systemctl daemon-reload; systemctl restart wardline-agent`);
    await web.agentAnswers();
  });

  it("pulls the cable, stops sshd, changes the key and fills the disk", async () => {
    const quick = ["-o", "ConnectTimeout=1"];
    const reach = async () =>
      (await runToEnd("ssh", [...quick, ...fleet.home.sshArguments(web, "viewer"), "true"])).stderr;
    expect(await reach()).toBe("");
    await web.linkDown();
    expect(await reach()).toMatch(/timed out|No route/);
    await web.linkUp();
    await web.stopSshd();
    expect(await reach()).toContain("Connection refused");
    await web.startSshd();
    await web.newHostKey();
    expect(await reach()).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
    fleet.home.trustAll();
    expect(await reach()).toBe("");
    web.fillDisk();
    expect(() => writeFileSync(web.path("/var/lib/wardline/more"), "x".repeat(9000))).toThrow("ENOSPC");
    web.freeDisk();
  });

  it("lets hosts talk to each other and to the console, and changes no file of this machine", async () => {
    const [server, client] = [await fleet.host("db-1").startPeer(), await web.startPeer()];
    await server.listenTcp(5432);
    expect(await client.connectTcp("c", fleet.host("db-1").address[4], 5432, 4000)).toBe("ok");
    expect(await client.connectTcp("d", fleet.host("db-1").address[6], 5432, 4000)).toBe("ok");
    await ssh(
      bare,
      "root",
      "useradd nobody2; mkdir -p /usr/lib/wardline; echo x > /usr/lib/wardline/x; rm /etc/passwd",
    );
    expect(existsSync(bare.path("/etc/passwd"))).toBe(false);
    expect(fingerprint()).toEqual(before);
    for (const path of OWN_PLACES) expect(existsSync(path), path).toBe(false);
  });
});

describe.skipIf(problem !== null)(`what is left of a fleet${skipReason(problem)}`, { timeout: 240_000 }, () => {
  const leftOf = (slot: number): string[] => [
    ...(existsSync(fleetCgroup(slot)) ? [fleetCgroup(slot)] : []),
    ...readdirSync("/run/netns").filter((name) => name.startsWith(namespacePrefix(slot))),
    ...(existsSync(`/sys/class/net/${consoleInterface(slot)}`) ? [consoleInterface(slot)] : []),
  ];

  /** The process that has the place of this name; `null` = nobody, or one that comes or goes. */
  function ownerOf(name: string): number | null {
    try {
      return JSON.parse(readFileSync(join(FLEETS_DIRECTORY, name, "owner.json"), "utf8")).pid;
    } catch {
      return null;
    }
  }

  it("is nothing after its owner was killed and the next one came", async () => {
    const args = ["--disable-warning=ExperimentalWarning", ORPHAN_MAIN];
    const owner = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const line = await new Promise<string>((resolve) => createInterface({ input: owner.stdout }).once("line", resolve));
    const { directory, pid } = JSON.parse(line) as { directory: string; pid: number };
    const slot = Number(directory.split("/").at(-1));
    expect(leftOf(slot)).not.toEqual([]);
    owner.kill("SIGKILL");
    // Its processes go at once, without anybody who sweeps.
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 40_000 }).toBe(false);
    // Another fleet that starts meanwhile may have swept it before, or be at it.
    await sweepDeadFleets();
    // It may even have taken the place: then it found it empty.
    const left = () => {
      if (claimedPlaces().some((place) => place.slot === slot)) return [];
      return [...leftOf(slot), ...(existsSync(directory) ? [directory] : [])];
    };
    await expect.poll(left, { timeout: 40_000 }).toEqual([]);
  });

  it("is nothing after a host that cannot start", async () => {
    const ownFleets = () => readdirSync(FLEETS_DIRECTORY).filter((name) => ownerOf(name) === process.pid);
    const agentOptions = ["--backend", "no-such-backend"];
    await expect(Fleet.start({ hosts: [{ name: "web-1", agentOptions }] })).rejects.toThrow("no-such-backend");
    expect(ownFleets()).toEqual([]);
  });
});

describe("addresses of fleets", () => {
  it("stay clear of networks that the machine knows", () => {
    expect(networkPrefix(3)[4]).toBe("10.231.3.0/24");
    for (const taken of ["10.231.3.7", "10.231.3.128/25", "10.0.0.0/8", "10/8", "10.231.0.0/16"])
      expect(overlapsFleet(3, [taken]), taken).toBe(true);
    for (const free of ["10.231.4.0/24", "192.168.0.0/16", "10.230.0.0/16", "broadcast"])
      expect(overlapsFleet(3, [free]), free).toBe(false);
  });
});
