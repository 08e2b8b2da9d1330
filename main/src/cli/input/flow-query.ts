/** A flow query as typed: words of the command line, saved queries, and the place of a mistake. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type FlowQuery, parseFlowQuery } from "@wardline/domain/flows";
import { UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { Session } from "../session.ts";
import { formatDiagnostics, hasErrors } from "../terminal/diagnostics.ts";
import { createStyle, wantsColor } from "../terminal/style.ts";

/** As the shell split it. `--word` is most likely an option that there is not. @throws UsageError */
export function textOfWords(words: readonly string[]): string {
  const option = words.find((word) => word.startsWith("--"));
  if (option !== undefined) {
    throw new UsageError(
      `There is no option ${option.slice(0, 60)}.`,
      "A word of the query can begin with one hyphen.",
    );
  }
  return words.join(" ");
}

/** Tells of every problem with a mark under its place. @throws Failure QUERY_INVALID */
export function readFlowQuery(output: Output, text: string): FlowQuery {
  const { query, diagnostics } = parseFlowQuery(text, { nowMs: Date.now() });
  if (output.format === "text" && diagnostics.length > 0) {
    const named = diagnostics.map((each) => ({ ...each, source: { ...each.source, file: "query" } }));
    const style = createStyle(wantsColor(process.stderr));
    output.note(formatDiagnostics(named, { style, textOf: () => text.replace(/[\r\n]/g, " ") }).trimEnd());
  }
  if (query && !hasErrors(diagnostics)) return query;
  throw new Failure({
    code: ErrorCode.QUERY_INVALID,
    message: output.format === "text" ? "The query cannot be read." : (diagnostics[0]?.message ?? ""),
    hint: "docs/flows.md has the language, with examples.",
  });
}

export interface TypedQuery {
  readonly text: string;
  /** From `--since`; what the text says counts before it. */
  readonly since?: ReturnType<typeof timestampFromMs>;
}

/** Checked before anything is asked; `@name` words are replaced by what is saved. @throws UsageError, Failure */
export async function typedQuery(
  output: Output,
  session: Session,
  words: readonly string[],
  sinceMs: number | undefined,
): Promise<TypedQuery> {
  const given = textOfWords(words);
  const saved = /(?:^|\s)@/.test(given) ? (await session.history.listSavedQueries({})).queries : [];
  const text = given.replace(/(^|\s)@([A-Za-z0-9-]+)(?=\s|$)/g, (_, space: string, name: string) => {
    const query = saved.find((each) => each.name === name);
    if (query) return `${space}${withoutLoneOr(query.text, given.trim() !== `@${name}`)}`;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no saved query ${name}.`,
      hint: "`wardline flows saved` lists them.",
    });
  });
  readFlowQuery(output, text);
  return sinceMs === undefined ? { text } : { text, since: timestampFromMs(Date.now() - sinceMs) };
}

/** In parentheses beside other words when it has alternatives; a window of time has to stay outside of them. */
function withoutLoneOr(text: string, isBeside: boolean): string {
  return isBeside && /\sOR\s/.test(text) && !/(since|until):/.test(text) ? `(${text})` : text;
}
