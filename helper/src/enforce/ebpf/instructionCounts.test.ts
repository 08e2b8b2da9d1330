import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LoadedObject, loadObject, programInfo } from "../../linux/bpf/libbpf.ts";
import { kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import { PROGRAM_NAMES } from "./layout.ts";

const RECORDED_PATH = fileURLToPath(new URL("../../../../bench/results/verifier.json", import.meta.url));
const RECORD_ANEW = "npm run bench -- verifier";
/** What a change may add before somebody has to look at it. */
const ALLOWED_GROWTH = 1.15;
/** The kernel's own limit for one program. */
const VERIFIER_LIMIT = 1_000_000;

interface Recorded {
  readonly machine: { readonly kernel: string };
  readonly programs: Readonly<Record<string, { readonly verifiedInstructions: number }>>;
}

function readRecorded(): Recorded | null {
  return existsSync(RECORDED_PATH) ? (JSON.parse(readFileSync(RECORDED_PATH, "utf8")) as Recorded) : null;
}

/** `6.18.44-fc` is `6.18`: another verifier walks another number of instructions. */
function kernelVersion(text: string): string {
  return text.split(".").slice(0, 2).join(".");
}

const recorded = readRecorded();
const problem =
  kernelLabProblem() ??
  (recorded === null
    ? `nothing is recorded: ${RECORD_ANEW}`
    : kernelVersion(recorded.machine.kernel) === kernelVersion(release())
      ? null
      : `recorded on another kernel, ${recorded.machine.kernel}: ${RECORD_ANEW}`);

describe.skipIf(problem !== null)(`instruction counts${problem === null ? "" : ` (${problem})`}`, () => {
  let object: LoadedObject;

  beforeAll(() => {
    object = loadObject(readBpfObject(), { maxEntries: new Map(), reuse: new Map() });
  });

  afterAll(() => object.close());

  it("are recorded for every program", () => {
    expect(Object.keys(recorded?.programs ?? {}).sort(), `record them anew: ${RECORD_ANEW}`).toEqual(
      Object.values(PROGRAM_NAMES).sort(),
    );
  });

  it.each(Object.values(PROGRAM_NAMES))("%s has not grown by more than 15 %", (name) => {
    const { verifiedInstructions } = programInfo(object.programFd(name));
    const before = recorded?.programs[name]?.verifiedInstructions ?? 0;
    expect(verifiedInstructions).toBeGreaterThan(0);
    expect(verifiedInstructions).toBeLessThan(VERIFIER_LIMIT / 2);
    expect(
      verifiedInstructions,
      `${name} was ${before} instructions for the verifier and is ${verifiedInstructions}. When that is meant: ${RECORD_ANEW}`,
    ).toBeLessThanOrEqual(Math.ceil(before * ALLOWED_GROWTH));
  });
});
