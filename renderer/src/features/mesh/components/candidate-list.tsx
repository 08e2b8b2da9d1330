import type { HealingCandidate } from "@wardline/api/wardline/v1/mesh";
import { formatQuantity, VerdictMark, visibleText } from "../../../ui/index.ts";
import { candidateSentence } from "../model/healing-words.ts";

/** What could be done, in the order in which it would be tried: what must hold, what it touches, what holds it back. */
export function CandidateList({ candidates }: { candidates: readonly HealingCandidate[] }) {
  if (candidates.length === 0) return null;
  return (
    <section className="mesh-section" aria-labelledby="run-candidates">
      <h3 id="run-candidates">What could be done, in this order</h3>
      <ol className="candidate-list">
        {candidates.map((candidate, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: candidates are named by their place.
          <li key={index} className="candidate">
            <strong className="wrap-anywhere">{candidateSentence(candidate)}</strong>
            <p className="soft wrap-anywhere">{visibleText(candidate.blastRadius)}</p>
            {candidate.preconditions.map(({ sentence, holds }) => (
              <VerdictMark
                key={sentence}
                verdict={holds ? "allow" : "deny"}
                words={`${holds ? "" : "does not hold: "}${visibleText(sentence)}`}
              />
            ))}
            <p className="faint">{triedText(candidate)}</p>
            {candidate.heldBack ? (
              <VerdictMark verdict="observed" words={`Not now: ${visibleText(candidate.heldBack)}`} />
            ) : null}
          </li>
        ))}
      </ol>
    </section>
  );
}

function triedText({ tried, successRate }: HealingCandidate): string {
  if (tried === 0 || successRate === undefined) return "Never tried for this fault.";
  return `Tried ${formatQuantity(tried, "time")} for this fault; ${Math.round(successRate * 100)} % were verified as healed.`;
}
