import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { groupHolds, portsHold, probeEnds, probePlaces } from "../access/testing.ts";
import { builtinDecision } from "../builtin.ts";
import { evaluate } from "../evaluate.ts";
import type { PolicyFlow } from "../evaluation.ts";
import type { Direction, Endpoint, PolicyWorld } from "../model.ts";
import {
  arbitraryWorld,
  endpointsPeer,
  GENERATED_HOST_NAMES,
  host,
  policy,
  ports,
  probePorts,
  rule,
  selectorFor,
  world,
} from "../testing/index.ts";
import {
  COMPUTED_COLUMNS,
  type ComputedColumn,
  describeCell,
  describeReported,
  joinSides,
  type ReportedRecord,
  type ShownVerdict,
  type Stance,
  type VerdictRow,
  VerdictTable,
} from "./index.ts";

const WORLDS = Number(process.env.WARDLINE_ACCESS_WORLDS ?? 10);
const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_122);

interface Fleet {
  readonly worlds: readonly [PolicyWorld, ...PolicyWorld[]];
  readonly enforced: readonly (Stance | null)[];
  readonly staged: readonly (Stance | null)[];
}

const HOST_CHOICES: readonly (string | null)[] = [...GENERATED_HOST_NAMES, null];

/** Three worlds that have much in common, and what each host follows and is about to follow. */
const stances = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("world" as const), world: fc.nat(2), isEnforcing: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "nothing" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "closed" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "unknown" as const }) },
);
const fleets = fc
  .tuple(
    arbitraryWorld({ maxPolicies: 3 }),
    arbitraryWorld({ maxPolicies: 2 }),
    fc.boolean(),
    fc.array(fc.option(stances, { freq: 8 }), { minLength: HOST_CHOICES.length, maxLength: HOST_CHOICES.length }),
    fc.array(fc.option(stances), { minLength: HOST_CHOICES.length, maxLength: HOST_CHOICES.length }),
  )
  .map(([first, second, hasOtherInventory, enforced, staged]): Fleet => {
    const both = [...first.policies, ...second.policies.map((one) => ({ ...one, key: `${one.key}-added` }))];
    const third = both.sort((left, right) => (left.key < right.key ? -1 : 1));
    const worlds = [
      first,
      hasOtherInventory ? second : { ...second, inventory: first.inventory },
      { policies: third, inventory: first.inventory },
    ] as const;
    const numbered = (stance: (typeof enforced)[number], place: number): Stance | null =>
      stance && { ...stance, version: place + 1 };
    return {
      worlds,
      enforced: enforced.map(numbered),
      staged: staged.map((stance, place) => numbered(stance, place + 100)),
    };
  });

const placeOf = (hostName: string | null) => Math.max(0, HOST_CHOICES.indexOf(hostName));

function tableOf({ worlds, enforced, staged }: Fleet): VerdictTable {
  return new VerdictTable({
    worlds,
    draftVersion: 0,
    enforcedOf: (hostName) => enforced[placeOf(hostName)] ?? null,
    stagedOf: (hostName) => staged[placeOf(hostName)] ?? null,
  });
}

/** One end as all worlds see it. */
interface End {
  readonly shown: Endpoint | null;
  readonly owners: readonly (string | null)[];
  readonly address: string;
}

function endsOf({ worlds }: Fleet): readonly End[] {
  const present = worlds.map((own) => probeEnds(own, 0));
  const addresses = [...new Set(present.flat().map(({ address }) => address))];
  const owned = addresses.flatMap((address): End[] => {
    const keys = new Map<string, Endpoint>();
    const inWorlds = worlds.map((own, index) => {
      const here = present[index]!.filter((end) => end.address === address).map(
        ({ endpointKey }) => own.inventory.endpoints.find(({ key }) => key === endpointKey)!,
      );
      for (const endpoint of here) if (!keys.has(endpoint.key)) keys.set(endpoint.key, endpoint);
      return here.sort((left, right) =>
        left.kind === right.kind ? (left.key < right.key ? -1 : 1) : left.kind === "host" ? -1 : 1,
      );
    });
    return [...keys].map(([key, shown]) => ({
      shown,
      owners: inWorlds.map((here) => (here.find((one) => one.key === key) ?? here[0])?.key ?? null),
      address,
    }));
  });
  const outside = [...new Set(worlds.flatMap((own) => probePlaces(own, 4)))].filter((one) => !addresses.includes(one));
  return [...owned, ...outside.map((address) => ({ shown: null, owners: worlds.map(() => null), address }))];
}

function expectedSide(
  fleet: Fleet,
  column: ComputedColumn,
  direction: Direction,
  flow: readonly [End, End],
  port: readonly [number, number],
): ShownVerdict {
  const [from, to] = flow;
  const own = direction === "egress" ? from : to;
  if (own.shown === null) return "allow";
  const place = placeOf(own.shown.hostName);
  const draft: Stance = { kind: "world", world: 0, isEnforcing: true, version: 0 };
  const enforced = fleet.enforced[place] ?? null;
  const stance = column === "draft" ? draft : column === "enforced" ? enforced : (fleet.staged[place] ?? enforced);
  if (stance === null) return "allow";
  if (stance.kind === "closed") {
    const question = { remote: to.address, local: from.address, protocol: port[0], port: port[1] };
    const passes = direction === "egress" ? question : { ...question, remote: from.address, local: to.address };
    return builtinDecision(passes) === null ? "deny" : "allow";
  }
  if (stance.kind !== "world") return stance.kind === "nothing" ? "allow" : "unknown";
  const asked: PolicyFlow = {
    from: { endpointKey: direction === "egress" ? (own.owners[stance.world] ?? null) : null, address: from.address },
    to: { endpointKey: direction === "ingress" ? (own.owners[stance.world] ?? null) : null, address: to.address },
    protocol: port[0],
    port: port[1],
  };
  const { decision } = evaluate(fleet.worlds[stance.world]!, asked).directions[direction === "egress" ? 0 : 1];
  if (decision.verdict === "allow") return "allow";
  return stance.isEnforcing && !decision.observeOnly ? "deny" : "observed";
}

function expected(
  fleet: Fleet,
  column: ComputedColumn,
  flow: readonly [End, End],
  port: readonly [number, number],
): ShownVerdict {
  const [from, to] = flow;
  const isStaged = [from, to].some(({ shown }) => shown !== null && fleet.staged[placeOf(shown.hostName)]);
  const isEnforced = [from, to].some(({ shown }) => shown !== null && fleet.enforced[placeOf(shown.hostName)]);
  if ((column === "staged" && !isStaged) || (column === "enforced" && !isEnforced)) return "nothing";
  return joinSides(
    (["egress", "ingress"] as const).map((direction) => ({
      verdict: expectedSide(fleet, column, direction, flow, port),
    })),
  );
}

describe("the verdict table", () => {
  it("says in every cell what evaluate says, of every connection exactly once", { timeout: 300_000 }, () => {
    const seen: Record<string, number> = {};
    fc.assert(
      fc.property(fleets, (fleet) => {
        const rows = [...tableOf(fleet).rows({ includeAgreeing: true })].filter((row) => row !== null);
        const disagreeing = new Set(
          [...tableOf(fleet).rows()].flatMap((row) =>
            row ? row.outcomes.map(({ outcome }) => JSON.stringify(outcome)) : [],
          ),
        );
        const ends = endsOf(fleet);
        const probed = probePorts(fleet.worlds[2]!)
          .filter((_, index) => index % 3 === 0)
          .slice(0, 6);
        for (const from of ends) {
          for (const to of ends) {
            const isOneFamily = from.address.includes(":") === to.address.includes(":");
            if (!isOneFamily || from.address === to.address || (from.shown === null && to.shown === null)) continue;
            const ofPair = rows.flatMap((row) =>
              row.outcomes
                .filter(({ pairs }) => pairs.some(([one, other]) => holds(one, from) && holds(other, to)))
                .map(({ outcome }) => ({ row, outcome })),
            );
            for (const [protocol, port] of probed) {
              const own = ofPair.filter(({ row }) => row.ports.some((part) => portsHold(part, { protocol, port })));
              if (own.length !== 1)
                expect(`${own.length} rows for ${from.address} ${to.address} ${protocol}/${port}`).toBe("1 row");
              const { outcome } = own[0]!;
              const words = COMPUTED_COLUMNS.map((column) => expected(fleet, column, [from, to], [protocol, port]));
              const said = COMPUTED_COLUMNS.map((column) => outcome[column].verdict);
              if (said.join() !== words.join()) expect(said).toEqual(words);
              const known = new Set(words.filter((word) => word !== "unknown" && word !== "nothing"));
              if (outcome.disagrees !== known.size > 1) expect(words).toEqual(`disagrees: ${outcome.disagrees}`);
              if (outcome.disagrees && !disagreeing.has(JSON.stringify(outcome))) expect(words).toEqual("listed");
              for (const word of words) seen[word] = (seen[word] ?? 0) + 1;
            }
          }
        }
      }),
      { numRuns: WORLDS, seed: SEED },
    );
    for (const word of ["allow", "deny", "observed", "unknown", "nothing"]) expect(seen[word]).toBeGreaterThan(0);
  });
});

function holds(group: Parameters<typeof groupHolds>[0], end: End): boolean {
  return groupHolds(group, { endpointKey: end.shown?.key ?? null, address: end.address });
}

const alpha = host("alpha", { labels: new Map([["app", "web"]]), addresses: ["10.0.0.1"] });
const beta = host("beta", { labels: new Map([["app", "web"]]), addresses: ["10.0.0.2"] });
const db = host("db-1", { labels: new Map([["app", "db"]]), addresses: ["10.0.0.9"] });
const endpoints = [alpha, beta, db];
const open = world(endpoints, []);
const allowWeb = policy("db", {
  subject: selectorFor("app=db"),
  isolates: { ingress: true, egress: false },
  rules: [rule("ingress", { peers: [endpointsPeer("app=web")], ports: [ports(6, 5432)] })],
});
const closed = world(endpoints, [allowWeb]);

function record(over: Partial<ReportedRecord> = {}): ReportedRecord {
  return {
    hostId: "db",
    direction: "ingress",
    sourceAddress: "10.0.0.1",
    destinationAddress: "10.0.0.9",
    protocol: 6,
    port: 22,
    subjectKey: "Host/db-1",
    verdict: "allow",
    decision: "a",
    policyKeys: [],
    generation: 7,
    count: 40,
    firstSeenMs: 1_000,
    lastSeenMs: 2_000,
    ...over,
  };
}

const rowsOf = (table: VerdictTable, includeAgreeing = false): VerdictRow[] =>
  [...table.rows({ includeAgreeing })].filter((row) => row !== null);

/** What a cell says, from its pairs one by one; texts, sorted. */
function plainCell({ outcomes }: VerdictRow, column: ComputedColumn, { enforced, staged }: Fleet): readonly string[] {
  const parts = new Map<string, Set<string>>();
  for (const { outcome, pairs } of outcomes) {
    const { verdict, sides } = outcome[column];
    if (verdict === "nothing") continue;
    for (const pair of pairs) {
      const versions = pair.map(({ members: [member] }) => {
        if (!member) return null;
        const place = placeOf(member.endpoint.hostName);
        const stance = column === "enforced" ? enforced[place] : (staged[place] ?? enforced[place]);
        return column === "draft" ? 0 : (stance?.version ?? null);
      });
      const said = sides.map((side, index) => `${side.verdict} ${side.decision?.id} ${versions[index]}`).join(" | ");
      const hosts = parts.get(`${verdict}: ${said}`) ?? new Set();
      parts.set(`${verdict}: ${said}`, hosts);
      for (const [index, { members }] of pair.entries()) {
        const decides = verdict === "allow" ? versions[index] !== null : sides[index]?.verdict === verdict;
        for (const { endpoint } of decides ? members : []) if (endpoint.hostName !== null) hosts.add(endpoint.hostName);
      }
    }
  }
  return [...parts].map(([said, hosts]) => `${said} on ${[...hosts].sort().join()}`).sort();
}

const shownCell = (row: VerdictRow, column: ComputedColumn): readonly string[] =>
  describeCell(row, column)
    .parts.map(({ verdict, sides, hostNames }) => {
      const said = sides.map((side) => `${side.verdict} ${side.decision?.id} ${side.version}`).join(" | ");
      return `${verdict}: ${said} on ${hostNames.join()}`;
    })
    .sort();

describe("what saves work", () => {
  it("leaves out no row that differs, and gives every answer its version and hosts", { timeout: 300_000 }, () => {
    let differing = 0;
    let versions = 0;
    fc.assert(
      fc.property(fleets, (fleet) => {
        const records = [...tableOf(fleet).rows({ includeAgreeing: true })].filter((row) => row !== null);
        const likely = [...tableOf(fleet).rows()].filter((row) => row !== null);
        const said = (row: VerdictRow) =>
          JSON.stringify([
            [row.from.text, row.to.text, row.ports],
            COMPUTED_COLUMNS.map((column) => describeCell(row, column)),
          ]);
        const differs = records.filter(({ disagrees }) => disagrees).map(said);
        expect(likely.map(said)).toEqual(differs);
        differing += differs.length;
        for (const row of records) {
          for (const column of COMPUTED_COLUMNS) {
            const shown = shownCell(row, column);
            expect(shown).toEqual(plainCell(row, column, fleet));
            versions = Math.max(versions, shown.length);
          }
        }
      }),
      { numRuns: WORLDS * 3, seed: SEED },
    );
    expect(differing).toBeGreaterThan(100);
    expect(versions).toBeGreaterThan(1);
  });

  it("grows by hosts and not by pairs of them when every host has a version of its own", () => {
    const hosts = Array.from({ length: 300 }, (_, index) =>
      host(`host-${index}`, {
        labels: new Map([["app", "web"]]),
        addresses: [`10.0.${index >> 7}.${1 + (index & 127)}`],
      }),
    );
    const table = new VerdictTable({
      ...{ worlds: [world(hosts, [allowWeb])], draftVersion: 0, stagedOf: () => null },
      enforcedOf: (name) => ({ kind: "unknown", version: Number(name?.slice(5)) + 1 }),
    });
    // One outcome for 90,000 pairs: what each host is unknown for is found when the row is looked at.
    const [row] = rowsOf(table, true).filter(({ from, to }) => from.text === to.text);
    expect(row?.outcomes).toHaveLength(1);
    const cell = describeCell(row!, "enforced", 10);
    expect(cell.parts).toHaveLength(10);
    expect(cell.partsLeftOut).toBe(300 * 299 - 10);
  });
});

describe("rows", () => {
  const following = (number: number, version: number): Stance => ({
    kind: "world",
    world: number,
    isEnforcing: true,
    version,
  });
  const draftCloses = () =>
    new VerdictTable({
      worlds: [closed, open],
      draftVersion: 0,
      enforcedOf: () => following(1, 1),
      stagedOf: () => null,
    });

  it("cuts recorded ports out of a difference, counts them, and says who talked", () => {
    const table = draftCloses();
    expect(table.add(record())).toBe("counted");
    expect(table.add(record({ sourceAddress: "10.0.0.2", count: 2, lastSeenMs: 9_000 }))).toBe("counted");
    expect(table.add(record({ port: 5432, count: 5 }))).toBe("counted");
    const rows = rowsOf(table).filter(
      ({ from, to }) => from.text === "default app=web" && to.text === "default app=db",
    );
    const ssh = rows.find(({ isRecorded }) => isRecorded)!;
    expect(rows.filter(({ isRecorded }) => isRecorded)).toHaveLength(1);
    expect(ssh.ports).toEqual([{ protocol: 6, exceptProtocols: [], low: 22, high: 22 }]);
    expect(ssh.count).toBe(42);
    expect(describeCell(ssh, "draft")).toMatchObject({
      verdict: "deny",
      parts: [
        {
          hostNames: ["db-1"],
          sides: [{ verdict: "allow" }, { verdict: "deny", decision: { policyKeys: [allowWeb.key] } }],
        },
      ],
    });
    expect(describeCell(ssh, "enforced").verdict).toBe("allow");
    expect(describeCell(ssh, "staged")).toEqual({ verdict: "nothing", parts: [], partsLeftOut: 0 });
    const reported = describeReported(ssh);
    expect(reported).toMatchObject({
      verdict: "allow",
      parts: [{ count: 42, firstSeenMs: 1_000, lastSeenMs: 9_000, generation: 7 }],
    });
    expect(reported.parts[0]?.talkers.map(({ from, count }) => [from, count])).toEqual([
      ["10.0.0.1", 40],
      ["10.0.0.2", 2],
    ]);
    const other = rows.find(({ isRecorded }) => !isRecorded)!;
    expect(other.ports.some((part) => portsHold(part, { protocol: 6, port: 22 }))).toBe(false);
    expect(other.ports.some((part) => portsHold(part, { protocol: 6, port: 23 }))).toBe(true);
    expect(describeReported(other).verdict).toBe("nothing");
  });

  it("says the same of hosts with addresses of both families, whether or not agreeing rows are listed", () => {
    const own = (name: string, number: number) =>
      host(name, { labels: new Map([["app", name]]), addresses: [`10.0.1.${number}`, `fd00::${number}`] });
    const both = [own("left", 1), own("right", 2)];
    const shut = policy("shut", { isolates: { ingress: true, egress: true } });
    const table = () =>
      new VerdictTable({
        worlds: [world(both, [shut]), world(both, [])],
        draftVersion: 0,
        enforcedOf: () => following(1, 1),
        stagedOf: () => null,
      });
    const said = (row: VerdictRow) =>
      JSON.stringify([
        row.from.text,
        row.to.text,
        row.ports,
        COMPUTED_COLUMNS.map((column) => describeCell(row, column)),
      ]);
    const disagreeing = rowsOf(table(), true).filter(({ disagrees }) => disagrees);
    expect(disagreeing.length).toBeGreaterThan(0);
    expect(rowsOf(table()).map(said).sort()).toEqual(disagreeing.map(said).sort());
  });

  it("says on how many hosts which state decides", () => {
    const table = new VerdictTable({
      worlds: [open, closed],
      draftVersion: 0,
      enforcedOf: (name) =>
        name === "beta" ? { kind: "unknown", version: 3 } : following(name === "alpha" ? 1 : 0, 1),
      stagedOf: () => null,
    });
    const rows = rowsOf(table, true).filter(
      ({ from, to }) => from.text === "default app=db" && to.text === "default app=web",
    );
    const [row] = rows;
    const cell = describeCell(row!, "enforced");
    expect(cell.verdict).toBe("mixed");
    expect(cell.parts.map(({ verdict, hostNames }) => [verdict, hostNames])).toEqual([
      ["allow", ["alpha", "db-1"]],
      ["unknown", ["beta"]],
    ]);
  });

  it("lists what was recorded otherwise than everything else agrees on", () => {
    const same = new VerdictTable({
      worlds: [closed],
      draftVersion: 0,
      enforcedOf: () => following(0, 1),
      stagedOf: () => null,
    });
    expect(rowsOf(same)).toEqual([]);
    same.add(record({ port: 5432 }));
    expect(rowsOf(same)).toEqual([]);
    same.add(record({ port: 23 }));
    const rows = rowsOf(same);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.ports).toMatchObject([{ low: 23 }]);
  });

  it("takes the destination's word, and keeps what has no row apart", () => {
    const table = draftCloses();
    table.add(record({ direction: "egress", hostId: "alpha", subjectKey: "Host/alpha", verdict: "allow", count: 3 }));
    table.add(record({ verdict: "deny", count: 3 }));
    const [row] = rowsOf(table).filter(({ isRecorded }) => isRecorded);
    expect(describeReported(row!).verdict).toBe("deny");
    expect(table.add(record({ sourceAddress: "198.51.100.1", destinationAddress: "203.0.113.1" }))).toBe("unowned");
    expect(table.add(record({ sourceAddress: "not an address" }))).toBe("unowned");
    expect(table.add(record({ sourceAddress: "127.0.0.1" }))).toBe("builtin");
    expect(table.add(record({ sourceAddress: "198.51.100.1" }))).toBe("counted");
  });

  it("keeps a bounded number of decisions apart, however many a host names, and goes on counting those", () => {
    const table = new VerdictTable({
      ...{ worlds: [closed, open], draftVersion: 0, mostParts: 2 },
      enforcedOf: () => following(1, 1),
      stagedOf: () => null,
    });
    expect(table.add(record())).toBe("counted");
    expect(table.add(record({ port: 23 }))).toBe("counted");
    expect(table.add(record({ decision: "another" }))).toBe("too-many");
    expect(table.add(record({ port: 24 }))).toBe("too-many");
    expect(table.add(record())).toBe("counted");
    const recorded = rowsOf(table).filter(({ isRecorded }) => isRecorded);
    expect(recorded.map(({ ports: [part], count }) => [part?.low, count]).sort()).toEqual([
      [22, 80],
      [23, 40],
    ]);
  });

  it("leaves out connections without an end on a chosen host", () => {
    const table = new VerdictTable({
      worlds: [closed, open],
      draftVersion: 0,
      enforcedOf: () => following(1, 1),
      stagedOf: () => null,
      isLookedAt: (name) => name === "alpha",
    });
    expect(table.add(record({ sourceAddress: "10.0.0.2" }))).toBe("elsewhere");
    expect(table.add(record())).toBe("counted");
    const addresses = rowsOf(table).flatMap(({ outcomes }) =>
      outcomes.flatMap(({ pairs }) => pairs.flatMap(([from]) => from.members.map(({ address }) => address))),
    );
    expect(addresses).not.toContain("10.0.0.2");
  });
});
