import { isList, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, Shape } from "@wardline/domain/policy/formats/schema";
import { useState } from "react";
import { Select, visibleText } from "../../../../ui/index.ts";
import { fieldId, useForm, useProblems } from "../model/form-context.ts";
import { textOf } from "../model/words.ts";
import { Problems } from "./problems.tsx";
import { Row } from "./text-input.tsx";

interface ChoiceInputProps {
  readonly path: ValuePath;
  readonly field: Field;
  readonly label: string;
  readonly words: readonly string[];
  readonly value: YamlValue | undefined;
  readonly order: readonly string[];
  readonly isLabelHidden?: boolean;
  readonly width?: "port";
}

/** One of a few words. A word that is none of them stays and can be seen. */
export function ChoiceInput({ path, field, label, words, value, order, isLabelHidden, width }: ChoiceInputProps) {
  const form = useForm();
  const problems = useProblems(path, true);
  const [reason, setReason] = useState<string | null>(null);
  const part = form.part.index;
  const shown = textOf(value);
  const canLeaveOut = !field.required;
  const leftOut =
    field.default === undefined ? (canLeaveOut ? "(left out)" : "choose…") : `${field.default} (when left out)`;
  const choices = [
    ...(canLeaveOut || shown === "" ? [{ value: "", label: leftOut }] : []),
    ...(shown !== "" && !words.includes(shown)
      ? [{ value: shown, label: `${visibleText(shown).slice(0, 60)} (unknown)` }]
      : []),
    ...words.map((word) => ({ value: word, label: word })),
  ];
  const change = (word: string) => {
    if (word === "" && !canLeaveOut) return;
    const edit =
      word === ""
        ? ({ kind: "unset", part, path } as const)
        : ({ kind: "set", part, path, value: word, order } as const);
    setReason(form.apply([edit]));
  };
  return (
    <Row path={path} label={label} isLabelHidden={isLabelHidden ?? false} width={width}>
      <Select
        id={fieldId(path)}
        label={label}
        isLabelHidden
        describedBy={`${fieldId(path)}-more`}
        isInvalid={problems.length > 0}
        isDisabled={form.isLocked}
        value={shown}
        choices={choices}
        onFocus={() => form.enter(path, label, field)}
        onChange={change}
      />
      <Problems id={`${fieldId(path)}-more`} problems={problems} reason={reason} />
    </Row>
  );
}

interface ChoicesProps {
  readonly path: ValuePath;
  readonly field: Field;
  readonly label: string;
  readonly words: readonly string[];
  readonly value: YamlValue | undefined;
  readonly order: readonly string[];
}

/** Any of a few words, as boxes to tick. */
export function ChoicesInput({ path, field, label, words, value, order }: ChoicesProps) {
  const form = useForm();
  const problems = useProblems(path, true);
  const [reason, setReason] = useState<string | null>(null);
  const part = form.part.index;
  const chosen = value !== undefined && isList(value) ? value.map(textOf) : [];
  const toggle = (word: string) => {
    const index = chosen.indexOf(word);
    if (index < 0) {
      setReason(form.apply([{ kind: "insert", part, path, index: chosen.length, value: word, order }]));
    } else if (chosen.length === 1 && !field.required) setReason(form.apply([{ kind: "unset", part, path }]));
    else setReason(form.apply([{ kind: "remove", part, path, index }]));
  };
  return (
    <Row path={path} label={label} isLabelHidden={false}>
      <fieldset className="form-boxes" id={fieldId(path)} aria-label={label} disabled={form.isLocked}>
        {words.map((word) => (
          <label key={word}>
            <input
              type="checkbox"
              checked={chosen.includes(word)}
              onFocus={() => form.enter(path, label, field)}
              onChange={() => toggle(word)}
            />
            {word}
          </label>
        ))}
        {value === undefined ? <span className="faint">left out</span> : null}
      </fieldset>
      <Problems problems={problems} reason={reason} />
    </Row>
  );
}

export function wordsOf(shape: Shape): readonly string[] | null {
  if (shape.type === "choice") return shape.words;
  if (shape.type === "either") {
    const choice = shape.options.find((option) => option.type === "choice");
    return choice?.type === "choice" && shape.options.every((option) => option.type !== "text") ? choice.words : null;
  }
  return null;
}
