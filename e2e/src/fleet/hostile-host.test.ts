/** A host that somebody else has taken over answers the console over its real sshd. The other hosts must not notice. */
import { writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { toJsonString } from "@bufbuild/protobuf";
import { HostSchema } from "@wardline/api/wardline/console/v1/hosts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skipReason } from "../harness.ts";
import { PROGRAM } from "../processes.ts";
import { Fleet, fleetProblem } from "./fleet.ts";
import { FleetConsole, isConnected } from "./fleet-console.ts";
import type { FleetHost } from "./fleet-host.ts";
import { machineProgramUnit } from "./host-files.ts";
import { ACTING_CHARACTERS } from "./hostile-text.ts";
import { runToEnd } from "./run-program.ts";

const problem = fleetProblem();
const MIB = 1024 * 1024;
const MOST_GROWTH_BYTES = 250 * MIB;
const UNIT = "hostile.service";
/** How it answers, and why the console says that it is not connected. */
const REFUSED = [
  ["malformed", /invalid varint/],
  ["half a message", /incomplete envelope/],
  ["oversized", /message size 73400320 is larger/],
  ["endless answer", /message size \d+ is larger/],
  ["endless message", /message size 4294967280 is larger/],
  ["silence", /did not answer in time/],
  ["no http", /Protocol error/],
] as const;

describe.skipIf(problem !== null)(`a hostile host${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let hostile: FleetHost;
  let tester: FleetConsole;
  let memoryBefore = 0;

  beforeAll(async () => {
    const unit = machineProgramUnit("What listens where an agent should", "hostile-agent-main.ts");
    fleet = await Fleet.start({
      hosts: [{ name: "web-1" }, { name: "bad-1", agent: "none", services: { [UNIT]: unit } }],
    });
    hostile = fleet.host("bad-1");
    behave("silence");
    tester = new FleetConsole(fleet);
    await tester.connect([fleet.host("web-1")]);
    await tester.add([hostile]);
    memoryBefore = process.memoryUsage().rss;
  }, 240_000);
  afterAll(async () => {
    await tester?.close();
    await fleet?.close();
  }, 240_000);

  function behave(mode: string): void {
    writeFileSync(hostile.path("/run/hostile-mode"), mode);
  }

  async function otherHostIsWell(): Promise<void> {
    const { connection } = tester.backend.registry.byIdOrName("web-1");
    const client = await connection.client();
    expect((await client.getStatus({}, { timeoutMs: 5_000 })).status?.info?.name).toBe("web-1");
    expect(isConnected(await tester.host("web-1"))).toBe(true);
    expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(MOST_GROWTH_BYTES);
  }

  it.each(REFUSED)(
    "that answers with: %s, is named as not connected, and nobody else is held up",
    async (mode, reason) => {
      behave(mode);
      await hostile.systemctl("restart", UNIT);
      await hostile.agentAnswers();
      await tester.retry("bad-1");
      const host = await tester.until("bad-1", ({ problem }) => reason.test(problem?.message ?? ""));
      expect(isConnected(host)).toBe(false);
      expect(toJsonString(HostSchema, host)).not.toMatch(ACTING_CHARACTERS);
      await otherHostIsWell();
    },
  );

  it("that puts escapes and HTML into every text is shown with what they are", async () => {
    behave("poison");
    await hostile.systemctl("restart", UNIT);
    await hostile.agentAnswers();
    await tester.retry("bad-1");
    const host = await tester.until("bad-1", (each) => each.status?.problems.length !== 0 && isConnected(each));
    expect(toJsonString(HostSchema, host)).not.toMatch(ACTING_CHARACTERS);
    // The name that the person gave it stays: a host cannot take that of another one.
    expect(host).toMatchObject({ alias: "bad-1", name: "bad-1" });
    expect(toJsonString(HostSchema, host).length).toBeLessThan(8 * MIB);
    const commands = [
      ["host", "list"],
      ["host", "show", "bad-1"],
      ["host", "list", "--format", "json"],
    ];
    await Promise.all(
      commands.map(async (command) => {
        const { stdout, stderr } = await runToEnd(PROGRAM, [...command, "--state-dir", tester.stateDir], {
          environment: { ...process.env, HOME: fleet.home.directory },
        });
        expect(stdout, command.join(" ")).toContain("bad-1");
        expect(stdout + stderr, command.join(" ")).not.toMatch(ACTING_CHARACTERS);
      }),
    );
    await otherHostIsWell();
  });

  it("that sends statuses without end is read no faster than it can be used", async () => {
    // The last one: what is in the buffers of the line is read at the same slow pace, and counts as heard from.
    behave("endless statuses");
    await hostile.systemctl("restart", UNIT);
    await hostile.agentAnswers();
    await tester.retry("bad-1");
    await tester.until("bad-1", isConnected);
    const before = process.cpuUsage();
    const startedAtMs = performance.now();
    await setTimeout(2_000);
    const { user, system } = process.cpuUsage(before);
    // Of one processor; a reader that keeps up with the flood uses all of it.
    expect((user + system) / 1000 / (performance.now() - startedAtMs)).toBeLessThan(0.5);
    await otherHostIsWell();
  });
});
