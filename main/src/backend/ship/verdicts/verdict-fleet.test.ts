/** Verdicts of several hosts that stand at different states: real plans, roll-outs, receipts and records. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import {
  ShownVerdict,
  StagedReason,
  VerdictColumn,
  VerdictOrder,
  type VerdictRow,
  VerdictService,
  type VerdictVersion,
} from "@wardline/api/wardline/console/v1/verdicts";
import { FlowRecordBatchSchema } from "@wardline/api/wardline/v1/flow_record";
import { BackendKind, Emergency, QuarantineSchema } from "@wardline/api/wardline/v1/host";
import { Direction, EnforcementMode, Verdict } from "@wardline/api/wardline/v1/policy";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, type TestConsole } from "../../testing/console.ts";
import { type TestFleet, testFleet } from "../../testing/fleet.ts";

const NAMES = ["beta", "gamma", "delta"];
const WEB = ["alpha", ...NAMES];
const WAIT = { timeout: 20_000, interval: 20 };
const HOSTS = [...WEB.map((name, index) => [name, "web", index + 1]), ["office", "desk", 200]]
  .map(
    ([name, app, last]) => `apiVersion: wardline.io/v1
kind: Host
metadata: { name: ${name}, labels: { app: ${app} } }
spec: { addresses: [10.0.0.${last}] }
`,
  )
  .join("---\n");
const policy = (...ports: readonly number[]) => `apiVersion: wardline.io/v1
kind: Policy
metadata: { name: web }
spec:
  subject: { selector: { matchLabels: { app: web } } }
  isolate: [ingress]
  ingress:
    - from: [{ selector: { matchLabels: { app: desk } } }]
      ports: [${ports.map((port) => `{ protocol: TCP, port: ${port} }`).join(", ")}]
`;

let fleet: TestFleet;
let tester: TestConsole;
let verdicts: Client<typeof VerdictService>;

beforeEach(async () => {
  fleet = testFleet(NAMES);
  for (const agent of fleet.agents.values()) agent.backend = BackendKind.EBPF;
  tester = fleet.start();
  await fleet.connected(tester);
  verdicts = createClient(
    VerdictService,
    createRouterTransport((router) => tester.backend.routes(router)),
  );
  await tester.policies.saveFile({ path: "hosts.yaml", text: HOSTS });
  await save(policy(22));
});
afterEach(() => tester.close());

async function save(text: string): Promise<void> {
  const file = await tester.policies.getFile({ path: "web.yaml" }).catch(() => null);
  await tester.policies.saveFile({ path: "web.yaml", text, baseRevision: file?.revision ?? 0n });
}

async function rollOut(over: object = {}): Promise<string> {
  const plan = await tester.ship.plan({});
  const { rolloutId } = await tester.rollouts.startRollout({
    ...{ planId: plan.planId, mode: EnforcementMode.ENFORCE, typed: `apply to ${WEB.length} hosts`, reason: "test" },
    ...{ confirmWithin: durationFromMs(60_000), automatic: true },
    gates: { watchFor: durationFromMs(50), denialsAboveForecast: 0 },
    ...over,
  });
  return rolloutId;
}

async function reaches(rolloutId: string, state: RolloutState): Promise<void> {
  await expect
    .poll(async () => {
      for await (const { rollouts } of tester.rollouts.watchRollouts({})) {
        return rollouts.find(({ id }) => id === rolloutId)?.state;
      }
      return null;
    }, WAIT)
    .toBe(state);
}

async function list(request: Parameters<typeof verdicts.listVerdicts>[0] = {}) {
  const messages = await collect(verdicts.listVerdicts({ includeAgreeing: true, ...request }));
  const rows: VerdictRow[] = messages.flatMap(({ event }) => (event.case === "rows" ? event.value.rows : []));
  const versions: VerdictVersion[] = messages.flatMap(({ event }) =>
    event.case === "basis" || event.case === "done" ? event.value.versions : [],
  );
  return { rows, versions };
}

/** The row of what the desk opens on a port of the web hosts. */
function at(rows: readonly VerdictRow[], port: number): VerdictRow | undefined {
  return rows.find(
    ({ from, to, ports }) =>
      from === "default app=desk" &&
      to === "default app=web" &&
      ports.some(({ protocol, low, high }) => protocol === 6 && low <= port && port <= high),
  );
}

function partsOf(cell: VerdictRow["draft"], versions: readonly VerdictVersion[]) {
  return (cell?.parts ?? []).map(({ verdict, hostNames, sides }) => ({
    verdict,
    hostNames,
    version: versions.find(
      ({ id }) => id === sides.find(({ direction }) => direction === Direction.INGRESS)?.versionId,
    ),
  }));
}

const hostsOf = (version: VerdictVersion | undefined) => version?.hosts.map(({ hostName }) => hostName).sort();

describe("verdicts of a fleet", () => {
  it("say of a roll-out in waves which hosts are where: staged against enforced, with version and time", async () => {
    await reaches(await rollOut(), RolloutState.DONE);
    await save(policy(22, 443));
    const beganAtMs = Date.now();
    const id = await rollOut({ stagePercents: [50, 100], canaryHostIds: ["beta"], automatic: false });
    await reaches(id, RolloutState.WAITING);
    const done = WEB.filter((name) => fleet.agent(name).applied.length === 2);
    const waiting = WEB.filter((name) => !done.includes(name));
    expect(done).toContain("beta");
    expect(waiting.length).toBeGreaterThan(0);

    const { rows, versions } = await list();
    const https = at(rows, 443);
    expect(https).toMatchObject({
      draft: { verdict: ShownVerdict.ALLOW },
      staged: { verdict: ShownVerdict.ALLOW },
      enforced: { verdict: ShownVerdict.MIXED },
      disagrees: true,
    });
    const enforced = partsOf(https?.enforced, versions);
    const [allows, denies] = [ShownVerdict.ALLOW, ShownVerdict.DENY].map((wanted) =>
      enforced.find(({ verdict }) => verdict === wanted),
    );
    expect([allows?.hostNames, denies?.hostNames]).toEqual([done.sort(), waiting.sort()]);
    expect([allows?.version?.versionNumber, denies?.version?.versionNumber]).toEqual([2n, 1n]);
    expect([hostsOf(allows?.version), hostsOf(denies?.version)]).toEqual([done, waiting]);
    for (const { generation, since } of allows?.version?.hosts ?? []) {
      expect(generation).toBe(2n);
      expect(Number(since?.seconds)).toBeGreaterThanOrEqual(Math.floor(beganAtMs / 1_000));
    }
    for (const { generation, since } of denies?.version?.hosts ?? []) {
      expect(generation).toBe(1n);
      expect(Number(since?.seconds)).toBeLessThanOrEqual(Math.ceil(beganAtMs / 1_000));
    }
    const staged = versions.find(({ column }) => column === VerdictColumn.STAGED);
    expect(staged).toMatchObject({ stagedReason: StagedReason.ROLLOUT, versionNumber: 2n, reason: "test" });
    expect(hostsOf(staged)).toEqual(waiting);
    // What both versions say alike is not torn apart by the wave.
    expect(at(rows, 22)).toMatchObject({
      enforced: { verdict: ShownVerdict.ALLOW },
      staged: { verdict: ShownVerdict.ALLOW },
      disagrees: false,
    });

    await tester.rollouts.continueRollout({ rolloutId: id, stage: 1 });
    await reaches(id, RolloutState.DONE);
    const after = await list();
    expect(at(after.rows, 443)).toMatchObject({
      staged: { verdict: ShownVerdict.NOTHING },
      enforced: { verdict: ShownVerdict.ALLOW },
      disagrees: false,
    });
    expect(after.versions.filter(({ column }) => column === VerdictColumn.STAGED)).toEqual([]);
  });

  it("say what the emergency brake does, whatever the policies say", async () => {
    await reaches(await rollOut(), RolloutState.DONE);
    fleet.agent("beta").emergency = Emergency.CLOSED;
    fleet.agent("gamma").emergency = Emergency.OPEN;
    const { rows, versions } = await list();
    // Port 22 is allowed: only the closed host denies it.
    const ssh = partsOf(at(rows, 22)?.enforced, versions);
    expect(ssh.find(({ verdict }) => verdict === ShownVerdict.DENY)).toMatchObject({
      hostNames: ["beta"],
      version: { emergency: Emergency.CLOSED, hosts: [{ hostName: "beta", generation: 1n }] },
    });
    expect(at(rows, 22)?.enforced?.parts.flatMap(({ sides }) => sides)).toContainEqual(
      expect.objectContaining({ decision: expect.objectContaining({ summary: expect.stringContaining("emergency") }) }),
    );
    // Port 23 is denied: the open host drops nothing.
    const telnet = partsOf(at(rows, 23)?.enforced, versions);
    expect(telnet.find(({ verdict }) => verdict === ShownVerdict.OBSERVED)).toMatchObject({
      hostNames: ["gamma"],
      version: { emergency: Emergency.OPEN },
    });
    expect(telnet.find(({ verdict }) => verdict === ShownVerdict.DENY)?.hostNames).toEqual(
      expect.arrayContaining(["alpha", "delta"]),
    );
    expect(at(rows, 22)?.disagrees).toBe(true);

    // What is on its way does not let the brake go.
    await save(policy(22, 443));
    const id = await rollOut({ stagePercents: [50, 100], canaryHostIds: ["delta"], automatic: false });
    await reaches(id, RolloutState.WAITING);
    const during = await list();
    const staged = partsOf(at(during.rows, 443)?.staged, during.versions);
    expect(staged.find(({ hostNames }) => hostNames.includes("beta"))?.verdict).toBe(ShownVerdict.DENY);
    await tester.rollouts.continueRollout({ rolloutId: id, stage: 1 });
    await reaches(id, RolloutState.DONE);

    for (const name of ["beta", "gamma"]) fleet.agent(name).emergency = Emergency.NONE;
    expect(at((await list()).rows, 22)).toMatchObject({ enforced: { verdict: ShownVerdict.ALLOW }, disagrees: false });
  });

  it("say that a closed host without any policy lets nothing in", async () => {
    fleet.agent("beta").emergency = Emergency.CLOSED;
    const { rows, versions } = await list({ hostIds: ["beta"] });
    const parts = partsOf(at(rows, 22)?.enforced, versions);
    expect(parts.find(({ hostNames }) => hostNames.includes("beta"))).toMatchObject({
      verdict: ShownVerdict.DENY,
      version: { emergency: Emergency.CLOSED, stateDigest: "" },
    });
  });

  it("count quarantines in every column, and what was recorded before against them", async () => {
    await reaches(await rollOut(), RolloutState.DONE);
    const seen = timestampFromMs(Date.now() - 60_000);
    await tester.backend.history.ingest([
      {
        ...{ hostId: "gamma", hostName: "gamma", journalId: "j" },
        batches: [
          create(FlowRecordBatchSchema, {
            sequence: 1n,
            records: [
              {
                ...{ windowStart: seen, windowSeconds: 10, firstSeen: seen, lastSeen: seen },
                ...{ direction: Direction.INGRESS, protocol: 6, destinationPort: 22, generation: 1n, started: 7n },
                ...{ sourceAddress: "10.0.0.200", destinationAddress: "10.0.0.3", subjectKey: "Host/gamma" },
                ...{ verdict: Verdict.ALLOW, enforced: Verdict.ALLOW },
              },
            ],
          }),
        ],
      },
    ]);
    expect(at((await list()).rows, 22)).toMatchObject({ enforced: { verdict: ShownVerdict.ALLOW }, disagrees: false });
    const agent = fleet.agent("gamma");
    agent.quarantines = [create(QuarantineSchema, { subjectKey: "Host/gamma", reason: "test" })];
    agent.changes.notify();
    const { connection } = tester.backend.registry.byId("gamma");
    await expect.poll(() => connection.state.status?.quarantines.length, WAIT).toBe(1);

    const { rows, versions } = await list();
    const row = at(rows, 22);
    expect(row?.disagrees).toBe(true);
    for (const column of ["draft", "enforced"] as const) {
      const held = partsOf(row?.[column], versions).find(({ verdict }) => verdict === ShownVerdict.DENY);
      expect({ column, hostNames: held?.hostNames }).toEqual({ column, hostNames: ["gamma"] });
    }
    const decisions = row?.enforced?.parts.flatMap(({ sides }) => sides.flatMap(({ decision }) => decision ?? []));
    expect(decisions?.flatMap(({ policyKeys }) => policyKeys)).toContain("wardline.io/quarantine/Host/gamma");
    expect(row?.reported).toMatchObject({ verdict: ShownVerdict.ALLOW, parts: [{ count: 7n, hostNames: ["gamma"] }] });

    // An open brake drops nothing, not even for a quarantine.
    agent.emergency = Emergency.OPEN;
    const open = await list();
    const parts = partsOf(at(open.rows, 22)?.enforced, open.versions);
    expect(parts.find(({ hostNames }) => hostNames.includes("gamma"))?.verdict).toBe(ShownVerdict.OBSERVED);
  });

  it("come in the order that is asked for, the same whichever way few or all are listed", async () => {
    await reaches(await rollOut(), RolloutState.DONE);
    const all = async (order: VerdictOrder, descending: boolean, maxRows = 5_000) =>
      (await list({ order, descending, maxRows })).rows;
    const from = await all(VerdictOrder.FROM, false);
    expect(from.length).toBeGreaterThan(3);
    const names = from.map((row) => row.from);
    expect(names).toEqual(names.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0)));
    expect((await all(VerdictOrder.FROM, true))[0]?.from).toBe(names.at(-1));
    const ports = (await all(VerdictOrder.PORT, true)).map((row) => Math.min(...row.ports.map(({ low }) => low)));
    expect(ports).toEqual(ports.toSorted((left, right) => right - left));
    for (const order of [VerdictOrder.UNSPECIFIED, VerdictOrder.FROM, VerdictOrder.TO, VerdictOrder.PORT]) {
      const ids = (await all(order, false)).map(({ id }) => id);
      expect((await all(order, false, 2)).map(({ id }) => id)).toEqual(ids.slice(0, 2));
    }
  });
});
