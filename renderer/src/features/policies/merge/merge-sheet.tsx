import { Severity } from "@wardline/api/wardline/v1/error";
import { mergeFile } from "@wardline/domain/cluster";
import { type MergeChoice, type MergeRegion, resolveRegions } from "@wardline/domain/lines";
import { useEffect, useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { Button, formatQuantity, Notice, Sheet, visibleText } from "../../../ui/index.ts";
import { ConflictChoice } from "./conflict-choice.tsx";
import "./merge.css";

export interface MergeSheetProps {
  readonly path: string;
  /** What both sides began from; `null` = it is not known, or there was no such file. */
  readonly base: string | null;
  readonly mine: string;
  readonly theirs: string;
  /** What the sides are called here: `your draft`, `the folder`. */
  readonly names: { readonly mine: string; readonly theirs: string };
  /** On the button that ends it; it says what becomes of the text. */
  readonly saveWords?: string;
  readonly isOpen: boolean;
  readonly onClose: () => void;
  /** Called once, with what the person made of both. Nothing is saved before. */
  readonly onMerged: (text: string) => void;
}

/** Two edits of one file: what comes together by itself, and a choice for each place where they meet. */
export function MergeSheet(props: MergeSheetProps) {
  const { path, base, mine, theirs, saveWords = "Save the merged text", isOpen, onClose, onMerged } = props;
  const regions = useMemo(
    () => (isOpen ? regionsOf(path, base, mine, theirs) : []),
    [isOpen, path, base, mine, theirs],
  );
  const conflicts = regions.filter((region): region is Conflict => region.kind === "conflict");
  const [choices, setChoices] = useState<readonly (MergeChoice | undefined)[]>([]);
  const text = isOpen ? resolveRegions(regions, choices) : null;
  const problems = useProblems(path, text);
  const open = conflicts.filter((_conflict, index) => choices[index] === undefined).length;
  const choose = (index: number, choice: MergeChoice) =>
    setChoices(conflicts.map((_conflict, at) => (at === index ? choice : choices[at])));
  return (
    <Sheet
      shape="drawer"
      isOpen={isOpen}
      onClose={onClose}
      title={`Merge ${visibleText(path)}`}
      subtitle={<span className="soft">{summaryOf(regions, conflicts.length)}</span>}
      footer={
        <>
          <span role="status" className={problems ? "" : "soft"}>
            {open > 0 ? `${formatQuantity(open, "conflict")} to decide` : (problems ?? "checking the result…")}
          </span>
          <span className="editor-space" />
          <Button onPress={onClose}>Cancel</Button>
          <Button tone="primary" isDisabled={text === null} onPress={() => text !== null && onMerged(text)}>
            {saveWords}
          </Button>
        </>
      }
    >
      <div className="merge scroll">
        {conflicts.length === 0 ? (
          <Notice tone="allow">Both changes come together without a conflict: nothing has to be decided.</Notice>
        ) : null}
        {withNumbers(regions).map(({ region, number, line }) =>
          region.kind === "conflict" ? (
            <ConflictChoice
              key={line}
              conflict={region}
              number={number}
              count={conflicts.length}
              choice={choices[number - 1]}
              names={props.names}
              onChoose={(choice) => choose(number - 1, choice)}
            />
          ) : (
            <Agreed key={line} region={region} names={props.names} />
          ),
        )}
      </div>
    </Sheet>
  );
}

export type Conflict = Extract<MergeRegion, { kind: "conflict" }>;

function regionsOf(path: string, base: string | null, mine: string, theirs: string): readonly MergeRegion[] {
  const result = mergeFile(path, base, mine, theirs);
  if (result.kind === "conflict") return result.regions;
  return [{ kind: "agreed", from: "both", text: result.text ?? "" }];
}

function withNumbers(regions: readonly MergeRegion[]) {
  let number = 0;
  let line = 0;
  return regions.map((region) => {
    if (region.kind === "conflict") number += 1;
    line += 1;
    return { region, number, line };
  });
}

function summaryOf(regions: readonly MergeRegion[], conflicts: number): string {
  const own = regions.filter((region) => region.kind === "agreed" && region.from !== "base").length;
  if (conflicts === 0) return "Nothing is saved until you say so.";
  return `${formatQuantity(conflicts, "place")} that both changed${own > 0 ? `; ${own} came together by themselves` : ""}. Nothing is saved until you say so.`;
}

const SHOWN_LINES = 3;

/** Lines that are decided: folded where nobody changed them. */
function Agreed({ region, names }: { region: Exclude<MergeRegion, Conflict>; names: MergeSheetProps["names"] }) {
  const lines = region.text.split("\n");
  if (region.text.endsWith("\n")) lines.pop();
  const isLong = region.from === "base" && lines.length > 2 * SHOWN_LINES + 1;
  const shown = isLong
    ? [
        ...lines.slice(0, SHOWN_LINES),
        `⋯ ${lines.length - 2 * SHOWN_LINES} lines as before`,
        ...lines.slice(-SHOWN_LINES),
      ]
    : lines;
  const words = { base: "", ours: names.mine, theirs: names.theirs, both: "both" }[region.from];
  return (
    <div className="merge-agreed" data-from={region.from}>
      {words === "" ? null : <span className="merge-from">{visibleText(words)}</span>}
      <pre>{shown.map(visibleText).join("\n")}</pre>
    </div>
  );
}

/** What a check says of the result; `null` = it is not known yet. */
function useProblems(path: string, text: string | null): string | null {
  const { connection } = useConsole();
  const [problems, setProblems] = useState<string | null>(null);
  useEffect(() => {
    setProblems(null);
    if (text === null) return;
    const controller = new AbortController();
    const timer = setTimeout(() => {
      connection.policies
        .check({ files: [{ path, text }] }, { signal: controller.signal })
        .then(({ diagnostics }) => {
          const errors = diagnostics.filter(
            ({ severity, source }) => severity === Severity.ERROR && source?.file === path,
          );
          setProblems(
            errors.length === 0
              ? "the result has no errors"
              : `the result has ${formatQuantity(errors.length, "error")}`,
          );
        })
        .catch(() => {
          if (!controller.signal.aborted) setProblems("the result could not be checked");
        });
    }, 250);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [connection, path, text]);
  return problems;
}

export default MergeSheet;
