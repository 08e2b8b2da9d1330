/** The library's reading of a text, for tests that compare with it. */
import { DiagnosticSink } from "../../check/sink.ts";
import type { Diagnostic } from "../../diagnostic.ts";
import { DEFAULT_READ_LIMITS } from "../limits.ts";
import { LineIndex } from "../line-index.ts";
import type { YamlNode } from "../node.ts";
import { parseFully } from "../parse.ts";
import { Reporter } from "../reporter.ts";

export interface LibraryReading {
  readonly roots: readonly YamlNode[];
  readonly problems: readonly Diagnostic[];
}

export function readWithLibrary(text: string): LibraryReading {
  const sink = new DiagnosticSink(DEFAULT_READ_LIMITS.maxDiagnostics);
  const report = new Reporter(sink, new LineIndex("test.yaml", text));
  const { roots } = parseFully(text, report, DEFAULT_READ_LIMITS, Number.POSITIVE_INFINITY);
  return { roots, problems: sink.finish(new Map()) };
}
