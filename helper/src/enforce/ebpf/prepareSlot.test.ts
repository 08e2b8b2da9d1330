import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, existsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { createLookup, type ProgramPacket } from "@wardline/domain/policy";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_MAP_TYPE,
  createMap,
  lookupElement,
  mapInfo,
  mapMemory,
  openPin,
  pageSize,
  pin,
  updateElement,
  writeMapMemory,
} from "../../linux/bpf/libbpf.ts";
import { editedPrograms } from "../../testing/editedPrograms.ts";
import { handProgram } from "../../testing/handProgram.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { patchedPrograms, type RuleEdit } from "../../testing/patchedPrograms.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import { renumberedProgram } from "../../testing/renumberedProgram.ts";
import { columnsOf } from "./columns.ts";
import type { EbpfEnforcer } from "./ebpfEnforcer.ts";
import { CONTROL, decodeWord, encodeWord, LAYOUT_VERSION, LINE_SIZE } from "./layout.ts";

const SEED = Number(process.env.WARDLINE_FUZZ_SEED ?? 20_261_121);
const MANY = 40_000;
const problem = kernelLabProblem();

describe.skipIf(problem !== null)(`preparing a generation${problem === null ? "" : ` (${problem})`}`, () => {
  let runner: ProgramRunner;
  let enforcer: EbpfEnforcer;
  let generation = 0;
  beforeEach(async () => {
    runner = new ProgramRunner();
    await runner.open();
    enforcer = runner.enforcer;
  });
  afterEach(() => runner.close());

  async function apply(program: ReturnType<typeof handProgram>): Promise<void> {
    generation += 1;
    const prepared = await enforcer.prepare(program, generation);
    enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  /** The memory of the tables in a slot, as anybody with the rights could open it. */
  function tablesOf(slot: 0 | 1) {
    const fd = openPin(join(runner.bpffsDir, `layout-${LAYOUT_VERSION}`, `inner_wl_tables_${slot}`));
    if (fd === null) throw new Error("the slot has no tables");
    const size = Math.ceil((mapInfo(fd).maxEntries * LINE_SIZE) / pageSize()) * pageSize();
    const { memory, unmap } = mapMemory(fd, size, 0, true);
    return {
      bytes: new Uint8Array(memory),
      close: () => {
        unmap();
        closeSync(fd);
      },
    };
  }

  it("gives a slot that the kernel answers from as the program says, whatever both slots held before", {
    timeout: 240_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(editedPrograms, async (programs) => {
        for (const { edit, program, packets } of programs) {
          generation += 1;
          const prepared = await enforcer.prepare(program, generation);
          const lookup = createLookup(program);
          for (const packet of packets)
            expect(enforcer.ask(packet).decision, `${edit} ${JSON.stringify(packet)}`).toBe(lookup(packet).index);
          enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
          if (edit === "another verdict") enforcer.revert();
        }
      }),
      { numRuns: 12, seed: SEED, endOnFailure: true },
    );
  });

  it("answers in the kernel as policies compiled from nothing do, while one rule after the other changes", async () => {
    const edits = Array.from({ length: 24 }, (_, step): RuleEdit => {
      const action = step % 3 === 0 ? "deny" : "allow";
      return { place: step * 7, low: 3000 + step * 50, width: step % 6 === 5 ? 6 : 0, action };
    });
    const asked: ProgramPacket[] = [];
    let patched = 0;
    for (const [step, { program, fresh, packets }] of [...patchedPrograms(50, edits)].entries()) {
      asked.push(...packets);
      if (columnsOf(program).patched.size > 0) patched += 1;
      generation += 1;
      const prepared = await enforcer.prepare(program, generation);
      const lookup = createLookup(fresh);
      for (const packet of asked) expect(enforcer.ask(packet).decision).toBe(lookup(packet).index);
      // Some are never put in force, and some are left again: the slots then hold versions that are further apart.
      if (step % 5 === 4) continue;
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
      if (step % 7 === 6) enforcer.revert();
    }
    expect(patched).toBeGreaterThan(10);
  });

  it("finds what somebody else wrote into the slot, and writes all of it again", async () => {
    const rule = { direction: "ingress", remote: "10.0.0.1", protocol: 6, port: 80, verdict: "deny" } as const;
    const others = Array.from({ length: 400 }, (_, place) => ({
      ...rule,
      remote: `10.9.${place >> 8}.${place & 255}`,
    }));
    const program = (port: number) => handProgram({ rules: [{ ...rule, port }, ...others] });
    for (const port of [1, 2, 3, 4]) await apply(program(port));
    for (const slot of [0, 1] as const) {
      const tables = tablesOf(slot);
      // Lines that no change of this rule touches.
      tables.bytes.fill(0, 64 * LINE_SIZE, 80 * LINE_SIZE);
      tables.close();
    }
    for (const port of [5, 6]) {
      generation += 1;
      const prepared = await enforcer.prepare(program(port), generation);
      const lookup = createLookup(program(port));
      for (const { remote } of others) {
        const packet = { set: 0, direction: "ingress", remote, protocol: 6, port: 80 } as const;
        expect(enforcer.ask(packet).decision).toBe(lookup(packet).index);
      }
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    }
  });

  it("gives the slot that was left as much room in time, with what it held, and then needs no new map", async () => {
    const infoOf = (slot: 0 | 1) => {
      const fd = openPin(join(runner.bpffsDir, `layout-${LAYOUT_VERSION}`, `inner_wl_tables_${slot}`));
      if (fd === null) return { id: 0, maxEntries: 0 };
      const { id, maxEntries } = mapInfo(fd);
      closeSync(fd);
      return { id, maxEntries };
    };
    const rule = { direction: "ingress", protocol: 6, verdict: "deny" } as const;
    const large = (port: number) =>
      handProgram({
        rules: Array.from({ length: 20_000 }, (_, place) => {
          return { ...rule, remote: `10.${place >> 8}.${place & 255}.1`, port: port + place };
        }),
      });
    const small = handProgram({ rules: [{ ...rule, remote: "10.0.0.1", port: 80 }] });
    // Before anything is applied the slot that comes first has room already: 1 decides after that.
    await expect.poll(() => infoOf(1).maxEntries).toBeGreaterThan(0);
    const first = infoOf(1);
    await apply(small);
    expect(infoOf(1)).toEqual(first);
    await expect.poll(() => infoOf(0).maxEntries).toBe(first.maxEntries);
    await apply(large(1));
    expect(infoOf(0).maxEntries).toBeGreaterThan(first.maxEntries);
    await expect.poll(() => infoOf(1).maxEntries).toBe(infoOf(0).maxEntries);
    const grown = infoOf(1);
    const packet = { set: 0, direction: "ingress", remote: "10.0.0.1", protocol: 6, port: 80 } as const;
    expect(enforcer.ask(packet)).toMatchObject({ decision: createLookup(small)(packet).index, deny: true });
    enforcer.revert();
    expect(enforcer.state().programDigest).toBe(small.digest);
    enforcer.revert();
    await apply(large(7));
    expect(infoOf(1)).toEqual(grown);
  });

  it.each([
    ["before it is installed", false],
    ["after it was installed, before it has its name", true],
  ])(
    "is followed by another process when one dies with a larger map for the other slot, %s",
    async (_, isInstalled) => {
      const rule = { direction: "ingress", remote: "10.0.0.1", protocol: 6, verdict: "deny" } as const;
      const [first, second] = [80, 81].map((port) => handProgram({ rules: [{ ...rule, port }] }));
      if (first === undefined || second === undefined) throw new Error("two programs");
      await apply(first);
      await apply(second);
      await enforcer.close();
      // The first program is in slot 1: that of a host that is new decides in 0 before.
      const directory = join(runner.bpffsDir, `layout-${LAYOUT_VERSION}`);
      const [outer, present] = [openPin(join(directory, "wl_tables")), openPin(join(directory, "inner_wl_tables_1"))];
      if (outer === null || present === null) throw new Error("the tables are not pinned");
      const { maxEntries, valueSize } = mapInfo(present);
      const flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP;
      const shape = { type: BPF_MAP_TYPE.array, name: "wl_tables", keySize: 4, valueSize, flags };
      // So large that nobody gives the slot yet another one.
      const larger = createMap({ ...shape, maxEntries: Math.max(2 * maxEntries, 2 ** 21 / LINE_SIZE) });
      const { memory, unmap } = mapMemory(present, maxEntries * valueSize, 0, false);
      writeMapMemory(larger, 0, new Uint8Array(memory));
      unmap();
      pin(larger, join(directory, "inner_wl_tables_1-new"));
      const value = Buffer.alloc(4);
      value.writeUInt32LE(larger);
      if (isInstalled) updateElement(outer, Buffer.from([1, 0, 0, 0]), value);
      for (const fd of [outer, present, larger]) closeSync(fd);

      await enforcer.open();
      // It has its name then: the next one that is put in its place takes the other.
      if (isInstalled) {
        await expect.poll(() => existsSync(join(directory, "inner_wl_tables_1-new"))).toBe(false);
        expect(installedIn(1)).toBe(pinnedIn(1));
      }
      expect(enforcer.state()).toMatchObject({ programDigest: second.digest, previousProgramDigest: first.digest });
      for (const port of [80, 81]) {
        const packet = { set: 0, direction: "ingress", remote: "10.0.0.1", protocol: 6, port } as const;
        expect(enforcer.ask(packet).decision).toBe(createLookup(first)(packet).index);
      }
      enforcer.revert();
      expect(enforcer.state()).toMatchObject({ programDigest: first.digest, previousProgramDigest: second.digest });
      await apply(second);
      await apply(first);
      expect(enforcer.state().programDigest).toBe(first.digest);
    },
  );

  /** Number of the map that the programs read in a slot. */
  function installedIn(slot: 0 | 1, kind: "wl_tables" | "wl_hashes" = "wl_tables"): number {
    const fd = openPin(join(runner.bpffsDir, `layout-${LAYOUT_VERSION}`, kind));
    if (fd === null) throw new Error(`${kind} is not pinned`);
    const id = Buffer.alloc(4);
    const isThere = lookupElement(fd, Buffer.from([slot, 0, 0, 0]), id);
    closeSync(fd);
    return isThere ? id.readUInt32LE() : 0;
  }

  function pinnedIn(slot: 0 | 1): number {
    const fd = openPin(join(runner.bpffsDir, `layout-${LAYOUT_VERSION}`, `inner_wl_tables_${slot}`));
    if (fd === null) return 0;
    const { id } = mapInfo(fd);
    closeSync(fd);
    return id;
  }

  const hasSetpriv = spawnSync("setpriv", ["--version"]).status === 0;
  it.skipIf(!hasSetpriv)(
    "leaves a slot as it is whose pins are gone, where maps cannot be opened by number",
    async () => {
      const rule = { direction: "ingress", remote: "10.0.0.1", protocol: 6, verdict: "deny" } as const;
      const [first, second] = [80, 81].map((port) => handProgram({ rules: [{ ...rule, port }] }));
      if (first === undefined || second === undefined) throw new Error("two programs");
      await apply(first);
      await apply(second);
      await expect.poll(() => installedIn(1, "wl_hashes")).toBeGreaterThan(0);
      await enforcer.close();
      const directory = join(runner.bpffsDir, `layout-${LAYOUT_VERSION}`);
      for (const kind of ["wl_tables", "wl_hashes"]) unlinkSync(join(directory, `inner_${kind}_1`));
      const before = [installedIn(1), installedIn(1, "wl_hashes")];
      // With what the unit gives to the agent.
      const confined = ["--no-new-privs", "--bounding-set=-all,+bpf,+perfmon,+net_admin"];
      const code = `
      const { openPin } = await import(${JSON.stringify(new URL("../../linux/bpf/libbpf.ts", import.meta.url))});
      const { provisionSlot } = await import(${JSON.stringify(new URL("./tables.ts", import.meta.url))});
      const path = ${JSON.stringify(directory)};
      const maps = { wl_tables: openPin(path + "/wl_tables"), wl_hashes: openPin(path + "/wl_hashes") };
      provisionSlot({ maps, path }, 1);`;
      execFileSync("setpriv", [...confined, process.execPath, "--no-warnings", "--input-type=module", "-e", code]);
      expect([installedIn(1), installedIn(1, "wl_hashes")]).toEqual(before);

      await enforcer.open();
      for (const port of [80, 81]) {
        const packet = { set: 0, direction: "ingress", remote: "10.0.0.1", protocol: 6, port } as const;
        expect(enforcer.ask(packet).decision).toBe(createLookup(first)(packet).index);
      }
    },
  );

  it("does not return to a slot that a process was giving up, or putting in force, when it died", async () => {
    const rule = { direction: "ingress", remote: "10.0.0.1", protocol: 6, verdict: "deny" } as const;
    const [first, second] = [80, 81].map((port) => handProgram({ rules: [{ ...rule, port }] }));
    if (first === undefined || second === undefined) throw new Error("two programs");
    await apply(first);
    await apply(second);
    await enforcer.close();
    // Both write the word and the label of the slot one after the other; in between it has a label and no stamp.
    const fd = runner.pin("wl_control");
    const control = Buffer.alloc(CONTROL.size);
    lookupElement(fd, Buffer.alloc(4), control);
    const word = decodeWord(control.readBigUInt64LE(CONTROL.word));
    const without = { ...word, otherEpoch: 0, otherEnforce: false, otherWorkloads: false };
    control.writeBigUInt64LE(encodeWord(without), CONTROL.word);
    updateElement(fd, Buffer.alloc(4), control);
    closeSync(fd);

    await enforcer.open();
    expect(enforcer.state()).toMatchObject({ programDigest: second.digest, previousGeneration: 0 });
    expect(() => enforcer.revert()).toThrow("no earlier generation");
    expect(enforcer.state()).toMatchObject({ programDigest: second.digest, mode: "enforce" });
    await apply(first);
    enforcer.revert();
    expect(enforcer.state()).toMatchObject({ programDigest: second.digest, previousProgramDigest: first.digest });
  });

  it("leaves others their turns", async () => {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    // A fast machine gives up its turn once or twice for each.
    for (const variant of [1, 2, 3, 4]) await apply(renumberedProgram(variant, MANY));
    isDone = true;
    expect(turns).toBeGreaterThan(2);
  });

  it("waits for the one before", async () => {
    const [first, second] = await Promise.all([
      enforcer.prepare(renumberedProgram(1, MANY), 1001),
      enforcer.prepare(renumberedProgram(2, 10), 1002),
    ]);
    expect(() => enforcer.activate(first, { mode: "enforce", fallbackAfterMs: null })).toThrow("no longer loaded");
    enforcer.activate(second, { mode: "enforce", fallbackAfterMs: null });
    expect(enforcer.state()).toMatchObject({ generation: 1002, mode: "enforce" });
  });

  it("ends with the enforcer, and what is in force stays", async () => {
    await apply(renumberedProgram(1, 10));
    const before = enforcer.state();
    const preparing = enforcer.prepare(renumberedProgram(2, MANY), 1003);
    const outcome = expect(preparing).rejects.toThrow("was closed while it prepared");
    await new Promise((resolve) => setImmediate(resolve));
    await enforcer.close();
    await outcome;
    await enforcer.open();
    expect(enforcer.state()).toMatchObject({ generation: before.generation, programDigest: before.programDigest });
    await apply(renumberedProgram(3, 10));
  });
});
