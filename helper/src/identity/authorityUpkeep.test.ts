import { Failure } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../agent/clock.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { IdentityLab } from "../testing/identityLab.ts";
import { ROOT_LIFE_MS } from "./authority.ts";
import { AuthorityUpkeep, TRUSTED_BEFORE_SIGNING_MS } from "./authorityUpkeep.ts";
import { loadIdentity } from "./identityRecord.ts";
import { decodePem } from "./pem.ts";
import type { IdentityEvent } from "./ports.ts";
import { verifyPeer } from "./verifyPeer.ts";

const DAY_MS = 86_400_000;
const log = pino({ enabled: false });

let clock: FakeClock;
let lab: IdentityLab;
let events: IdentityEvent[];

beforeEach(async () => {
  clock = new FakeClock();
  lab = await IdentityLab.create({ clock });
  events = [];
});
afterEach(() => lab.close());

/** One look of the duty: it does what is due and waits. */
async function look(fence: Parameters<AuthorityUpkeep["run"]>[0]["fence"] = []): Promise<void> {
  const term = new AbortController();
  // It waits when it has done what is due: then the term ends.
  const endsTerm: Clock = {
    bootNs: () => clock.bootNs(),
    wallMs: () => clock.wallMs(),
    schedule: () => {
      queueMicrotask(() => term.abort());
      return () => undefined;
    },
  };
  const audit = (event: IdentityEvent) => events.push(event);
  const upkeep = new AuthorityUpkeep({ authorities: lab.authorityStore, clock: endsTerm, log, audit });
  await upkeep.run({ number: 1n, fence, signal: term.signal });
}

const rootCount = async () => (await lab.authorityStore.current()).roots.length;

describe("AuthorityUpkeep", () => {
  it("does nothing in a root's first years", async () => {
    clock.wallOffsetMs += 0.79 * ROOT_LIFE_MS;
    await look();
    expect(await rootCount()).toBe(1);
    expect(events).toEqual([]);
  });

  it("goes from one root to the next without a moment in which a certificate that lasts is not trusted", async () => {
    const first = (await lab.authorityStore.current()).signingFingerprint;
    clock.wallOffsetMs += 0.81 * ROOT_LIFE_MS;
    const old = await lab.join("old");
    await look();
    await look();
    expect(await rootCount()).toBe(2);
    expect((await lab.authorityStore.current()).signingFingerprint).toBe(first);
    clock.wallOffsetMs += TRUSTED_BEFORE_SIGNING_MS - DAY_MS;
    await look();
    expect((await lab.authorityStore.current()).signingFingerprint).toBe(first);
    clock.wallOffsetMs += DAY_MS;
    await look();
    const signing = await lab.authorityStore.current();
    expect(signing.signingFingerprint).not.toBe(first);
    // Members of before and of now know each other.
    const fresh = await lab.join("new");
    for (const stored of [old, fresh]) {
      const atMs = loadIdentity(stored).leaf.expiresAtMs - 1;
      expect(verifyPeer(decodePem(stored.chainPem), signing.trusted, atMs)).not.toBeInstanceOf(Failure);
    }
    clock.wallOffsetMs += 90 * DAY_MS;
    await look();
    expect(await rootCount()).toBe(2);
    clock.wallOffsetMs += DAY_MS;
    await look();
    expect(await rootCount()).toBe(1);
    expect(events.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/is trusted from now/),
      expect.stringMatching(/signs from now/),
      expect.stringMatching(/trusted no more/),
    ]);
  });

  it("changes nothing for a leader that leads no more", async () => {
    clock.wallOffsetMs += 0.9 * ROOT_LIFE_MS;
    const deposed = [{ key: lab.keys.leader, target: "create" as const, operator: ">" as const, number: 0n }];
    await expect(look(deposed)).rejects.toBeInstanceOf(Failure);
    expect(await rootCount()).toBe(1);
    expect(events).toEqual([]);
  });
});
