import { chosenText, type MergeChoice } from "@wardline/domain/lines";
import { visibleText } from "../../../ui/index.ts";
import type { Conflict } from "./merge-sheet.tsx";

interface ConflictChoiceProps {
  readonly conflict: Conflict;
  /** From 1. */
  readonly number: number;
  readonly count: number;
  readonly choice: MergeChoice | undefined;
  readonly names: { readonly mine: string; readonly theirs: string };
  readonly onChoose: (choice: MergeChoice) => void;
}

const SIDES = ["base", "ours", "theirs"] as const;

/** One place that both changed: before, mine and theirs side by side; a choice by arrow keys, or a text of one's own. */
export function ConflictChoice({ conflict, number, count, choice, names, onChoose }: ConflictChoiceProps) {
  const titles = {
    base: "Before",
    ours: names.mine,
    theirs: names.theirs,
    both: "Both, mine first",
    text: "My own words",
  };
  const chosen = choice === undefined ? null : typeof choice === "object" ? "text" : choice;
  const result = choice === undefined ? conflict.ours : chosenText(conflict, choice);
  return (
    <fieldset className="merge-conflict" data-decided={choice !== undefined}>
      <legend>
        Conflict {number} of {count}
      </legend>
      <div className="merge-sides">
        {SIDES.map((side) => (
          <div key={side} className="merge-side" data-side={side}>
            <span className="merge-side-title">{visibleText(titles[side])}</span>
            <pre>{conflict[side] === "" ? "(nothing)" : conflict[side].split("\n").map(visibleText).join("\n")}</pre>
          </div>
        ))}
      </div>
      <div className="merge-choices">
        {(["ours", "theirs", "both", "base", "text"] as const).map((each) => (
          <label key={each}>
            <input
              type="radio"
              name={`conflict-${number}`}
              checked={chosen === each}
              onChange={() => onChoose(each === "text" ? { text: result } : each)}
            />
            {visibleText(titles[each])}
          </label>
        ))}
      </div>
      {chosen === "text" ? (
        <textarea
          aria-label={`Text for conflict ${number}`}
          value={result}
          rows={Math.min(20, result.split("\n").length + 1)}
          onChange={(event) => onChoose({ text: event.target.value })}
        />
      ) : null}
    </fieldset>
  );
}
