/** What every `Enforcer` does, whatever it enforces with. Each backend's tests run this over it. */
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Enforcer } from "../enforce/enforcer.ts";
import { HAND_DECISION, handProgram } from "./handProgram.ts";

export interface ContractSubject {
  /** An enforcer of a new process on the same host. The one before is closed (or was never opened). */
  start(): Enforcer;
  /** Resolves when at least that much time of the datapath has passed. */
  pass(milliseconds: number): Promise<void>;
  /** Removes the host. */
  close(): Promise<void>;
}

const TCP = 6;
const programFor = (port: number) =>
  handProgram({ rules: [{ direction: "ingress", remote: null, protocol: TCP, port, verdict: "allow" }] });
const [FIRST, SECOND, THIRD] = [programFor(7001), programFor(7002), programFor(7003)];

const SOON_MS = 300;
const LATER_MS = 60_000;

async function codeOf(run: () => unknown): Promise<ErrorCode | null> {
  try {
    await run();
    return null;
  } catch (error) {
    return (error as Failure).code;
  }
}

/** `problem` = why the backend cannot be used here, or `null`. */
export function testEnforcerContract(name: string, problem: string | null, setUp: () => ContractSubject): void {
  describe.skipIf(problem !== null)(`${name} keeps the contract of enforcers${problem ? ` (${problem})` : ""}`, () => {
    let subject: ContractSubject;
    let enforcer: Enforcer;

    beforeEach(async () => {
      subject = setUp();
      enforcer = subject.start();
      await enforcer.open();
    }, 60_000);

    afterEach(async () => {
      await enforcer.release();
      await subject.close();
    }, 60_000);

    async function put(program: typeof FIRST, generation: number, fallbackAfterMs: number | null = null) {
      const prepared = await enforcer.prepare(program, generation);
      const micros = enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs });
      expect(micros).toBeGreaterThan(0);
    }

    async function restart(): Promise<void> {
      await enforcer.close();
      enforcer = subject.start();
      await enforcer.open();
    }

    it("has no generation on a host that is new to it", () => {
      expect(enforcer.state()).toEqual({
        attached: true,
        generation: 0,
        mode: "observe",
        programDigest: "",
        previousGeneration: 0,
        previousProgramDigest: "",
        previousMode: "observe",
        deadlineBootMs: null,
        expired: false,
        emergency: "none",
      });
      expect(enforcer.losses()).toEqual({ ringFull: 0n, rateLimited: 0n, notFollowed: 0n });
    });

    it("changes nothing by preparing, and says what decides after activating", async () => {
      const prepared = await enforcer.prepare(FIRST, 1);
      expect(prepared).toMatchObject({ generation: 1, program: { digest: FIRST.digest } });
      expect(enforcer.state()).toMatchObject({ generation: 0, programDigest: "", previousGeneration: 0 });
      enforcer.activate(prepared, { mode: "observe", fallbackAfterMs: null });
      expect(enforcer.state()).toMatchObject({
        attached: true,
        generation: 1,
        mode: "observe",
        programDigest: FIRST.digest,
        previousGeneration: 0,
        deadlineBootMs: null,
      });
    });

    it("keeps the generation before and returns to it in its former mode, and back again", async () => {
      await put(FIRST, 1);
      const second = await enforcer.prepare(SECOND, 2);
      enforcer.activate(second, { mode: "observe", fallbackAfterMs: null });
      const [first, other] = [
        { generation: 1, mode: "enforce", programDigest: FIRST.digest },
        { generation: 2, mode: "observe", programDigest: SECOND.digest },
      ] as const;
      const previous = ({ generation, mode, programDigest }: typeof first | typeof other) => ({
        previousGeneration: generation,
        previousMode: mode,
        previousProgramDigest: programDigest,
      });
      expect(enforcer.state()).toMatchObject({ ...other, ...previous(first) });
      expect(enforcer.revert()).toMatchObject({ ...first, ...previous(other) });
      expect(enforcer.revert()).toMatchObject({ ...other, ...previous(first) });
    });

    it("takes the program that was prepared last, and no other", async () => {
      await put(FIRST, 1);
      const stale = await enforcer.prepare(SECOND, 2);
      const fresh = await enforcer.prepare(THIRD, 3);
      const options = { mode: "enforce", fallbackAfterMs: null } as const;
      expect(await codeOf(() => enforcer.activate(stale, options))).toBe(ErrorCode.GENERATION_CONFLICT);
      expect(enforcer.state()).toMatchObject({ generation: 1, previousGeneration: 0 });
      expect(await codeOf(() => enforcer.revert())).toBe(ErrorCode.NOTHING_PENDING);
      enforcer.activate(fresh, options);
      expect(await codeOf(() => enforcer.activate(fresh, options))).toBe(ErrorCode.GENERATION_CONFLICT);
      expect(enforcer.state()).toMatchObject({ generation: 3, previousGeneration: 1 });
    });

    it("keeps both slots while a confirmation is awaited, and the new one after it", async () => {
      await put(FIRST, 1);
      await put(SECOND, 2, LATER_MS);
      const { deadlineBootMs } = enforcer.state();
      expect(deadlineBootMs).toBeGreaterThan(0);
      expect(await codeOf(() => enforcer.prepare(THIRD, 3))).toBe(ErrorCode.CONFIRMATION_PENDING);
      await restart();
      expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, deadlineBootMs, expired: false });
      enforcer.confirm();
      enforcer.confirm();
      expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, deadlineBootMs: null });
      await restart();
      expect(enforcer.state()).toMatchObject({ generation: 2, mode: "enforce", programDigest: SECOND.digest });
    });

    it("returns by itself when nobody confirms, whichever process asks", async () => {
      await put(FIRST, 1);
      await put(SECOND, 2, SOON_MS);
      await subject.pass(SOON_MS + 50);
      expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, expired: true });
      await restart();
      expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, expired: true });
      expect(await codeOf(() => enforcer.confirm())).toBe(ErrorCode.DEADLINE_EXCEEDED);
      expect(enforcer.revert()).toMatchObject({ generation: 1, deadlineBootMs: null, expired: false });
      await put(SECOND, 3, SOON_MS);
      await subject.pass(SOON_MS + 50);
      // What has expired stands in nobody's way.
      await put(THIRD, 4);
      expect(enforcer.state()).toMatchObject({ generation: 4, previousGeneration: 1, deadlineBootMs: null });
    });

    it("returns to no generation at all when the first one is not wanted", async () => {
      await put(FIRST, 1, LATER_MS);
      expect(enforcer.revert()).toMatchObject({
        generation: 0,
        programDigest: "",
        deadlineBootMs: null,
        attached: true,
      });
    });

    it("pulls the emergency brake without touching a slot, and leaves it pulled for the next process", async () => {
      await put(FIRST, 1);
      for (const emergency of ["closed", "open"] as const) {
        enforcer.setEmergency(emergency);
        await restart();
        expect(enforcer.state()).toMatchObject({ generation: 1, mode: "enforce", emergency, attached: true });
      }
      await put(SECOND, 2, LATER_MS);
      expect(enforcer.state()).toMatchObject({ generation: 2, emergency: "open" });
      enforcer.confirm();
      expect(enforcer.state()).toMatchObject({ generation: 2, emergency: "open" });
      enforcer.setEmergency("none");
      expect(enforcer.state()).toMatchObject({ generation: 2, previousGeneration: 1, emergency: "none" });
    });

    it("counts for decisions of its program only", async () => {
      await put(FIRST, 1);
      const counters = enforcer.readCounters();
      const known = new Set(FIRST.decisions.map(({ index }) => index));
      expect(counters.filter(({ decision }) => !known.has(decision))).toEqual([]);
      const rule = counters.find(({ decision }) => decision === HAND_DECISION.firstRule);
      if (rule) expect(rule).toMatchObject({ packets: 0n, bytes: 0n, lastSeenBootNs: 0n });
    });

    it("hands over what a slot counted before that is lost, and only once", async () => {
      if (!enforcer.slotCounters || !enforcer.onCountersEnd) return;
      const ended: string[] = [];
      enforcer.onCountersEnd(({ generation, programDigest }) => ended.push(`${generation} ${programDigest}`));
      const slots = () => (enforcer.slotCounters?.() ?? []).map(({ generation }) => generation).sort();
      await put(FIRST, 1);
      await put(SECOND, 2);
      expect(slots()).toEqual([1, 2]);
      // What is counted may grow at any moment; where it is counted stays.
      const storages = () => (enforcer.slotCounters?.() ?? []).map(({ storage, generation }) => [generation, storage]);
      expect(storages()).toEqual(storages());
      await enforcer.prepare(THIRD, 3);
      expect([ended, slots()]).toEqual([[`1 ${FIRST.digest}`], [2]]);
      await enforcer.release();
      expect(ended).toEqual([`1 ${FIRST.digest}`, `2 ${SECOND.digest}`]);
    });

    it("tells of living flows in batches, or says by an empty answer that it follows none", async () => {
      await put(FIRST, 1);
      for await (const batch of enforcer.flowProgress(0n))
        for (const flow of batch) expect(flow.bytes).toBe(flow.originatorBytes + flow.responderBytes);
      // Whoever reads while the enforcer is closed comes to an end and not to an error.
      const reading = enforcer.flowProgress(0n)[Symbol.asyncIterator]();
      await reading.next();
      await restart();
      for (let batch = 0; batch < 100 && !(await reading.next()).done; batch += 1);
      expect((await reading.next()).done).toBe(true);
    });

    it("remembers nothing after a release", async () => {
      await put(FIRST, 1);
      enforcer.setEmergency("open");
      await enforcer.release();
      enforcer = subject.start();
      expect(await enforcer.open()).toMatchObject({ generation: 0, previousGeneration: 0, emergency: "none" });
    });
  });
}
