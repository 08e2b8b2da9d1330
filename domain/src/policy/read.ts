/** Policy files in, a world and every problem out: the one way from text to the model. */

import { CheckMemory } from "./check/memory.ts";
import { DiagnosticSink } from "./check/sink.ts";
import { checkWorld } from "./check/world.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { Service } from "./formats/document.ts";
import type { DocumentInfo, ReadDocument } from "./formats/read-document.ts";
import { resolveReferences, servicesOf, testsOf } from "./formats/references.ts";
import type { PolicyTest, PolicyWorld, SourceFile } from "./model.ts";
import { type FileReading, readFile } from "./read-file.ts";
import { DEFAULT_READ_LIMITS, type ReadLimits } from "./yaml/limits.ts";

export type { DocumentInfo } from "./formats/read-document.ts";

export interface ReadOptions {
  readonly limits?: Partial<ReadLimits>;
  /** Unix time. With it, policies that have expired, or soon will, are reported. */
  readonly nowUnixMs?: number;
}

export interface ReadResult {
  /** Policies without errors, and the inventory as far as it could be read. To be applied only when `ok`. */
  readonly world: PolicyWorld;
  /** Tests without errors, in the order of the files. A case whose end is a service stands once for each of its peers. */
  readonly tests: readonly PolicyTest[];
  /** What Service documents without errors stand for, for questions about them. */
  readonly services: readonly Service[];
  /** In the order of the files; documents whose kind or name could not be read are missing. */
  readonly documents: readonly DocumentInfo[];
  /** In the order of the files and of their lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** True when there is no error; warnings and notices do not count. */
  readonly ok: boolean;
}

/**
 * Reads a whole desired state: policies and inventory in any number of files, YAML or JSON. Lists all problems at once;
 * never throws on any text, and the work is bounded by the limits.
 */
export function readPolicyFiles(files: readonly SourceFile[], options: ReadOptions = {}): ReadResult {
  return createReader(options, null).read(files);
}

/** Reads again and again what changes little from one time to the next, as in an editor. */
export interface PolicyReader {
  /**
   * The same as `readPolicyFiles` with the same limits and time. Documents whose text, file and line are as they were in
   * the reading before are not read again, and what was compared between them is not compared again.
   */
  read(files: readonly SourceFile[], moment?: ReadMoment): ReadResult;
}

/** When a reading is made. */
export interface ReadMoment extends Pick<ReadOptions, "nowUnixMs"> {
  /**
   * For whoever only has to know whether the state may be applied, such as an agent: warnings and notices about what the
   * policies mean together (WL340 and up) are not looked for. The world, `ok` and all errors are the same.
   */
  readonly errorsOnly?: boolean;
}

/**
 * It keeps the texts, what was read from them and what was compared until the next reading, and little of the readings
 * before. A time in the options counts for the readings that are given none of their own.
 */
export function createPolicyReader(options: ReadOptions = {}): PolicyReader {
  return createReader(options, new CheckMemory());
}

function createReader(options: ReadOptions, memory: CheckMemory | null): PolicyReader {
  const limits: ReadLimits = { ...DEFAULT_READ_LIMITS, ...options.limits };
  let known: ReadonlyMap<string, FileReading> = new Map();
  return {
    read(files, { nowUnixMs = options.nowUnixMs, errorsOnly = false } = {}) {
      const sink = new DiagnosticSink(limits.maxDiagnostics);
      const readings = new Map<string, FileReading>();
      const documents: ReadDocument[] = [];
      for (const file of acceptedFiles(files, limits, sink)) {
        const reading = readFile(file, limits, known.get(file.path) ?? null);
        readings.set(file.path, reading);
        sink.absorb(reading.problems);
        for (const part of reading.parts) {
          sink.absorb(part.problems);
          for (const document of part.documents) documents.push(document);
        }
      }
      known = readings;
      const resolved = resolveReferences(documents, sink);
      const { maxRuleComparisons } = limits;
      const moment = nowUnixMs === undefined ? {} : { nowUnixMs };
      const world = checkWorld(resolved, sink, { files, maxRuleComparisons, errorsOnly, ...moment }, memory);
      const fileOrder = new Map(files.map((file, index) => [file.path, index]));
      return {
        world,
        tests: testsOf(resolved),
        services: servicesOf(resolved),
        documents: documents.map(({ info }) => info),
        diagnostics: sink.finish(fileOrder),
        ok: sink.errorCount === 0,
      };
    },
  };
}

/** The files that are small enough to be read; the others are reported. */
function acceptedFiles(files: readonly SourceFile[], limits: ReadLimits, sink: DiagnosticSink): readonly SourceFile[] {
  const accepted: SourceFile[] = [];
  let totalLength = 0;
  for (const [index, file] of files.entries()) {
    const start = { file: file.path, line: 1, column: 1, endLine: 1, endColumn: 1 };
    if (file.text.length > limits.maxFileLength) {
      const message = `The file has ${file.text.length} characters; a policy file may have ${limits.maxFileLength}. It is not read.`;
      sink.report("WL109", start, message);
      continue;
    }
    totalLength += file.text.length;
    if (totalLength > limits.maxTotalLength || index >= limits.maxFiles) {
      const message = `All files together are over the limit of ${limits.maxTotalLength} characters or ${limits.maxFiles} files; nothing from this file on is read.`;
      sink.report("WL110", start, message);
      break;
    }
    accepted.push(file);
  }
  return accepted;
}
