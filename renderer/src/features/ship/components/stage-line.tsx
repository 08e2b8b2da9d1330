import { Square } from "lucide-react";
import { Button } from "../../../ui/index.ts";
import { type ShipStage, STAGES } from "../model/ship-stage.ts";

interface StageLineProps {
  readonly stage: ShipStage;
  /** The one place that stops what is under way; `null` when nothing is. */
  readonly stop: { readonly words: string; readonly isDisabled: boolean; readonly run: () => void } | null;
}

/** Where a draft is on its way to the kernel, and the one place to stop it. */
export function StageLine({ stage, stop }: StageLineProps) {
  return (
    <div className="stage-line-row">
      <ol className="stage-line" aria-label="From the draft to the kernel">
        {STAGES.map(({ id, name, means }) => (
          <li key={id} title={means} aria-current={id === stage ? "step" : undefined}>
            {name}
          </li>
        ))}
      </ol>
      {stop ? (
        <Button
          size="small"
          tone="danger"
          icon={<Square size={12} aria-hidden="true" />}
          isDisabled={stop.isDisabled}
          onPress={stop.run}
        >
          {stop.words}
        </Button>
      ) : null}
    </div>
  );
}
