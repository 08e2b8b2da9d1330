/** A question that is asked of single flows, in the query language of the history and with what that knows of names and labels. */
import { create } from "@bufbuild/protobuf";
import { HistoryQuerySchema } from "@wardline/api/wardline/console/v1/history";
import type { Flow } from "@wardline/api/wardline/v1/flow";
import { asksLabels, flowMatcher, type LabelResolver, NO_LABELS } from "@wardline/domain/flows";
import type { EndpointBook } from "../history/service/endpoint-book.ts";
import { readQuery } from "../history/service/read-query.ts";

export interface FlowQuestion {
  readonly isWanted: (flow: Flow) => boolean;
  /** What is asked of the workspace and the clusters from now on is what they know by then. */
  readonly refresh: () => void;
}

/**
 * `null` = every flow. Waits for what clusters know when a label is asked for.
 *
 * @throws Failure QUERY_INVALID with diagnostics
 */
export async function flowQuestion(
  text: string,
  nowMs: number,
  book: Pick<EndpointBook, "facts" | "known">,
): Promise<FlowQuestion | null> {
  if (text.trim() === "") return null;
  const query = readQuery(create(HistoryQuerySchema, { text }), nowMs, book.known());
  const hasLabels = asksLabels(query.where);
  let labels = hasLabels ? once((await book.facts()).labels) : NO_LABELS;
  return {
    isWanted: flowMatcher(query, (label) => labels(label)),
    refresh: () => {
      if (!hasLabels) return;
      labels = once(book.known().labels);
      // What clusters answer is known at a later refresh; asking is bounded by the book.
      void book.facts();
    },
  };
}

/** A resolver that looks each label up once: thousands of flows ask for the same few. */
function once(labels: LabelResolver): LabelResolver {
  const known = new Map<string, ReturnType<LabelResolver>>();
  return (label) => {
    const found = known.get(label) ?? labels(label);
    known.set(label, found);
    return found;
  };
}
