/**
 * The example policies, enforced for real: each probe is a real connection through the kernel of its subject, and
 * `wardline policy explain` must give the same answer.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { readPolicyFiles } from "@wardline/domain/policy";
import { connectAgent } from "@wardline/helper/testing/agentClient";
import { policyExplain } from "@wardline/main/cli/commands/policy-explain";
import { createOutput, type Output } from "@wardline/main/cli/output";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FIXTURES, type Fixture, type Probe } from "./fixtures.ts";
import { STEP_LIMIT_MS, System, skipReason, systemProblem } from "./harness.ts";
import { PASS_LIMIT_MS, REFUSED_LIMIT_MS } from "./traffic.ts";

const problem = systemProblem();
const FIXTURES_DIR = fileURLToPath(new URL("../fixtures", import.meta.url));

function inventoryPath(file: string): string {
  return join(FIXTURES_DIR, dirname(file), "inventory.yaml");
}

/** Addresses by the name of a host. */
function readAddresses(file: string): Map<string, readonly string[]> {
  const path = inventoryPath(file);
  const { world } = readPolicyFiles([{ path, text: readFileSync(path, "utf8") }]);
  return new Map(world.inventory.endpoints.map((endpoint) => [endpoint.name, endpoint.addresses]));
}

const isSix = (address: string): boolean => address.includes(":");

/** Fixtures of one subject in one inventory: they share its agent and its network. */
const groups = Map.groupBy(FIXTURES, ({ file, subject }) => `${dirname(file)}: ${subject}`);

describe.skipIf(problem !== null).each([...groups])(
  `example policies in the kernel${skipReason(problem)}, %s`,
  { timeout: STEP_LIMIT_MS },
  (_name, fixtures) => {
    const [{ subject = "", file = "" } = {}] = fixtures;
    const addresses = readAddresses(file);
    const own = addresses.get(subject) ?? [];
    const addressOf = (end: string, isSixWanted: boolean): string =>
      end.includes(".") || end.includes(":")
        ? end
        : (addresses.get(end)?.find((address) => isSix(address) === isSixWanted) ?? "");
    const endsOf = ({ probes }: Fixture) => probes.map((probe) => addressOf(probe.with, probe.family === 6));
    let system: System;
    const listening = new Set<string>();
    beforeAll(async () => {
      system = await System.start({ hostName: subject, hasConsole: false, peerPorts: [] });
      giveAddresses(system, own, fixtures.flatMap(endsOf));
    }, STEP_LIMIT_MS);
    afterAll(() => system?.close(), STEP_LIMIT_MS);

    it.each(fixtures.map((fixture) => [fixture.file, fixture] as const))("%s", async (_file, fixture) => {
      const inventory = readFileSync(inventoryPath(fixture.file), "utf8");
      const policy = readFileSync(join(FIXTURES_DIR, fixture.file), "utf8");
      await listen(system, fixture, endsOf(fixture), listening);
      await enforce(system, { "inventory.yaml": inventory });
      for (const probe of fixture.probes)
        expect(await attempt(system, probe, own, addressOf, "allow"), `before: ${name(probe)}`).toBe("allow");
      await enforce(system, { "inventory.yaml": inventory, "policy.yaml": policy });
      for (const probe of fixture.probes) {
        expect(await attempt(system, probe, own, addressOf, probe.verdict), `kernel: ${name(probe)}`).toBe(
          probe.verdict,
        );
        expect(await explain(fixture, probe, own, addressOf), `explain: ${name(probe)}`).toBe(probe.verdict);
      }
    });
  },
);

/** As the command does it, without starting one: checked, applied, and confirmed over a connection of its own. */
async function enforce({ agentSocket }: System, texts: Readonly<Record<string, string>>): Promise<void> {
  const state = { files: Object.entries(texts).map(([path, text]) => ({ path, text })) };
  const applying = connectAgent(agentSocket);
  const confirming = connectAgent(agentSocket);
  try {
    const { programDigest, diagnostics } = await applying.agent.check({ state });
    expect(programDigest, JSON.stringify(diagnostics.map(({ message }) => message))).not.toBe("");
    const { status } = await applying.agent.getStatus({});
    const { generation } = await applying.agent.apply({
      state,
      mode: EnforcementMode.ENFORCE,
      expectedProgramDigest: programDigest,
      baseGeneration: status?.enforced?.number ?? 0n,
      confirmWithin: durationFromMs(60_000),
      reason: "an example",
    });
    await confirming.agent.confirm({
      generation: generation?.number ?? 0n,
      programDigest: generation?.programDigest ?? "",
    });
  } finally {
    applying.close();
    confirming.close();
  }
}

const name = (probe: Probe): string => `${probe.direction} ${probe.with} ${probe.port}`;

/** The guarded side takes the subject's addresses; all others live on the peer, however far away they pretend to be. */
function giveAddresses(system: System, own: readonly string[], others: readonly string[]): void {
  const ip = (side: string, ...args: string[]): void =>
    void execFileSync("ip", ["-n", `${system.lab.name}-${side}`, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  const add = (side: string, address: string): void =>
    ip(
      side,
      "addr",
      "add",
      isSix(address) ? `${address}/128` : `${address}/32`,
      "dev",
      "eth0",
      ...(isSix(address) ? ["nodad"] : []),
    );
  for (const address of own) add("host", address);
  for (const address of new Set(others)) add("peer", address);
  for (const side of ["host", "peer"]) {
    for (const family of ["-4", "-6"]) ip(side, family, "route", "add", "default", "dev", "eth0");
  }
}

function splitPort(port: string): [number, string] {
  const [number = "", protocol = ""] = port.split("/");
  return [Number(number), protocol];
}

async function listen(system: System, { probes }: Fixture, ends: readonly string[], done: Set<string>): Promise<void> {
  for (const [index, { direction, port }] of probes.entries()) {
    const [number, protocol] = splitPort(port);
    const address = protocol === "udp" ? (ends[index] ?? null) : null;
    const place = `${direction} ${port} ${address}`;
    if (done.has(place)) continue;
    done.add(place);
    const listener = direction === "to" ? system.peer : system.host;
    if (protocol === "udp") await listener.listenUdp(number, address);
    else await listener.listenTcp(number);
  }
}

type AddressOf = (end: string, isSixWanted: boolean) => string;
let serial = 0;

async function attempt(
  system: System,
  probe: Probe,
  own: readonly string[],
  addressOf: AddressOf,
  expected: "allow" | "deny",
): Promise<string> {
  const limitMs = expected === "allow" ? PASS_LIMIT_MS : REFUSED_LIMIT_MS;
  const wantsSix = probe.family === 6;
  const ownAddress = own.find((address) => isSix(address) === wantsSix) ?? "";
  const other = addressOf(probe.with, wantsSix);
  const [from, source, target] =
    probe.direction === "to" ? [system.host, ownAddress, other] : [system.peer, other, ownAddress];
  const [port, protocol] = splitPort(probe.port);
  serial += 1;
  const outcome =
    protocol === "udp"
      ? await from.askUdp(target, port, 16, limitMs, source)
      : await from.connectTcp(`probe-${serial}`, target, port, limitMs, source);
  if (protocol === "tcp") await from.disconnect(`probe-${serial}`);
  if (outcome === "ok") return "allow";
  return /^(EPERM|timeout)$/.test(outcome) ? "deny" : outcome;
}

/** The command itself, without starting a process for each question. */
async function explain(fixture: Fixture, probe: Probe, own: readonly string[], addressOf: AddressOf) {
  const wantsSix = probe.family === 6;
  const subject = own.find((address) => isSix(address) === wantsSix) ?? "";
  const other = addressOf(probe.with, wantsSix);
  const [from, to] = probe.direction === "to" ? [subject, other] : [other, subject];
  let answer: unknown;
  const output: Output = { ...createOutput("json"), json: (value) => (answer = value) };
  const policies = join(FIXTURES_DIR, fixture.file);
  await policyExplain(output, { from, to, port: probe.port, policies, inventory: inventoryPath(fixture.file) });
  const { directions } = answer as { directions: readonly { direction: string; verdict: string }[] };
  // Only this direction runs through the guarded kernel: the peer has no agent.
  const direction = probe.direction === "to" ? "egress" : "ingress";
  return directions.find((each) => each.direction === direction)?.verdict;
}
