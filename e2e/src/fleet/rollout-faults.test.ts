/** A staged roll-out whose console, or one of whose hosts, is lost in the middle. Real sshd, real agents, real backend. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { RolloutHostState, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { FleetConsole, isConnected } from "./fleet-console.ts";
import { describeHosts, openOnly } from "./policies.ts";

const problem = fleetProblem();
const KILLED_MAIN = fileURLToPath(new URL("./killed-console-main.ts", import.meta.url));
const NAMES = ["web-1", "web-2"] as const;

describe.skipIf(problem !== null)(`a roll-out breaks off${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let tester: FleetConsole;

  beforeAll(async () => {
    fleet = await Fleet.start({ hosts: NAMES.map((name) => ({ name })) });
    tester = new FleetConsole(fleet);
    await tester.connect(fleet.hosts);
  }, 240_000);
  afterAll(async () => {
    await tester?.close();
    await fleet?.close();
  }, 240_000);

  const write = (port: number) =>
    tester.write({
      "hosts.yaml": describeHosts(fleet.hosts),
      ...Object.fromEntries(NAMES.map((name) => [`${name}.yaml`, openOnly(name, 22, port)])),
    });

  it("is brought to its end by the console that comes after the one that was killed", async () => {
    await write(1111);
    const { stateDir } = tester;
    await tester.close();
    const args = [KILLED_MAIN, fleet.directory, fleet.home.directory, stateDir, ...NAMES];
    const first = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const id = await new Promise<string>((resolve, reject) => {
      createInterface({ input: first.stdout }).once("line", resolve);
      first.once("exit", (code) => reject(new Error(`the console ended with ${code}`)));
    });
    first.kill("SIGKILL");
    tester = new FleetConsole(fleet, { stateDir });
    const ended = await tester.untilRollout(id, ({ state }) => state !== RolloutState.RUNNING, 80_000);
    expect(RolloutState[ended.state], ended.explanation).toBe("DONE");
    expect(ended.hosts.map(({ state }) => RolloutHostState[state])).toEqual(["CONFIRMED", "CONFIRMED"]);
    for (const name of NAMES) {
      await tester.until(name, (host) => isConnected(host) && host.status?.pending === undefined);
    }
  });

  it("halts, starts nothing else and says why when the first host's cable is pulled after the flip", async () => {
    await write(2222);
    const before = (await tester.until("web-2", isConnected)).status?.enforced?.number;
    const id = await tester.startRollout(NAMES, 10_000, 3_000);
    const flipped = await tester.untilRollout(id, ({ hosts }) =>
      hosts.some(({ state }) => state === RolloutHostState.PENDING),
    );
    const first = flipped.hosts.find(({ state }) => state === RolloutHostState.PENDING);
    const host = fleet.host(first?.hostName ?? "");
    await host.linkDown();
    const ended = await tester.untilRollout(id, ({ state }) => state !== RolloutState.RUNNING, 60_000);
    await host.linkUp();
    expect(RolloutState[ended.state]).toBe("HALTED");
    expect(ended.explanation).toContain(host.name);
    const other = ended.hosts.find(({ hostName }) => hostName !== host.name);
    expect(RolloutHostState[other?.state ?? 0]).toBe("NOT_STARTED");
    await tester.retry(host.name);
    await tester.until(host.name, (each) => isConnected(each) && each.status?.pending === undefined);
    expect((await tester.host("web-2")).status?.enforced?.number).toBe(before);
  });
});
