import { create } from "@bufbuild/protobuf";
import { DetectorKind, FindingSchema, type Finding as WireFinding } from "@wardline/api/wardline/v1/anomaly";
import { type Member, MemberSchema } from "@wardline/api/wardline/v1/cluster";
import { Direction } from "@wardline/api/wardline/v1/policy";
import type { GroupBaseline, HostSummary } from "@wardline/domain/anomaly";
import { timestampOf } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../agent/clock.ts";
import type { AnomalySharing } from "../../anomaly/ports.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { Keys } from "../keys.ts";
import type { HeldTerm, MembershipView } from "../ports.ts";
import { writeChains, writeGroups } from "./anomalyDuties.ts";
import { AnomalyExchange } from "./anomalyExchange.ts";
import { decodeGroup, decodeSummary, encodeSummary, MAX_BYTES } from "./records.ts";

const KEYS = new Keys();
const WAIT = { timeout: 60_000, interval: 10 };
const TIMING = { shortestPauseMs: 5, summaryEveryMs: 60_000 };
const LOG = { info() {}, warn() {} };

class FakeSharing implements AnomalySharing {
  habits: HostSummary | null;
  movements: WireFinding[] = [];
  group: GroupBaseline | null = null;
  chains: ReadonlyMap<string, readonly string[]> = new Map();
  #tell: () => void = () => {};

  constructor(host: string, median: number) {
    this.habits = { host, windows: 1_000, features: { "bytes.sent": { median, spread: median / 10 } } };
  }

  summary = async () => this.habits;
  async setGroup(group: GroupBaseline | null) {
    this.group = group;
  }
  lateralFindings = async () => this.movements;
  async setChains(chains: ReadonlyMap<string, readonly string[]>) {
    this.chains = chains;
  }
  onNews(listener: () => void) {
    this.#tell = listener;
    return () => {};
  }

  say(...movements: WireFinding[]): void {
    this.movements = movements;
    this.#tell();
  }
}

let store: MemoryClusterStore;
let members: Member[];
let exchanges: AnomalyExchange[];
const membership: MembershipView = { members: () => members, onChange: () => () => {} };
beforeEach(() => {
  store = new MemoryClusterStore(new MemoryStoreState(systemClock));
  members = [];
  exchanges = [];
});
afterEach(async () => {
  for (const exchange of exchanges) await exchange.close();
});

function join(name: string, median: number, labels: Record<string, string> = {}): FakeSharing {
  members.push(create(MemberSchema, { record: { name, labels } }));
  const sharing = new FakeSharing(name, median);
  const common = { store, keys: KEYS, clock: systemClock, random: Math.random, log: LOG, membership };
  const exchange = new AnomalyExchange({ ...common, memberName: name, sharing, timing: TIMING });
  exchanges.push(exchange);
  exchange.start();
  return sharing;
}

const term: HeldTerm = { number: 1n, fence: [], signal: new AbortController().signal };
const duty = () => ({ store, keys: KEYS, clock: systemClock, random: Math.random, membership });
const said = async (prefix: string) => (await store.range(prefix)).items.map(({ key }) => key.slice(prefix.length));

function movement(id: string, host: string, from: string, to: string, direction: Direction): WireFinding {
  const now = timestampOf(Date.now());
  const evidence = [
    { direction: Direction.INGRESS, sourceAddress: from, destinationAddress: host, protocol: 6, destinationPort: 22 },
    { direction: Direction.EGRESS, sourceAddress: host, destinationAddress: to, protocol: 6, destinationPort: 22 },
  ];
  const fields = { id, host, detector: DetectorKind.LATERAL_MOVEMENT, beganAt: now, lastAt: now, direction };
  return create(FindingSchema, { ...fields, remote: to, evidence });
}

describe("what is usual in a group", () => {
  it("is the median of three hosts or more, of one's own group where that is large enough", async () => {
    const web = ["a", "b", "c"].map((name, index) => join(name, 100 + index, { group: "web" }));
    const db = join("d", 900, { group: "db" });
    await expect.poll(() => said(KEYS.anomalySummaries), WAIT).toEqual(["a", "b", "c", "d"]);
    await writeGroups(duty(), term);
    await expect
      .poll(() => web.map(({ group }) => [group?.group, group?.hosts]), WAIT)
      .toEqual(Array(3).fill(["web", 3]));
    expect(web[0]?.group?.features["bytes.sent"]).toEqual({ median: 101, spread: 10.1 });
    expect(db.group).toMatchObject({ group: "all", hosts: 4 });
  });

  it("is not moved by one host that lies, and not there with two", async () => {
    const [a] = [join("a", 100), join("b", 101)];
    await expect.poll(() => said(KEYS.anomalySummaries), WAIT).toHaveLength(2);
    await writeGroups(duty(), term);
    expect(await said(KEYS.anomalyGroups)).toEqual([]);
    join("liar", 1e12);
    await expect.poll(() => said(KEYS.anomalySummaries), WAIT).toHaveLength(3);
    // It cannot have more votes by speaking for others, or for itself twice.
    const poison = encodeSummary({ host: "b", windows: 9, features: { "bytes.sent": { median: 1e12, spread: 1e12 } } });
    for (const name of ["liar2", "nobody"])
      await store.transact({ compare: [], then: [{ kind: "put", key: KEYS.anomalySummary(name), value: poison }] });
    await writeGroups(duty(), term);
    await expect.poll(() => a?.group?.features["bytes.sent"]?.median, WAIT).toBe(101);
    expect(a?.group?.hosts).toBe(3);
    expect(await said(KEYS.anomalySummaries)).toEqual(["a", "b", "liar"]);
  });

  it("goes when hosts leave", async () => {
    const sharings = ["a", "b", "c"].map((name) => join(name, 100));
    await expect.poll(() => said(KEYS.anomalySummaries), WAIT).toHaveLength(3);
    await writeGroups(duty(), term);
    await expect.poll(() => sharings[0]?.group?.group, WAIT).toBe("all");
    members.pop();
    await writeGroups(duty(), term);
    await expect.poll(() => sharings[0]?.group, WAIT).toBeNull();
  });

  it.each([
    ["no JSON", Buffer.from("{")],
    ["another version", Buffer.from('{"version":2,"windows":1,"features":{}}')],
    ["no windows", Buffer.from('{"version":1,"windows":0,"features":{}}')],
    ["a list", Buffer.from('{"version":1,"windows":1,"features":[]}')],
    ["too much", Buffer.alloc(MAX_BYTES + 1, " ")],
  ])("counts nothing of a summary that is %s", (_name, value) => {
    expect(decodeSummary(value, "a")).toBeNull();
  });

  it("takes no feature that is no number, and no group that is no name", () => {
    const odd = {
      version: 1,
      windows: 1,
      features: {
        good: { median: 1, spread: 1 },
        "b d": { median: 1, spread: 1 },
        no: { median: "1" },
        __proto__: null,
      },
    };
    expect(Object.keys(decodeSummary(Buffer.from(JSON.stringify(odd)), "a")?.features ?? {})).toEqual(["good"]);
    expect(decodeGroup(Buffer.from('{"version":1,"group":"../x","hosts":3,"features":{}}'))).toBeNull();
  });
});

describe("movements over hosts", () => {
  it("are put together by the leader and told to those that are part of them", async () => {
    const [a, b] = [join("a", 1), join("b", 1)];
    a.say(movement("hop-a", "10.0.0.1", "10.0.0.9", "10.0.0.2", Direction.EGRESS));
    b.say(movement("hop-b", "10.0.0.2", "10.0.0.1", "10.0.0.3", Direction.EGRESS));
    await expect.poll(() => said(KEYS.anomalyMovements), WAIT).toEqual(["a", "b"]);
    await writeChains(duty(), term);
    await expect.poll(() => b.chains.get("hop-b"), WAIT).toEqual(["hop-a", "hop-b"]);
    expect(a.chains.get("hop-a")).toEqual(["hop-a", "hop-b"]);
    a.say();
    await expect.poll(() => said(KEYS.anomalyMovements), WAIT).toEqual(["b"]);
  });

  it("take no word of one host about another's finding", async () => {
    const [a, b, liar] = [join("a", 1), join("b", 1), join("liar", 1)];
    a.say(movement("hop-a", "10.0.0.1", "10.0.0.9", "10.0.0.2", Direction.EGRESS));
    b.say(movement("hop-b", "10.0.0.2", "10.0.0.1", "10.0.0.3", Direction.EGRESS));
    liar.say(movement("hop-a", "10.0.0.7", "10.0.0.2", "10.0.0.3", Direction.EGRESS));
    await expect.poll(() => said(KEYS.anomalyMovements), WAIT).toHaveLength(3);
    await writeChains(duty(), term);
    expect((await store.get(KEYS.anomalyChains)).item).toBeNull();
  });
});
