import { FlowDimension, FlowMeasure } from "@wardline/api/wardline/console/v1/history";
import { memo } from "react";
import { Select } from "../../../ui/index.ts";
import { DIMENSION_NAMES, MEASURE_NAMES } from "../model/history.ts";

const DIMENSIONS = [
  FlowDimension.PROCESS,
  FlowDimension.PEER,
  FlowDimension.PORT,
  FlowDimension.HOST,
  FlowDimension.SOURCE,
  FlowDimension.DESTINATION,
  FlowDimension.POLICY,
  FlowDimension.RULE,
  FlowDimension.VERDICT,
  FlowDimension.SUBJECT,
  FlowDimension.USER,
  FlowDimension.DIRECTION,
  FlowDimension.PROTOCOL,
] as const;
const MEASURES = [FlowMeasure.CONNECTIONS, FlowMeasure.BYTES, FlowMeasure.DENIED_PACKETS, FlowMeasure.RECORDS] as const;

const CHOICES = DIMENSIONS.map((dimension) => ({ value: String(dimension), label: DIMENSION_NAMES[dimension] }));
const MORE_CHOICES = [{ value: "0", label: "nothing more" }, ...CHOICES];
const MEASURE_CHOICES = MEASURES.map((each) => ({ value: String(each), label: MEASURE_NAMES[each] }));

export interface Grouping {
  /** One or two different ones. */
  readonly by: readonly FlowDimension[];
  readonly measure: FlowMeasure;
}

export const USUAL_GROUPING: Grouping = { by: [FlowDimension.PEER], measure: FlowMeasure.CONNECTIONS };

interface GroupChoiceProps {
  readonly grouping: Grouping;
  readonly onGrouping: (grouping: Grouping) => void;
}

/** What rows are put together by, and what makes a group large. An open list stays as it is while rows come. */
export const GroupChoice = memo(function GroupChoice({ grouping, onGrouping }: GroupChoiceProps) {
  const { by, measure } = grouping;
  const [first = FlowDimension.PEER, second = 0] = by;
  const choose = (one: number, other: number) =>
    onGrouping({ measure, by: [...new Set([one, other])].filter((dimension) => dimension !== 0) });
  return (
    <span className="group-choice">
      <span aria-hidden="true">by</span>
      <Select
        label="By"
        isLabelHidden
        value={String(first)}
        onChange={(value) => choose(Number(value), second)}
        choices={CHOICES}
      />
      <span aria-hidden="true">and</span>
      <Select
        label="And"
        isLabelHidden
        value={String(second)}
        onChange={(value) => choose(first, Number(value))}
        choices={MORE_CHOICES}
      />
      <span aria-hidden="true">most</span>
      <Select
        label="Most"
        isLabelHidden
        value={String(measure)}
        onChange={(value) => onGrouping({ by, measure: Number(value) })}
        choices={MEASURE_CHOICES}
      />
    </span>
  );
});
