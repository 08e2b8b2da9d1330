/** Answers in words and marks. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type AnswerBasis,
  type AnswerReason,
  AnswerRowKind,
  AnswerVerdict,
  AskBasis,
} from "@wardline/api/wardline/console/v1/ask";
import { DecisionReason } from "@wardline/api/wardline/v1/policy";
import { formatMoment, type VerdictShape } from "../../../ui/index.ts";

export const VERDICTS: Partial<Record<AnswerVerdict, { readonly word: string; readonly shape: VerdictShape }>> = {
  [AnswerVerdict.YES]: { word: "Yes", shape: "allow" },
  [AnswerVerdict.NO]: { word: "No", shape: "deny" },
  [AnswerVerdict.PARTLY]: { word: "Partly", shape: "observed" },
  [AnswerVerdict.NOBODY]: { word: "About nobody", shape: "unknown" },
};

export const ROW_WORDS: Record<AnswerRowKind, { readonly word: string; readonly shape: VerdictShape | null }> = {
  [AnswerRowKind.UNSPECIFIED]: { word: "", shape: null },
  [AnswerRowKind.ALLOWED]: { word: "allowed", shape: "allow" },
  [AnswerRowKind.DENIED]: { word: "denied", shape: "deny" },
  [AnswerRowKind.GAINED]: { word: "gains", shape: "allow" },
  [AnswerRowKind.LOST]: { word: "loses", shape: "deny" },
  [AnswerRowKind.POLICY]: { word: "policy", shape: null },
  [AnswerRowKind.RULE]: { word: "rule", shape: null },
  [AnswerRowKind.ENDPOINT]: { word: "no policy", shape: "unknown" },
};

/** `enforced on atlas · generation 41 · 14:03:22 · 2 min ago`. */
export function basisText(basis: AnswerBasis | undefined, nowMs: number): string {
  if (!basis) return "";
  const when = basis.since ? formatMoment(timestampMs(basis.since), nowMs) : "";
  const parts = {
    [AskBasis.UNSPECIFIED]: [],
    [AskBasis.DRAFT]: ["the draft"],
    [AskBasis.ENFORCED]: [`enforced on ${basis.hostName}`, `generation ${basis.generation}`],
    [AskBasis.VERSION]: basis.generation === 0n ? ["nothing before it"] : [`version ${basis.generation}`],
  }[basis.kind];
  return [...parts, when].filter(Boolean).join(" · ");
}

/** What decides; an end that nothing restricts only where neither is. */
export function reasonsText(reasons: readonly AnswerReason[]): string {
  const deciding = reasons.filter(({ decision }) => decision?.reason !== DecisionReason.NOT_ISOLATED);
  return (deciding.length > 0 ? deciding : reasons.slice(-1))
    .map(({ decision, before }) =>
      before ? `${before.summary}, now ${decision?.summary ?? ""}` : (decision?.summary ?? ""),
    )
    .join(" and ");
}
