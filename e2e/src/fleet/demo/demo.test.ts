/** `npm run demo` as a person starts it: hosts that answer, a workspace, a console, and nothing left afterwards. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { otherUserProblem } from "@wardline/helper/testing/otherUser";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { etcdProblem } from "../../cluster/etcd-member.ts";
import { skipReason } from "../../harness.ts";
import { PROGRAM, Program } from "../../processes.ts";
import { FLEETS_DIRECTORY } from "../claim.ts";
import { fleetProblem } from "../fleet.ts";
import { runToEnd } from "../run-program.ts";

const problem = fleetProblem();
const SCRIPT = fileURLToPath(new URL("../../../../scripts/demo.mjs", import.meta.url));
const LIMIT_MS = 240_000;

describe.skipIf(problem !== null)(`npm run demo${skipReason(problem)}`, { timeout: LIMIT_MS }, () => {
  let demo: Program;
  let home = "";

  beforeAll(async () => {
    const args = [SCRIPT, "--no-open"];
    demo = new Program({ name: "demo", command: process.execPath, args, cwd: dirname(SCRIPT) });
    await demo.waitFor("Wardline is running", LIMIT_MS);
    home = dirname(dirname(/ssh -F (\S+) /.exec(demo.stdout)?.[1] ?? ""));
  }, LIMIT_MS);
  afterAll(() => demo?.stop("SIGINT"), LIMIT_MS);

  const wardline = (...words: string[]) =>
    runToEnd(PROGRAM, [...words, "--state-dir", join(home, "state"), "--format", "json"], {
      environment: { ...process.env, HOME: home },
    });

  it("has three hosts that the console reaches, and a login for a person", async () => {
    expect(demo.stdout).toMatch(/http:\/\/127\.0\.0\.1:\d+/);
    const { stdout } = await wardline("host", "list");
    for (const name of ["web-1", "api-1", "db-1"]) expect(stdout).toContain(`"${name}"`);
    expect(stdout.match(/"(REACHABILITY_)?CONNECTED"/gi)?.length).toBeGreaterThanOrEqual(3);
    const login = await runToEnd("ssh", ["-F", join(home, ".ssh/config"), "viewer@db-1", "hostname"]);
    expect(login.stdout).toBe("db-1\n");
  });

  it("has policies that hold their own tests", async () => {
    // The machine of the console is not asked: its agent is another one for this command.
    const { stdout } = await wardline("policy", "plan");
    expect(stdout).toContain("shop.yaml");
    expect(stdout).toMatch(/"heldCount": *2\b/);
  });

  it.skipIf(etcdProblem() !== null)("has a cluster of the three, which nobody follows yet", async () => {
    expect(demo.stdout).toContain("The three form a cluster");
    const { stdout, stderr } = await wardline("cluster", "status", "--host", "web-1");
    expect(stderr).toBe("");
    for (const name of ["web-1", "api-1", "db-1"]) expect(stdout).toContain(`"${name}"`);
    expect(stdout.match(/"(MEMBER_STATE_)?HEALTHY"/gi)?.length).toBeGreaterThanOrEqual(3);
    expect(stdout).not.toMatch(/"setNumber": *"?[1-9]/);
  });

  it("leaves nothing after Ctrl-C", async () => {
    const slot = home.split("/").at(-2);
    await demo.stop("SIGINT");
    expect(demo.stdout).toContain("Removing the hosts");
    expect(readdirSync(FLEETS_DIRECTORY)).not.toContain(slot);
    expect(existsSync(`/sys/class/net/wlfleet${slot}`)).toBe(false);
  });

  const otherUser = otherUserProblem();
  it.skipIf(otherUser !== null)(`says what is missing to somebody without root${skipReason(otherUser)}`, async () => {
    const words = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, SCRIPT];
    const { exitCode, stderr } = await runToEnd("setpriv", words);
    expect(stderr).toMatch(/needs root/);
    expect(exitCode).toBe(3);
  });
});
