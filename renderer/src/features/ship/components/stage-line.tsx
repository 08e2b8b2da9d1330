const STAGES = [
  { id: "review", name: "Review" },
  { id: "apply", name: "Apply" },
  { id: "confirm", name: "Confirm" },
  { id: "kept", name: "Kept" },
] as const;

/** Where a draft is on its way to the kernel. */
export function StageLine({ stage }: { stage: (typeof STAGES)[number]["id"] }) {
  return (
    <ol className="stage-line" aria-label="Stages">
      {STAGES.map(({ id, name }) => (
        <li key={id} aria-current={id === stage ? "step" : undefined}>
          {name}
        </li>
      ))}
    </ol>
  );
}
