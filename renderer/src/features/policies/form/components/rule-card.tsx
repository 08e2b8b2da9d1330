import { isMapping, type ListEdit, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { ObjectShape } from "@wardline/domain/policy/formats/schema";
import { ChevronDown, ChevronRight, CopyPlus, EyeOff, GripVertical, Trash2 } from "lucide-react";
import { type DragEvent, type KeyboardEvent, useEffect, useState } from "react";
import { Button, IconButton, VerdictMark, visibleText } from "../../../../ui/index.ts";
import { fieldId, pathKey, useForm, useProblems } from "../model/form-context.ts";
import { worstOf } from "../model/problems.ts";
import { ruleSummary } from "../model/summary.ts";
import { textOf } from "../model/words.ts";
import { ObjectFields } from "./object-fields.tsx";

/** What is dragged inside of the form; files dragged over the window are something else. */
export const DRAGGED_RULE = "application/x-wardline-rule";

interface RuleCardProps {
  readonly path: ValuePath;
  readonly index: number;
  readonly count: number;
  readonly shape: ObjectShape;
  readonly value: YamlValue;
  readonly word: string;
  readonly isOpened: boolean;
  readonly onMove: (index: number, to: number) => void;
  readonly onReason: (reason: string | null) => void;
}

/** One rule: a line that says what it does, and its fields when it is open. */
export function RuleCard({ path, index, count, shape, value, word, isOpened, onMove, onReason }: RuleCardProps) {
  const form = useForm();
  const at = [...path, index];
  const problems = useProblems(at, true);
  const [isOpen, setOpen] = useState(isOpened || count <= 3);
  const [isOver, setOver] = useState(false);
  const key = pathKey(at);
  const isCurrent = form.current === key || (form.current?.startsWith(`${key}\u0000`) ?? false);
  useEffect(() => {
    if (isOpened || isCurrent) setOpen(true);
  }, [isOpened, isCurrent]);
  const rule = isMapping(value) ? value : {};
  const name = textOf(rule.name) || textOf(rule.because);
  const part = form.part.index;
  const edit = (kind: "duplicate" | "disable" | "remove", said: string) => {
    const change: ListEdit = { kind, part, path, index };
    const reason = form.apply([change]);
    onReason(reason);
    if (reason === null) form.say(`${word} ${index + 1} ${said}`);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (step === 0 || !event.altKey || form.isLocked) return;
    event.preventDefault();
    onMove(index, index + step);
  };
  const source = `${part}/${pathKey(path)}`;
  return (
    <li
      className="form-rule"
      id={`${fieldId(at)}-item`}
      data-current={isCurrent ? "" : undefined}
      data-over={isOver ? "" : undefined}
      onDragOver={(event: DragEvent) => {
        if (!event.dataTransfer.types.includes(DRAGGED_RULE)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event: DragEvent) => {
        setOver(false);
        const [from, place] = event.dataTransfer.getData(DRAGGED_RULE).split("\n");
        if (place !== source || from === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        onMove(Number(from), index);
      }}
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the keys work from every button of the line */}
      <div className="form-rule-head" onKeyDown={onKeyDown}>
        {form.isLocked ? null : (
          <button
            type="button"
            id={`${fieldId(at)}-handle`}
            className="form-handle"
            aria-label={`Move ${word} ${index + 1} of ${count}: Alt and arrow keys`}
            draggable
            onDragStart={(event) => {
              event.dataTransfer.effectAllowed = "move";
              event.dataTransfer.setData(DRAGGED_RULE, `${index}\n${source}`);
            }}
          >
            <GripVertical size={14} aria-hidden="true" />
          </button>
        )}
        <button
          type="button"
          className="form-rule-title"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
          onFocus={() => form.enter(at, `${word} ${index + 1}`, null)}
        >
          {isOpen ? <ChevronDown size={14} aria-hidden="true" /> : <ChevronRight size={14} aria-hidden="true" />}
          <ActionMark rule={rule} />
          {name === "" ? null : <strong className="truncate">{visibleText(name)}</strong>}
          <span className="truncate form-rule-summary">{visibleText(ruleSummary(value))}</span>
        </button>
        {problems.length > 0 ? (
          <span className="form-count" data-tone={worstOf(problems)}>
            {problems.length} <span className="visually-hidden">problems</span>
          </span>
        ) : null}
        {form.isLocked ? null : (
          <span className="form-rule-buttons">
            <IconButton label={`Duplicate ${word} ${index + 1}`} onPress={() => edit("duplicate", "copied")}>
              <CopyPlus size={14} aria-hidden="true" />
            </IconButton>
            <IconButton label={`Switch ${word} ${index + 1} off`} onPress={() => edit("disable", "switched off")}>
              <EyeOff size={14} aria-hidden="true" />
            </IconButton>
            <IconButton label={`Delete ${word} ${index + 1}`} onPress={() => edit("remove", "deleted")}>
              <Trash2 size={14} aria-hidden="true" />
            </IconButton>
          </span>
        )}
      </div>
      {isOpen ? (
        <div className="form-rule-body">
          <ObjectFields path={at} shape={shape} value={value} />
        </div>
      ) : null}
    </li>
  );
}

function ActionMark({ rule }: { rule: { readonly [key: string]: YamlValue } }) {
  const word = textOf(rule.action ?? rule.expect) || "allow";
  const verdict = /^(?:allow|accept)$/i.test(word) ? "allow" : /^deny$/i.test(word) ? "deny" : "unknown";
  return <VerdictMark verdict={verdict} words={visibleText(word)} />;
}

interface DisabledRuleProps {
  readonly path: ValuePath;
  /** Among what is switched off. */
  readonly index: number;
  readonly value: YamlValue | null;
  readonly word: string;
}

export function DisabledRule({ path, index, value, word }: DisabledRuleProps) {
  const form = useForm();
  const [reason, setReason] = useState<string | null>(null);
  const part = form.part.index;
  const name = value !== null && isMapping(value) ? textOf(value.name) : "";
  return (
    <li className="form-rule form-rule-off">
      <div className="form-rule-head">
        <EyeOff size={14} aria-hidden="true" />
        <span className="truncate form-rule-summary">
          Off: {visibleText(name)} {value === null ? "cannot be read" : visibleText(ruleSummary(value))}
        </span>
        <span className="editor-space" />
        {form.isLocked ? null : (
          <>
            <Button
              size="small"
              isDisabled={value === null}
              onPress={() => setReason(form.apply([{ kind: "enable", part, path, index }]))}
            >
              Switch on
            </Button>
            <IconButton
              label={`Delete the ${word} that is off`}
              onPress={() => setReason(form.apply([{ kind: "remove-disabled", part, path, index }]))}
            >
              <Trash2 size={14} aria-hidden="true" />
            </IconButton>
          </>
        )}
      </div>
      {reason ? (
        <p className="form-problem" data-tone="deny">
          {reason}
        </p>
      ) : null}
    </li>
  );
}
