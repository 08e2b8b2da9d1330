import "./verdict.css";

/** `observed`: a deny that was let through, because the host only observes. */
export type VerdictShape = "allow" | "deny" | "observed" | "unknown";

export const VERDICT_WORDS: Record<VerdictShape, string> = {
  allow: "allowed",
  deny: "denied",
  observed: "would be denied",
  unknown: "unknown",
};

const SHAPES: Record<VerdictShape, React.ReactNode> = {
  allow: <circle cx="6" cy="6" r="4.2" fill="currentColor" />,
  deny: <rect x="2" y="2" width="8" height="8" rx="0.5" fill="currentColor" />,
  observed: <path d="M6 1.4 11 10.4H1Z" fill="currentColor" />,
  unknown: <circle cx="6" cy="6" r="3.6" fill="none" stroke="currentColor" strokeWidth="1.6" />,
};

interface VerdictMarkProps {
  readonly verdict: VerdictShape;
  /** Words beside the shape; `null` shows the shape alone (its name is still read aloud). */
  readonly words?: string | null;
}

/** The one mark for a verdict, everywhere: a colour and a shape. */
export function VerdictMark({ verdict, words }: VerdictMarkProps) {
  const shownWords = words === undefined ? VERDICT_WORDS[verdict] : words;
  return (
    <span className="verdict" data-verdict={verdict}>
      <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
        {SHAPES[verdict]}
      </svg>
      {shownWords === null ? (
        <span className="visually-hidden">{VERDICT_WORDS[verdict]}</span>
      ) : (
        <span className="truncate">{shownWords}</span>
      )}
    </span>
  );
}
