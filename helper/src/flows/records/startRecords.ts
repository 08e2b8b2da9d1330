/** The journal, what fills it, and what reads it, for one agent. */
import { join } from "node:path";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { Enforcer } from "../../enforce/enforcer.ts";
import type { GenerationContexts } from "../../generations/contexts.ts";
import { DEFAULT_MAX_AGE_MS, DEFAULT_MAX_BYTES, type JournalFigures, RecordJournal } from "./recordJournal.ts";
import { RecordRoller, type RollerFigures, WINDOW_MS } from "./recordRoller.ts";

export interface RecordOptions {
  /** Of the journal. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** Whole seconds; another than the usual in tests. */
  readonly windowMs?: number;
}

export const DEFAULT_RECORD_OPTIONS: RecordOptions = { maxBytes: DEFAULT_MAX_BYTES, maxAgeMs: DEFAULT_MAX_AGE_MS };

export interface RecordPorts {
  readonly stateDir: string;
  readonly options: RecordOptions;
  readonly enforcer: Enforcer;
  readonly contexts: GenerationContexts;
  readonly clock: Clock;
  readonly bootId: string;
  readonly userNameOf: (userId: number) => string;
  readonly observedNameOf: (address: string) => string;
  readonly log: Logger;
}

export interface RunningRecords {
  readonly journal: RecordJournal;
  readonly roller: RecordRoller;
  figures(): JournalFigures & RollerFigures;
  /** Writes the open window. Close the hub before. */
  close(): Promise<void>;
}

/** Never fails: what is wrong with the journal is in its state. Nothing is counted before the roller is started. */
export async function startRecords(ports: RecordPorts): Promise<RunningRecords> {
  const { stateDir, options, contexts, clock, log } = ports;
  const directory = join(stateDir, "records");
  const journal = await RecordJournal.open({
    ...{ directory, maxBytes: options.maxBytes, maxAgeMs: options.maxAgeMs },
    wallMs: () => clock.wallMs(),
    onProblem: (problem) => log.error({ problem }, "flow records"),
  });
  const roller = await RecordRoller.open({
    ...ports,
    journal,
    progressPath: join(directory, "progress"),
    contextOf: (generation) => contexts.get(generation),
    windowMs: options.windowMs ?? WINDOW_MS,
  });
  return {
    journal,
    roller,
    figures: () => ({ ...journal.figures, ...roller.figures }),
    close: async () => {
      await roller.close();
      await journal.close();
    },
  };
}
