/** What the kernel itself counts of attached programs: runs and nanoseconds, while `kernel.bpf_stats_enabled` is on. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const SWITCH = "/proc/sys/kernel/bpf_stats_enabled";

export interface ProgramRuns {
  readonly runs: number;
  readonly nanoseconds: number;
}

/** Counts while `use` runs, and puts the switch back as it was. */
export async function withProgramStatistics<T>(use: () => Promise<T>): Promise<T> {
  const before = readFileSync(SWITCH, "utf8");
  writeFileSync(SWITCH, "1");
  try {
    return await use();
  } finally {
    writeFileSync(SWITCH, before);
  }
}

interface ListedProgram {
  readonly name?: string;
  readonly run_cnt?: number;
  readonly run_time_ns?: number;
}

function ask(args: readonly string[]): readonly ListedProgram[] {
  const answer = JSON.parse(execFileSync("bpftool", ["-j", "prog", "show", ...args]).toString()) as
    | ListedProgram
    | ListedProgram[];
  return Array.isArray(answer) ? answer : [answer];
}

/** Every pinned program below a bpffs directory, by its file name. */
export function pinnedProgramRuns(bpffsDir: string): Map<string, ProgramRuns> {
  const found = new Map<string, ProgramRuns>();
  for (const tree of readdirSync(bpffsDir).filter((name) => name.startsWith("layout-")))
    for (const name of readdirSync(join(bpffsDir, tree)).filter((pin) => pin.startsWith("wardline_"))) {
      const [program] = ask(["pinned", join(bpffsDir, tree, name)]);
      found.set(name, { runs: program?.run_cnt ?? 0, nanoseconds: program?.run_time_ns ?? 0 });
    }
  return found;
}

/** Every loaded program of these names, whoever loaded it. */
export function namedProgramRuns(names: readonly string[]): Map<string, ProgramRuns> {
  return new Map(
    names.map((name) => {
      const programs = ask([]).filter((program) => program.name === name);
      const sum = (pick: (program: ListedProgram) => number): number =>
        programs.reduce((total, program) => total + pick(program), 0);
      return [name, { runs: sum((one) => one.run_cnt ?? 0), nanoseconds: sum((one) => one.run_time_ns ?? 0) }];
    }),
  );
}

/** Nanoseconds of one run between two readings; `null` for programs that did not run. */
export function costBetween(
  before: ReadonlyMap<string, ProgramRuns>,
  after: ReadonlyMap<string, ProgramRuns>,
): Map<string, { readonly runs: number; readonly nsPerRun: number } | null> {
  return new Map(
    [...after].map(([name, { runs, nanoseconds }]) => {
      const earlier = before.get(name) ?? { runs: 0, nanoseconds: 0 };
      const more = runs - earlier.runs;
      return [name, more > 0 ? { runs: more, nsPerRun: (nanoseconds - earlier.nanoseconds) / more } : null];
    }),
  );
}
