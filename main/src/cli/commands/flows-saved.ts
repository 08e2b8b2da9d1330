import { toJson } from "@bufbuild/protobuf";
import { SavedQuerySchema } from "@wardline/api/wardline/console/v1/history";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { parseDimensions, wordOfDimension } from "../input/flow-dimensions.ts";
import { readFlowQuery, textOfWords } from "../input/flow-query.ts";
import type { Output } from "../output.ts";
import type { CommonOptions } from "../registration.ts";
import { withSession } from "../session.ts";
import { formatTable } from "../terminal/table.ts";
import { visible } from "../terminal/visible.ts";
import type { FlowsSaveOptions } from "./flows.options.ts";

/** `wardline flows saved` */
export async function listSaved(output: Output, options: CommonOptions): Promise<ExitCode> {
  return withSession(options, {}, async ({ history }) => {
    const { queries } = await history.listSavedQueries({});
    if (output.format === "json") output.json({ queries: queries.map((query) => toJson(SavedQuerySchema, query)) });
    else if (queries.length === 0) output.text("No saved queries.\n");
    else {
      const rows = queries.map(({ name, text, by, description }) => [
        name,
        text,
        by.map(wordOfDimension).join(","),
        description,
      ]);
      output.text(formatTable(["NAME", "QUERY", "BY", "DESCRIPTION"], rows));
    }
    return EXIT.done;
  });
}

/** `wardline flows saved add NAME QUERY` */
export async function addSavedQuery(
  output: Output,
  options: FlowsSaveOptions,
  name: string,
  words: readonly string[],
): Promise<ExitCode> {
  const text = textOfWords(words);
  readFlowQuery(output, text);
  const by = options.by === undefined ? [] : parseDimensions(options.by).wire;
  return withSession(options, {}, async ({ history }) => {
    await history.putSavedQuery({ query: { name, text, description: options.description, by } });
    if (output.format === "json") output.json({ name });
    else output.text(`Saved. Ask it with: wardline flows query @${visible(name)}\n`);
    return EXIT.done;
  });
}

/** `wardline flows saved remove NAME` */
export async function removeSavedQuery(output: Output, options: CommonOptions, name: string): Promise<ExitCode> {
  return withSession(options, {}, async ({ history }) => {
    await history.deleteSavedQuery({ name });
    if (output.format === "json") output.json({ name });
    else output.text(`${visible(name)} is forgotten.\n`);
    return EXIT.done;
  });
}
