import type { DiscoveredEndpoint } from "@wardline/domain/cluster";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NOTHING_DISCOVERED } from "../agent/policyEngine.ts";
import { type NameLookup, NameResolver } from "../names/nameResolver.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { GenerationContexts } from "./contexts.ts";
import { GENERATION_ZERO } from "./records.ts";
import { Refresher } from "./refresher.ts";
import type { Compiled } from "./switching.ts";

const DB: DiscoveredEndpoint = {
  kind: "service",
  namespace: "default",
  name: "db",
  instance: "10.0.0.5",
  labels: new Map(),
  addresses: ["10.0.0.5"],
};
const WEB = { ...DB, name: "web" };

let clock: FakeClock;
let contexts: GenerationContexts;
let refreshed: { readonly atMs: number; readonly why: string }[];
let problems: string[];
let discovered: readonly DiscoveredEndpoint[];
let changed: () => void;
let controllerChanged: () => void;
let isPending: boolean;
let refresh: () => Promise<void>;
let lookup: NameLookup;
let refresher: Refresher;
let resolver: NameResolver;

const nowMs = () => Number(clock.bootNs() / 1_000_000n);

/** What the enforced generation was made with. */
function enforce(names: readonly string[] = []): void {
  const world = { policies: [], inventory: { endpoints: [], namespaces: new Map(), domainAddresses: new Map() } };
  const circumstances = { ...GENERATION_ZERO.circumstances, discovered, domainAddresses: resolver.addresses() };
  const dependencies = { expiriesUnixMs: [], domainNames: names };
  contexts.remember(1, { world, program: {}, circumstances, dependencies } as unknown as Compiled);
}

beforeEach(() => {
  clock = new FakeClock();
  contexts = new GenerationContexts();
  [refreshed, problems, isPending, discovered] = [[], [], false, NOTHING_DISCOVERED];
  lookup = async () => ({ addresses: ["192.0.2.1"], timeToLiveMs: 60_000 });
  resolver = new NameResolver({ lookup: (name, signal) => lookup(name, signal), nowMs });
  refresh = async () => enforce();
  refresher = new Refresher({
    controller: {
      enforced: { ...GENERATION_ZERO, number: 1 },
      get pending() {
        return isPending ? ({} as never) : null;
      },
      catchUp: async () => {},
      refresh: async (why: string) => {
        refreshed.push({ atMs: nowMs(), why });
        await refresh();
      },
      onChange: (listener: () => void) => {
        controllerChanged = listener;
        return () => {};
      },
    } as never,
    contexts,
    resolver,
    discovered: {
      current: () => discovered,
      onChange: (listener) => {
        changed = listener;
        return () => {};
      },
    },
    clock,
    onProblem: (problem) => problems.push(problem),
  });
  enforce();
});
afterEach(() => refresher.close());

function discover(...endpoints: readonly DiscoveredEndpoint[]): void {
  discovered = endpoints;
  changed();
}

describe("the refresher", () => {
  it("acts on a discovery at once and not at the next second", async () => {
    await clock.advance(1_500);
    const fromMs = nowMs();
    discover(DB);
    await clock.advance(30);
    expect(refreshed).toEqual([{ atMs: fromMs + 20, why: "what the cluster knows of hosts and services has changed" }]);
    await clock.advance(5_000);
    expect(refreshed).toHaveLength(1);
  });

  it("takes what comes together at once, and a storm at most four times a second, the last state included", async () => {
    await clock.advance(1_000);
    for (let at = 0; at < 200; at++) {
      discover(DB, { ...WEB, instance: String(at) });
      await clock.advance(5);
    }
    expect(refreshed.length).toBeGreaterThan(2);
    expect(refreshed.length).toBeLessThanOrEqual(5);
    await clock.advance(300);
    expect(contexts.get(1)?.circumstances.discovered.at(-1)?.instance).toBe("199");
  });

  it("does not refresh for another object that says the same", async () => {
    discover(DB);
    await clock.advance(500);
    discover({ ...DB, labels: new Map() });
    await clock.advance(2_000);
    expect(refreshed).toHaveLength(1);
  });

  it("waits for a confirmation that is pending, and acts when it came", async () => {
    isPending = true;
    discover(DB);
    await clock.advance(5_000);
    expect(refreshed).toEqual([]);
    isPending = false;
    controllerChanged();
    await clock.advance(30);
    expect(refreshed).toHaveLength(1);
  });

  it("waits for no name server: a discovery counts while one hangs", async () => {
    let answer = (_: { addresses: string[]; timeToLiveMs: number }) => {};
    lookup = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    refresh = async () => enforce(["a.test"]);
    enforce(["a.test"]);
    await clock.advance(1_000);
    discover(DB);
    await clock.advance(30);
    expect(refreshed).toHaveLength(1);
    answer({ addresses: ["192.0.2.9"], timeToLiveMs: 60_000 });
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(300);
    expect(refreshed.at(-1)?.why).toBe("addresses of domain names have changed");
    expect(contexts.get(1)?.circumstances.domainAddresses.get("a.test")).toEqual(["192.0.2.9"]);
  });

  it("rests after a refresh that failed, and says so once", async () => {
    refresh = () => Promise.reject(new Error("the slot cannot be filled"));
    discover(DB);
    await clock.advance(10_000);
    expect([refreshed.length, problems]).toEqual([1, ["the slot cannot be filled"]]);
    refresh = async () => enforce();
    await clock.advance(25_000);
    expect(refreshed).toHaveLength(2);
  });
});
