/** Installing, upgrading, rolling back and removing agents on a machine with its own sshd, sudo, accounts and units. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QuestionKind } from "@wardline/api/wardline/console/v1/fleet";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { installOnHost, rollBackOnHost } from "@wardline/main/backend/lifecycle/install";
import { AgentPackage } from "@wardline/main/backend/lifecycle/manifest";
import { uninstallFromHost } from "@wardline/main/backend/lifecycle/uninstall";
import { type NewQuestion, NOBODY } from "@wardline/main/backend/questions/questions";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ACCOUNT_PASSWORD, type Account } from "../fleet/accounts.ts";
import { Fleet, fleetProblem } from "../fleet/fleet.ts";
import { skipReason } from "../harness.ts";
import { AgentPackages } from "./agent-packages.ts";
import { AGENT, failureOf, LifecycleLab, Progress } from "./lifecycle-lab.ts";

const problem = fleetProblem();
const NO_OPTIONS = { force: false, operators: [], admins: [] };
const UNITS = ["wardline-agent.service", "wardline-boot.service"];

describe.skipIf(problem !== null)(`the agent's life on a host${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let lab: LifecycleLab;
  let directory: string;
  let packages: AgentPackages;
  let first: AgentPackage;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "wardline-lifecycle-"));
    packages = new AgentPackages(directory);
    first = packages.make({ version: "1.0.0" });
    fleet = await Fleet.start({ hosts: [{ name: "bare-1", agent: "none" }] });
    lab = new LifecycleLab(fleet, fleet.host("bare-1"));
  }, 240_000);
  afterEach(async () => {
    lab.asker = NOBODY;
    if (!lab.exists(AGENT) && !lab.hasGroup("wardline")) return;
    await uninstallFromHost(lab.ports(first), lab.host("root"), false, new Progress());
  });
  afterAll(async () => {
    await fleet?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 240_000);

  async function install(agentPackage: AgentPackage, options = {}, account: Account = "root"): Promise<Progress> {
    const progress = new Progress();
    await installOnHost(lab.ports(agentPackage), lab.host(account), { ...NO_OPTIONS, ...options }, progress);
    return progress;
  }

  it("is put into place step by step, by a login that sudo asks nothing", async () => {
    const progress = await install(first, {}, "deploy");
    expect(progress.names).toEqual([
      ...["connect", "platform", "privilege", "upload", "verify", "groups", "install", "handshake"],
    ]);
    expect(progress.text("verify")).toContain('1.0.0 signed by the release key "test"');
    expect(progress.text("handshake")).toBe("1.0.0 (b1) answers, enforcing generation 7 as before");
    expect([lab.owner("/usr/lib/wardline"), lab.owner(AGENT)]).toEqual(["0:0 755", "0:0 755"]);
    for (const unit of UNITS) {
      const path = `/etc/systemd/system/${unit}`;
      expect(lab.owner(path)).toBe("0:0 644");
      expect((await lab.machine.systemctl("is-enabled", unit)).stdout).toBe("enabled\n");
    }
    expect([lab.members("wardline"), lab.members("wardline-operators"), lab.members("wardline-admins")]).toEqual([
      ["deploy"],
      ["deploy"],
      [],
    ]);
    expect([lab.exists("/home/deploy/.wardline-upload"), lab.exists("/usr/lib/wardline/staged")]).toEqual([
      false,
      false,
    ]);

    const pid = await lab.agentPid();
    const again = await install(first, {}, "deploy");
    expect(again.names).toEqual(["connect", "platform", "privilege", "handshake"]);
    expect(await lab.agentPid()).toBe(pid);
    const forced = await install(first, { force: true }, "deploy");
    expect(forced.names).toContain("install");
    expect(await lab.agentPid()).not.toBe(pid);
  });

  it("gives roles to the accounts that were named, and changes nothing when one does not exist", async () => {
    const failure = await failureOf(install(first, { operators: ["operator"], admins: ["nobody-there"] }));
    expect(failure).toMatchObject({ code: ErrorCode.NOT_FOUND });
    expect(failure.message).toContain("nobody-there");
    expect([lab.hasGroup("wardline"), lab.exists(AGENT)]).toEqual([false, false]);
    await install(first, { operators: ["operator"], admins: ["admin", "maintainer"] });
    expect(lab.members("wardline")).toEqual(["operator", "admin", "maintainer"]);
    expect(lab.members("wardline-admins")).toEqual(["admin", "maintainer"]);
    await install(first, { operators: ["viewer"] });
    expect(lab.members("wardline-operators")).toEqual(["operator", "viewer"]);
  });

  it("asks for the password of sudo, and again when it was wrong", async () => {
    const asked: NewQuestion[] = [];
    const answers = ["wrong", "with\nline", ACCOUNT_PASSWORD];
    lab.asker = {
      ask: async (question) => {
        asked.push(question);
        return [answers[asked.length - 1] ?? ""];
      },
    };
    await install(first, {}, "maintainer");
    expect(asked.map(({ kind, keepAs }) => [kind, keepAs])).toEqual(
      Array(3).fill([QuestionKind.SUDO_PASSWORD, "sudo:id-bare-1"]),
    );
    expect(asked[1]?.instruction).toContain("did not accept");
    expect(await lab.version()).toBe("1.0.0");
    expect(lab.members("wardline-operators")).toEqual(["maintainer"]);
  });

  it("is put into place where sudo runs commands on a terminal of their own, and says so where it demands one", async () => {
    const rules = lab.machine.path("/etc/sudoers.d/terminal");
    lab.asker = { ask: async () => [ACCOUNT_PASSWORD] };
    try {
      writeFileSync(rules, "Defaults use_pty\n", { mode: 0o440 });
      await install(first, {}, "maintainer");
      expect(await lab.version()).toBe("1.0.0");
      writeFileSync(rules, "Defaults requiretty\n", { mode: 0o440 });
      const failure = await failureOf(install(first, { force: true }, "maintainer"));
      expect(failure.message).toContain("sudo wants a terminal there");
    } finally {
      rmSync(rules, { force: true });
    }
  });

  it("explains what would give root, and changes nothing without it", async () => {
    const declined = await failureOf(install(first, {}, "maintainer"));
    expect(declined).toMatchObject({ code: ErrorCode.PERMISSION_DENIED, retryable: true });
    expect(declined.hint).toContain("maintainer ALL=(root) NOPASSWD: ALL");
    lab.asker = { ask: async () => [ACCOUNT_PASSWORD] };
    const notAllowed = await failureOf(install(first, {}, "stranger"));
    expect(notAllowed.message).toContain("sudo does not allow this user");
    lab.asker = { ask: async () => ["wrong"] };
    expect((await failureOf(install(first, {}, "maintainer"))).message).toContain("none of the passwords");
    expect([lab.exists("/usr/lib/wardline"), lab.exists("/home/maintainer/.wardline-upload")]).toEqual([false, false]);
  });

  it("is upgraded in place, keeps the version of before, and goes back to it and forth again", async () => {
    await install(first);
    const none = await failureOf(rollBackOnHost(lab.ports(first), lab.host("root"), new Progress()));
    expect(none.code).toBe(ErrorCode.NOT_FOUND);
    const second = packages.make({ version: "1.1.0" });
    const progress = await install(second);
    expect(progress.text("install")).toContain("what is enforced stays enforced");
    expect([await lab.version(), await lab.version(`${AGENT}.previous`)]).toEqual(["1.1.0", "1.0.0"]);
    for (const [now, before] of [
      ["1.0.0", "1.1.0"],
      ["1.1.0", "1.0.0"],
    ]) {
      const back = new Progress();
      await rollBackOnHost(lab.ports(first), lab.host("root"), back);
      expect(back.text("handshake")).toContain(`${now} (b1) answers`);
      expect([await lab.version(), await lab.version(`${AGENT}.previous`)]).toEqual([now, before]);
    }
    const older = await failureOf(install(first));
    expect(older).toMatchObject({ code: ErrorCode.VERSION_MISMATCH });
    expect(older.message).toContain("newer than the 1.0.0 (b1) of this console");
    await install(first, { force: true });
    expect(await lab.version()).toBe("1.0.0");
  });

  it("comes back when the new version does not come up, is another than it says, or lost what was enforced", async () => {
    await install(first);
    for (const [behaviour, reason] of [
      ["ends", "Its last words: wardline-agent: the kernel said no"],
      ["other-build", "1.1.0 (elsewhere) answers instead of 1.1.0 (b1)"],
      ["forgetful", "it enforced generation 7 before and 0 after"],
    ] as const) {
      const failure = await failureOf(install(packages.make({ version: "1.1.0", behaviour })));
      expect(failure.code).toBe(ErrorCode.HOST_UNSUPPORTED);
      expect(failure.message).toContain("The version of before is back and runs.");
      expect(failure.message).toContain(reason);
      expect(await lab.version()).toBe("1.0.0");
    }
    expect((await install(first)).names).not.toContain("install");
    expect(await lab.agentPid()).toBeGreaterThan(0);
  });

  it("leaves nothing of a first version that does not come up, and never starts one that cannot run", async () => {
    const failure = await failureOf(install(packages.make({ version: "1.0.0", behaviour: "ends" })));
    expect(failure.message).toContain("was removed again");
    const broken = await failureOf(install(packages.make({ version: "1.0.0", behaviour: "broken" })));
    expect(broken).toMatchObject({ code: ErrorCode.HOST_UNSUPPORTED });
    expect(broken.message).toContain("required file not found");
    expect([AGENT, ...UNITS.map((unit) => `/etc/systemd/system/${unit}`)].map((path) => lab.exists(path))).toEqual([
      ...[false, false, false],
    ]);
    await expect(failureOf(install(packages.make({ version: "1.0.0", behaviour: "forgetful" })))).rejects.toThrow();
  });

  it("is not exchanged or removed while a generation waits for confirmation", async () => {
    await install(first);
    const pid = await lab.agentPid();
    writeFileSync(lab.machine.path("/var/lib/wardline/pending"), "");
    const second = packages.make({ version: "1.1.0" });
    for (const attempt of [
      () => install(second),
      () => rollBackOnHost(lab.ports(first), lab.host("root"), new Progress()),
      () => uninstallFromHost(lab.ports(first), lab.host("root"), false, new Progress()),
    ]) {
      expect(await failureOf(attempt())).toMatchObject({ code: ErrorCode.CONFIRMATION_PENDING });
    }
    expect(await lab.agentPid()).toBe(pid);
    // A login that may not ask the agent learns it from the agent that is to be removed, and runs on.
    const refused = await failureOf(uninstallFromHost(lab.ports(first), lab.host("deploy"), false, new Progress()));
    expect(refused.message).toContain("refused to be removed and runs on");
    expect([await lab.version(), (await lab.agentPid()) > 0]).toEqual(["1.0.0", true]);
    rmSync(lab.machine.path("/var/lib/wardline/pending"));
  });

  it("is not sent when the files are not those that were signed", async () => {
    const place = join(directory, "package-tampered");
    cpSync(join(directory, "package-1"), place, { recursive: true });
    writeFileSync(join(place, "wardline-agent-linux-x64.gz"), "other bytes");
    const failure = await failureOf(install(new AgentPackage(packages.location(place))));
    expect(failure).toMatchObject({ code: ErrorCode.MANIFEST_INVALID });
    expect(lab.exists("/usr/lib/wardline")).toBe(false);
    const manifest = readFileSync(join(place, "manifest.json"), "utf8");
    writeFileSync(join(place, "manifest.json"), manifest.replace("1.0.0", "9.0.0"));
    const opened = lab.connector.opened;
    expect((await failureOf(install(new AgentPackage(packages.location(place))))).message).toContain(
      "was changed after",
    );
    const missing = await failureOf(install(new AgentPackage(packages.location(join(directory, "nowhere")))));
    expect(missing.hint).toContain("npm run build:agent");
    expect(lab.connector.opened).toBe(opened);
  });

  it("does not take over a lock, and is not installed twice at once", async () => {
    const both = await Promise.allSettled([install(first), install(first, { force: true }, "deploy")]);
    const failures = both.flatMap((each) => (each.status === "rejected" ? [each.reason as Failure] : []));
    for (const failure of failures) expect(failure).toMatchObject({ retryable: true });
    expect(failures.length).toBeLessThan(2);
    expect((await install(first)).text("handshake")).toContain("1.0.0");
  });

  it("is removed whole, or with records and groups kept", async () => {
    await install(first, { admins: ["admin"] });
    writeFileSync(lab.machine.path("/var/lib/wardline/records"), "");
    await uninstallFromHost(lab.ports(first), lab.host("deploy"), true, new Progress());
    expect([lab.exists(AGENT), lab.exists("/usr/lib/wardline"), lab.hasGroup("wardline")]).toEqual([
      false,
      false,
      true,
    ]);
    expect(lab.exists("/var/lib/wardline/records")).toBe(true);
    expect((await lab.machine.systemctl("is-enabled", UNITS[0]!)).stdout).toBe("not-found\n");
    await install(first);
    const progress = new Progress();
    await uninstallFromHost(lab.ports(first), lab.host("root"), false, progress);
    expect(progress.text("done")).toBe("Removed");
    expect(["wardline", "wardline-operators", "wardline-admins"].map((group) => lab.hasGroup(group))).toEqual([
      ...[false, false, false],
    ]);
    expect(lab.exists("/var/lib/wardline/records")).toBe(false);
  });

  it("gets the group of Yggdrasil's socket only where there is one, and loses it with it", async () => {
    const dropIn = "/etc/systemd/system/wardline-agent.service.d/wardline-yggdrasil.conf";
    const kept = "/usr/lib/sysusers.d/wardline-yggdrasil.conf";
    await install(first);
    expect([dropIn, kept].map((path) => lab.exists(path))).toEqual([false, false]);
    expect((await lab.machine.run(["groupadd", "--system", "yggdrasil"])).exitCode).toBe(0);
    try {
      await install(packages.make({ version: "1.1.0" }));
      expect(readFileSync(lab.machine.path(dropIn), "utf8")).toBe("[Service]\nSupplementaryGroups=yggdrasil\n");
      expect(readFileSync(lab.machine.path(kept), "utf8")).toBe("g yggdrasil -\n");
      expect(await lab.agentPid()).toBeGreaterThan(0);
      await lab.machine.run(["groupdel", "yggdrasil"]);
      await install(packages.make({ version: "1.2.0" }));
      expect([dropIn, kept].map((path) => lab.exists(path))).toEqual([false, false]);
      await lab.machine.run(["groupadd", "--system", "yggdrasil"]);
      await install(packages.make({ version: "1.3.0" }));
      await uninstallFromHost(lab.ports(first), lab.host("root"), false, new Progress());
      expect([dropIn, dropIn.replace(/\/[^/]*$/, ""), kept].map((path) => lab.exists(path))).toEqual([
        false,
        false,
        false,
      ]);
      expect(lab.hasGroup("yggdrasil"), "it is the package's").toBe(true);
    } finally {
      await lab.machine.run(["groupdel", "yggdrasil"]);
    }
  });

  it("is canceled between steps, and installed by the next try", async () => {
    const canceled = new Failure({ code: ErrorCode.CANCELED, message: "Canceled." });
    for (const step of ["platform", "upload", "verify"]) {
      const progress = new Progress();
      progress.onStep = (name) => name === step && progress.cancel(canceled);
      const attempt = installOnHost(lab.ports(first), lab.host("deploy"), NO_OPTIONS, progress);
      expect({ step, code: (await failureOf(attempt)).code }).toEqual({ step, code: ErrorCode.CANCELED });
      expect(lab.exists(AGENT)).toBe(false);
    }
    await install(first, {}, "deploy");
    expect(await lab.version()).toBe("1.0.0");
  });
});
