import type { ValuePath, YamlValue } from "@wardline/domain/policy/edit";
import type { Field } from "@wardline/domain/policy/formats/schema";
import { type ReactNode, useState } from "react";
import { visibleText } from "../../../../ui/index.ts";
import { fieldId, type Offer, pathKey, useForm, useOffer, useProblems } from "../model/form-context.ts";
import { worstOf } from "../model/problems.ts";
import { parseTyped, textOf } from "../model/words.ts";
import { Problems } from "./problems.tsx";
import { WordInput } from "./word-input.tsx";

/** What is typed and not in the text as it stands: kept until the text says something else. */
interface Typed {
  readonly text: string;
  /** What the text said then. */
  readonly over: string;
  readonly reason: string | null;
}

interface TypedText {
  readonly text: string;
  readonly reason: string | null;
  readonly change: (text: string) => void;
  readonly leave: () => void;
}

/**
 * Text that is written through with every key. What cannot be written yet (nothing at all, a name that is taken) stays in
 * the field; leaving the field empty takes the value out.
 */
export function useTypedText(
  shown: string,
  commit: (text: string) => string | null,
  clear: (() => string | null) | null,
): TypedText {
  const [typed, setTyped] = useState<Typed | null>(null);
  const isCurrent = typed !== null && typed.over === shown;
  return {
    text: isCurrent ? typed.text : shown,
    reason: isCurrent ? typed.reason : null,
    change: (text) => {
      if (text === "") return setTyped({ text, over: shown, reason: null });
      const reason = commit(text);
      setTyped(reason === null ? { text, over: text, reason: null } : { text, over: shown, reason });
    },
    leave: () => {
      if (!isCurrent || typed.text !== "") return;
      const reason = shown === "" ? null : (clear ?? (() => commit("")))();
      setTyped(reason === null ? null : { ...typed, reason });
    },
  };
}

interface TextInputProps {
  readonly path: ValuePath;
  readonly field: Field;
  readonly label: string;
  readonly value: YamlValue | undefined;
  /** Where the field stands among those of its mapping. */
  readonly order: readonly string[];
  readonly isLabelHidden?: boolean;
  readonly width?: "port";
  /** Offered while the value is not in the text yet. */
  readonly words?: readonly Offer[];
  readonly isText?: boolean;
  readonly canUnset?: boolean;
}

/** One line (or a few, for sentences) of a value. */
export function TextInput(props: TextInputProps) {
  const { path, field, label, value, order, isLabelHidden, words = NO_WORDS, isText, canUnset = true } = props;
  const form = useForm();
  const problems = useProblems(path, true);
  const part = form.part.index;
  const { offered, ask } = useOffer(path, "value", words);
  const set = (text: string) => form.apply([{ kind: "set", part, path, value: parseTyped(field.shape, text), order }]);
  const unset = () => form.apply([{ kind: "unset", part, path }]);
  const isOptional = canUnset && !field.required && typeof path.at(-1) === "string";
  const typed = useTypedText(textOf(value), set, isOptional ? unset : null);
  const isInvalid = worstOf(problems) === "deny" || typed.reason !== null;
  const shared = {
    id: fieldId(path),
    className: "form-input",
    value: typed.text,
    readOnly: form.isLocked,
    spellCheck: false,
    autoComplete: "off",
    "aria-label": label,
    "aria-invalid": isInvalid,
    "aria-required": field.required ?? false,
    "aria-describedby": `${fieldId(path)}-more`,
    placeholder: placeholderOf(field),
    onBlur: typed.leave,
    onFocus: () => {
      form.enter(path, label, field);
      ask();
    },
  };
  return (
    <Row path={path} label={label} isLabelHidden={isLabelHidden ?? false} width={props.width}>
      {isText ? (
        <textarea
          {...shared}
          rows={Math.min(6, Math.max(1, typed.text.split("\n").length))}
          onChange={(event) => typed.change(event.target.value)}
        />
      ) : (
        <WordInput
          {...shared}
          inputMode={field.shape.type === "integer" ? "numeric" : "text"}
          offered={offered}
          onText={typed.change}
        />
      )}
      <Problems id={`${fieldId(path)}-more`} problems={problems} reason={typed.reason} />
    </Row>
  );
}

function placeholderOf(field: Field): string {
  if (field.default !== undefined) return `${field.default} (when left out)`;
  const example = field.examples?.[0];
  return typeof example === "string" ? `e.g. ${example}` : "";
}

const NO_WORDS: readonly Offer[] = [];
interface RowProps {
  readonly path: ValuePath;
  readonly label: string;
  readonly isLabelHidden: boolean;
  readonly width?: "port" | undefined;
  readonly children: ReactNode;
}

export function Row({ path, label, isLabelHidden, width, children }: RowProps) {
  const { current } = useForm();
  return (
    <div className="form-row" data-width={width} data-current={current === pathKey(path) ? "" : undefined}>
      {isLabelHidden ? null : (
        <label className="form-label" htmlFor={fieldId(path)}>
          {visibleText(label)}
        </label>
      )}
      <div className="form-control">{children}</div>
    </div>
  );
}
