/** The smallest policies that recorded flows would have needed. Changes nothing: a person accepts them. */
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type FindSuggestionsRequest,
  type FindSuggestionsResponse,
  FindSuggestionsResponseSchema,
} from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Workspace } from "../../policies/workspace.ts";
import { type FlowReplays, openWithDraft } from "../../replay/flow-replays.ts";
import type { ResultAnswer, SuggestRequest } from "../../replay/replay-protocol.ts";

const MAX_MIN_FLOWS = 1_000_000;

export interface SuggestionPorts {
  readonly workspace: Pick<Workspace, "snapshot">;
  readonly replays: FlowReplays;
}

/** @throws Failure INVALID_ARGUMENT, TOO_LARGE, DEADLINE_EXCEEDED */
export async function* findSuggestions(
  { workspace, replays }: SuggestionPorts,
  request: FindSuggestionsRequest,
  signal: AbortSignal,
): AsyncGenerator<FindSuggestionsResponse> {
  const { generalize, minFlows, asNetworkPolicy } = request;
  if (!(generalize >= 0 && generalize <= 1) || minFlows > MAX_MIN_FLOWS) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "How wide suggestions are is a number from 0 (what was seen) to 1 (as wide as makes sense).",
    });
  }
  const format = asNetworkPolicy ? "k8s" : "wardline";
  yield* replays.run(signal, async function* (thread, own) {
    await openWithDraft(thread, workspace.snapshot(), [], (texts) => ({
      method: "suggest",
      request: { texts, generalize, minFlows: minFlows === 0 ? null : minFlows, format } satisfies SuggestRequest,
    }));
    const steps = replays.feed(thread, request.filter, own);
    for (;;) {
      const { done, value } = await steps.next();
      if (done) {
        const messages = (await thread.call("result", { total: value.total })) as ResultAnswer;
        for (const bytes of messages) yield fromBinary(FindSuggestionsResponseSchema, bytes);
        return;
      }
      const progress = { total: BigInt(value.total), read: BigInt(value.read) };
      yield create(FindSuggestionsResponseSchema, { event: { case: "progress", value: progress } });
    }
  });
}
