/** What a console says and does when the way to a host is not what it was. Real sshd, real backend. */
import { writeFileSync } from "node:fs";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { Role } from "@wardline/api/wardline/v1/host";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { FleetConsole, isConnected } from "./fleet-console.ts";
import type { FleetHost } from "./fleet-host.ts";

const problem = fleetProblem();

describe.skipIf(problem !== null)(`the way to a host fails${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let web: FleetHost;
  let tester: FleetConsole | null = null;

  beforeAll(async () => {
    fleet = await Fleet.start({ hosts: [{ name: "web-1" }] });
    web = fleet.host("web-1");
  }, 240_000);
  afterEach(async () => {
    await tester?.close();
    tester = null;
  });
  afterAll(() => fleet?.close(), 240_000);

  it("connects as the account that logs in", async () => {
    tester = new FleetConsole(fleet);
    await tester.connect([web], "viewer");
    expect(await tester.host("web-1")).toMatchObject({ name: "web-1", role: Role.VIEWER, actor: "viewer (2003)" });
  });

  it("stops at a host key that is not the known one, and says both", async () => {
    tester = new FleetConsole(fleet);
    await tester.connect([web]);
    await web.newHostKey();
    const stopped = await tester.until("web-1", ({ reachability }) => reachability === Reachability.HOST_KEY);
    expect(stopped.problem).toMatchObject({ code: ErrorCode.HOST_KEY_CHANGED });
    expect(web.log("ssh.service").split("\n").at(-2)).not.toMatch(/Accepted/);
    fleet.home.trustAll();
    await tester.retry("web-1");
    await tester.until("web-1", isConnected);
  });

  it("does not take an unknown key on trust", async () => {
    fleet.home.trustNobody();
    tester = new FleetConsole(fleet);
    await tester.add([web]);
    const stopped = await tester.until("web-1", ({ reachability }) => reachability === Reachability.HOST_KEY);
    expect(stopped.problem).toMatchObject({ code: ErrorCode.HOST_KEY_UNKNOWN });
    fleet.home.trustAll();
  });

  it("names the account whose key a host refuses, and does not try for ever", async () => {
    const path = web.path("/home/operator/.ssh/authorized_keys");
    writeFileSync(path, fleet.home.keys.viewer.publicText);
    tester = new FleetConsole(fleet);
    await tester.add([web]);
    const refused = await tester.until("web-1", ({ reachability }) => reachability === Reachability.AUTHENTICATION);
    expect(refused.problem).toMatchObject({ code: ErrorCode.SSH_AUTHENTICATION_FAILED });
    expect(refused.problem?.message).toContain("operator");
    writeFileSync(path, fleet.home.keys.operator.publicText);
    await tester.retry("web-1");
    await tester.until("web-1", isConnected);
  });

  it("says that the account has no role where it may not open the socket", async () => {
    tester = new FleetConsole(fleet);
    await tester.add([web], "stranger");
    const denied = await tester.until("web-1", (host) => host.reachability === Reachability.PERMISSION_DENIED);
    expect(denied.problem).toMatchObject({ code: ErrorCode.PERMISSION_DENIED });
  });

  it("tells a stopped agent from a stopped sshd, and finds both again by itself", async () => {
    tester = new FleetConsole(fleet);
    await tester.connect([web]);
    await web.stopAgent();
    const without = await tester.until("web-1", ({ reachability }) => reachability === Reachability.NO_AGENT);
    expect(without.problem).toMatchObject({ code: ErrorCode.AGENT_MISSING });
    expect(without.status?.info?.name).toBe("web-1");
    await web.stopSshd();
    await tester.retry("web-1");
    const closed = await tester.until("web-1", ({ reachability }) => reachability === Reachability.UNREACHABLE);
    expect(closed.problem).toMatchObject({ code: ErrorCode.HOST_UNREACHABLE });
    await web.startSshd();
    await web.startAgent();
    await tester.until("web-1", isConnected);
  });
});
