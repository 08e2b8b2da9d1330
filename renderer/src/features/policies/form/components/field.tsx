import type { ValuePath, YamlValue } from "@wardline/domain/policy/edit";
import type { Field } from "@wardline/domain/policy/formats/schema";
import { useState } from "react";
import { Select, visibleText } from "../../../../ui/index.ts";
import { fieldId, useForm, useProblems } from "../model/form-context.ts";
import { isScalarShape, isSelector, labelOf, starterValue } from "../model/words.ts";
import { ChoiceInput, ChoicesInput, wordsOf } from "./choice-input.tsx";
import { ListInput } from "./list-input.tsx";
import { ObjectFields } from "./object-fields.tsx";
import { Problems } from "./problems.tsx";
import { LabelsInput, SelectorInput } from "./selector-input.tsx";
import { TextInput } from "./text-input.tsx";

interface FieldInputProps {
  readonly path: ValuePath;
  readonly name: string;
  readonly field: Field;
  readonly value: YamlValue | undefined;
  readonly order: readonly string[];
  /** Its name is said by something else already. */
  readonly isBare?: boolean;
}

/** The control for a field, by what it takes. */
export function FieldInput({ path, name, field, value, order, isBare = false }: FieldInputProps) {
  const label = labelOf(name);
  const { shape } = field;
  const choices = wordsOf(shape);
  const shared = { path, field, label, value, order };
  if (isScalarShape(shape)) {
    if (choices) return <ChoiceInput {...shared} words={choices} />;
    const isText = name === "description" || name === "because";
    return <TextInput {...shared} isText={isText} />;
  }
  if (shape.type === "list" && shape.items.type === "choice")
    return <ChoicesInput {...shared} words={shape.items.words} />;
  if (shape.type === "list")
    return <ListInput path={path} name={name} field={field} value={value} order={order} isBare={isBare} />;
  if (shape.type === "anything") return null;
  return (
    <fieldset className="form-group" aria-label={label} data-bare={isBare ? "" : undefined}>
      <legend className="form-label">{label}</legend>
      {shape.type === "map" ? <LabelsInput path={path} value={value} field={field} what={label} /> : null}
      {shape.type === "object" && isSelector(shape) ? (
        <SelectorInput path={path} shape={shape} value={value} what={label} />
      ) : null}
      {shape.type === "object" && !isSelector(shape) ? <ObjectFields path={path} shape={shape} value={value} /> : null}
      {shape.type === "either" ? <EitherInput {...shared} /> : null}
    </fieldset>
  );
}

/** A word, or a group of its own: the end of a test is `any`, or somebody. */
function EitherInput({
  path,
  field,
  label,
  value,
  order,
}: Omit<FieldInputProps, "name" | "isBare"> & { readonly label: string }) {
  const form = useForm();
  const problems = useProblems(path, false);
  const [reason, setReason] = useState<string | null>(null);
  if (field.shape.type !== "either") return null;
  const object = field.shape.options.find((option) => option.type === "object");
  const words = field.shape.options.flatMap((option) => (option.type === "choice" ? option.words : []));
  if (object?.type !== "object") return null;
  const isWord = typeof value === "string";
  const change = (word: string) => {
    const next: YamlValue = word === SOMEBODY ? starterValue(object) : word;
    setReason(form.apply([{ kind: "set", part: form.part.index, path, value: next, order }]));
  };
  return (
    <div className="form-either">
      <Select
        id={fieldId(path)}
        label={`${label}: anybody or somebody`}
        isLabelHidden
        isDisabled={form.isLocked}
        value={isWord ? value : SOMEBODY}
        choices={[
          ...words.map((word) => ({ value: word, label: word })),
          ...(isWord && !words.includes(value)
            ? [{ value, label: `${visibleText(value).slice(0, 60)} (unknown)` }]
            : []),
          { value: SOMEBODY, label: "a group" },
        ]}
        onFocus={() => form.enter(path, label, field)}
        onChange={change}
      />
      {isWord ? null : <ObjectFields path={path} shape={object} value={value} />}
      <Problems problems={problems} reason={reason} />
    </div>
  );
}

/** No word of a format. */
const SOMEBODY = "\u0000somebody";
