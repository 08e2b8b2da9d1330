import type { HistoryGap } from "@wardline/api/wardline/console/v1/history";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, formatQuantity, visibleText } from "../../../ui/index.ts";
import { gapText } from "../model/gaps.ts";

const MOST_SHOWN = 100;

/** Everything that is missing in the time of the list; each leads to its place. */
export function GapList({ gaps, onGo }: { gaps: readonly HistoryGap[]; onGo: (timeMs: number) => void }) {
  if (gaps.length === 0) return null;
  return (
    <DialogTrigger>
      <Button size="small" tone="quiet">
        {formatQuantity(gaps.length, "gap")} in this time
      </Button>
      <Popover className="popover" offset={4}>
        <Dialog className="flow-menu" aria-label="What is missing">
          {gaps.slice(0, MOST_SHOWN).map((gap) => {
            const text = gapText(gap);
            return (
              <Button key={text} size="small" tone="quiet" onPress={() => onGo(optionalMs(gap.since) ?? 0)}>
                {visibleText(text)}
              </Button>
            );
          })}
          {gaps.length > MOST_SHOWN ? <p className="faint">and {gaps.length - MOST_SHOWN} more</p> : null}
        </Dialog>
      </Popover>
    </DialogTrigger>
  );
}
