/** `--hosts` of confirm, roll back and quarantine, on hosts whose agents are in memory. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { EnvironmentColor, EnvironmentSchema } from "@wardline/api/wardline/console/v1/hosts";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, expect, it } from "vitest";
import { collect, type TestConsole } from "../../backend/testing/console.ts";
import { type TestFleet, testFleet } from "../../backend/testing/fleet.ts";
import type { Output } from "../output.ts";
import { createStyle } from "../terminal/style.ts";
import { withWords } from "./each-host.ts";
import { settleHosts } from "./policy-settle-hosts.ts";
import { quarantineHosts } from "./quarantine.ts";

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec: {podSelector: {matchLabels: {role: web}}, policyTypes: [Ingress]}
`;
const NOBODY_ASKED = () => Promise.resolve(null);
const red = create(EnvironmentSchema, { name: "production", color: EnvironmentColor.RED });

let tester: TestConsole;
afterEach(() => tester?.close());

function outputFor(format: "text" | "json") {
  const texts: string[] = [];
  const values: unknown[] = [];
  const output: Output = {
    ...{ format, style: createStyle(false), isTerminal: false, columns: 120 },
    text: (text) => void texts.push(text),
    json: (value) => void values.push(value),
    note: () => undefined,
  };
  return { output, texts, values };
}

/** Hosts a and b wait for confirmation, c has nothing, d is away. */
async function fleet(): Promise<TestFleet> {
  const made = testFleet(["a", "b", "c", "d"]);
  made.agent("d").dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "d is away" });
  tester = made.start();
  tester.backend.workspace.save("web.yaml", POLICY, 0);
  for (const name of ["a", "b"]) {
    const { planId } = await tester.ship.plan({ hostIds: [name] });
    const confirmWithin = durationFromMs(60_000);
    await collect(tester.ship.apply({ planId, mode: EnforcementMode.ENFORCE, confirmWithin, reason: "" }));
  }
  return made;
}

const SETTLE = { reason: "", typed: "" };
const QUARANTINE = { host: "local", port: [], reason: "", typed: "", lift: false, format: "json" as const };

it("confirms where something waits, over a new connection, whatever becomes of the other hosts", async () => {
  const made = await fleet();
  const { output, values } = outputFor("json");
  const options = { ...SETTLE, hosts: "a,b,c,d", typed: "confirm 2 hosts" };
  expect(await settleHosts(output, tester, "confirm", options)).toBe(3);
  expect(values).toMatchObject([
    {
      hosts: [
        { host: "a", generation: { number: "1" } },
        { host: "b", generation: { number: "1" } },
        { host: "c", generation: null },
        { host: "d", error: { code: "HOST_UNREACHABLE" } },
      ],
    },
  ]);
  for (const name of ["a", "b"]) expect(made.agent(name).status().pending).toBeUndefined();
  expect(await settleHosts(outputFor("json").output, tester, "confirm", { ...SETTLE, hosts: "a,c" })).toBe(1);
});

it("changes nothing without the words, and takes them from a person", async () => {
  const made = await fleet();
  const options = { ...SETTLE, hosts: "a,b,c" };
  const { output, texts } = outputFor("text");
  const refused = { code: ErrorCode.CONFIRMATION_REQUIRED, hint: "Type: roll back 2 hosts" };
  await expect(settleHosts(output, tester, "rollback", options, NOBODY_ASKED)).rejects.toMatchObject(refused);
  const other = { ...options, typed: "roll back 3 hosts" };
  await expect(settleHosts(output, tester, "rollback", other)).rejects.toMatchObject(refused);
  expect(made.agent("a").status().pending).toBeDefined();
  const asked = () => Promise.resolve("Roll back  2 hosts");
  expect(await settleHosts(output, tester, "rollback", options, asked)).toBe(0);
  expect(texts.toSorted()).toEqual([
    "a: rolled back: no policy is in force now\n",
    "b: rolled back: no policy is in force now\n",
    "c: nothing is in force\n",
  ]);
  expect(made.agent("a").status().pending).toBeUndefined();
});

it("asks for words for one host of a red environment, and rolls back what was confirmed", async () => {
  await fleet();
  const { manager, registry } = tester.backend;
  manager.update({ ...registry.byId("a").record, environment: red });
  const confirm = { ...SETTLE, hosts: "a" };
  const { output } = outputFor("json");
  await expect(settleHosts(output, tester, "confirm", confirm, NOBODY_ASKED)).rejects.toMatchObject({
    hint: "Type: confirm a",
  });
  expect(await settleHosts(output, tester, "confirm", { ...confirm, typed: "confirm a" })).toBe(0);
  expect(await settleHosts(output, tester, "rollback", { ...confirm, typed: "roll back a" })).toBe(0);
});

it("cuts off and lifts on each host, and says of each that would be locked out", async () => {
  const made = await fleet();
  const { output, values } = outputFor("json");
  const hosts = "local,a,d";
  const unsaid = quarantineHosts(output, tester, { ...QUARANTINE, hosts }, "host", NOBODY_ASKED);
  await expect(unsaid).rejects.toMatchObject({ hint: "Type: quarantine 3 hosts" });
  const typed = "quarantine 3 hosts";
  // Nobody knows from where a fake host sees this console: without management access it is refused.
  const alone = { ...QUARANTINE, hosts, typed, allowFrom: "none" };
  expect(await quarantineHosts(output, tester, alone, "host")).toBe(1);
  const open = { ...QUARANTINE, hosts, typed, allowFrom: "192.0.2.0/24", port: [2222] };
  expect(await quarantineHosts(output, tester, open, "host")).toBe(3);
  const lift = { ...QUARANTINE, hosts: "local,a", typed: "lift the quarantine of 2 hosts", lift: true };
  const held = made.agent("a").quarantines;
  expect(await quarantineHosts(output, tester, lift, "host")).toBe(0);
  const there = { quarantines: [{ subjectKey: "Host/a", managementCidrs: ["192.0.2.0/24"], managementPorts: [2222] }] };
  expect(values).toMatchObject([
    { hosts: [{}, { host: "a", error: { code: "WOULD_LOCK_OUT" } }, { error: { code: "HOST_UNREACHABLE" } }] },
    { hosts: [{}, { host: "a", ...there }, { host: "d", error: { code: "HOST_UNREACHABLE" } }] },
    { hosts: [{}, { host: "a", quarantines: [] }] },
  ]);
  expect(held).toMatchObject(there.quarantines);
  expect(made.agent("a").quarantines).toEqual([]);
});

it("starts a roll-out of the same plan with the words that a person types when they are asked for", async () => {
  await fleet();
  tester.backend.manager.update({ ...tester.backend.registry.byId("c").record, environment: red });
  const { planId } = await tester.ship.plan({ hostIds: ["c"] });
  const confirmWithin = durationFromMs(60_000);
  const gates = { watchFor: durationFromMs(0), denialsAboveForecast: 0 };
  const start = (typed: string) =>
    tester.rollouts.startRollout({ planId, mode: EnforcementMode.ENFORCE, confirmWithin, gates, typed });
  const required = { code: ErrorCode.CONFIRMATION_REQUIRED, hint: "Type: apply to c" };
  await expect(withWords("", start, NOBODY_ASKED)).rejects.toMatchObject(required);
  await expect(withWords("no", start, () => Promise.resolve("apply to c"))).rejects.toMatchObject(required);
  const asked: Failure[] = [];
  const { rolloutId } = await withWords("", start, async (why) => {
    asked.push(why);
    return "apply to c";
  });
  expect(rolloutId).not.toBe("");
  expect(asked).toMatchObject([required]);
});
