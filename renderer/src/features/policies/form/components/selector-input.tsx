import { isMapping, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, ObjectShape } from "@wardline/domain/policy/formats/schema";
import { Plus, X } from "lucide-react";
import { useRef, useState } from "react";
import { Button, IconButton, visibleText } from "../../../../ui/index.ts";
import { fieldId, type Offer, useForm, useOffer, useProblems } from "../model/form-context.ts";
import { textOf } from "../model/words.ts";
import { ListInput } from "./list-input.tsx";
import { Problems } from "./problems.tsx";
import { useTypedText } from "./text-input.tsx";
import { WordInput } from "./word-input.tsx";

/** Labels and conditions that must all hold. */
export function SelectorInput({
  path,
  shape,
  value,
  what,
}: {
  path: ValuePath;
  shape: ObjectShape;
  value: YamlValue | undefined;
  what: string;
}) {
  const problems = useProblems(path, false);
  const selector = value !== undefined && isMapping(value) ? value : {};
  const isEmpty = Object.keys(selector).length === 0;
  const fields: Readonly<Record<string, Field>> = shape.fields;
  return (
    <div className="form-selector">
      {isEmpty ? <p className="form-note">No labels: everybody here is meant.</p> : null}
      <LabelsInput
        path={[...path, "matchLabels"]}
        value={selector.matchLabels}
        field={fields.matchLabels!}
        what={what}
      />
      {selector.matchExpressions === undefined ? null : (
        <ListInput
          path={[...path, "matchExpressions"]}
          name="matchExpressions"
          field={fields.matchExpressions!}
          value={selector.matchExpressions}
          order={Object.keys(fields)}
        />
      )}
      <Problems problems={problems} />
    </div>
  );
}

interface LabelsInputProps {
  readonly path: ValuePath;
  readonly value: YamlValue | undefined;
  readonly field: Field;
  /** Whose labels, for the names of the fields. */
  readonly what: string;
}

export function LabelsInput({ path, value, field, what }: LabelsInputProps) {
  const form = useForm();
  const problems = useProblems(path, false);
  const [isAdding, setAdding] = useState(false);
  const labels = value !== undefined && isMapping(value) ? Object.entries(value) : [];
  return (
    <fieldset className="form-labels" aria-label={`${what}: labels`} id={fieldId(path)}>
      {labels.map(([key, item], index) => (
        // The name changes while it is typed; its place does not.
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <LabelRow key={index} path={path} name={key} value={item} field={field} what={what} />
      ))}
      {isAdding ? (
        <NewLabel
          path={path}
          field={field}
          what={what}
          taken={labels.map(([key]) => key)}
          onDone={() => setAdding(false)}
        />
      ) : null}
      {form.isLocked || isAdding ? null : (
        <Button size="small" tone="quiet" icon={<Plus size={13} aria-hidden="true" />} onPress={() => setAdding(true)}>
          Add label
        </Button>
      )}
      <Problems problems={problems} />
    </fieldset>
  );
}

/** Names of labels, and the values of one, that the file uses already. */
function useLabelWords(name: string): { readonly names: readonly Offer[]; readonly values: readonly Offer[] } {
  const { words } = useForm();
  const offers = (list: Iterable<string>) => [...list].map((value) => ({ value, detail: "" }));
  return { names: offers(words.labels.keys()), values: offers(words.labels.get(name) ?? []) };
}

interface LabelRowProps {
  readonly path: ValuePath;
  readonly name: string;
  readonly value: YamlValue;
  readonly field: Field;
  readonly what: string;
}

function LabelRow({ path, name, value, field, what }: LabelRowProps) {
  const form = useForm();
  const part = form.part.index;
  const words = useLabelWords(name);
  const at = [...path, name];
  const names = useOffer(at, "name", words.names);
  const values = useOffer(at, "value", words.values);
  const problems = useProblems(at, true);
  const keyTyped = useTypedText(
    name,
    (newKey) => form.apply([{ kind: "rename", part, path, key: name, newKey }]),
    () => form.apply([{ kind: "unset", part, path: at }]),
  );
  const valueTyped = useTypedText(
    textOf(value),
    (text) => form.apply([{ kind: "set", part, path: at, value: text }]),
    null,
  );
  const [reason, setReason] = useState<string | null>(null);
  return (
    <div className="form-label-row">
      <WordInput
        className="form-input code"
        aria-label={`${what}: label name`}
        value={keyTyped.text}
        readOnly={form.isLocked}
        offered={names.offered}
        onText={keyTyped.change}
        onBlur={keyTyped.leave}
        onFocus={() => {
          form.enter(at, "Label", field);
          names.ask();
        }}
      />
      <span aria-hidden="true">=</span>
      <WordInput
        id={fieldId(at)}
        className="form-input code"
        aria-label={`${what}: value of ${visibleText(name).slice(0, 80)}`}
        aria-invalid={problems.length > 0}
        value={valueTyped.text}
        readOnly={form.isLocked}
        offered={values.offered}
        onText={valueTyped.change}
        onBlur={valueTyped.leave}
        onFocus={() => {
          form.enter(at, "Label", field);
          values.ask();
        }}
      />
      {form.isLocked ? null : (
        <IconButton
          label={`Remove the label ${visibleText(name).slice(0, 80)}`}
          onPress={() => setReason(form.apply([{ kind: "unset", part, path: at }]))}
        >
          <X size={14} aria-hidden="true" />
        </IconButton>
      )}
      <Problems problems={problems} reason={keyTyped.reason ?? valueTyped.reason ?? reason} />
    </div>
  );
}

interface NewLabelProps {
  readonly path: ValuePath;
  readonly field: Field;
  readonly what: string;
  readonly taken: readonly string[];
  readonly onDone: () => void;
}

/** A label that is not in the text yet: it is written when the focus leaves both of its fields, or with Enter. */
function NewLabel({ path, field, what, taken, onDone }: NewLabelProps) {
  const form = useForm();
  const [name, setName] = useState("");
  const words = useLabelWords(name);
  const names = useOffer([...path, taken[0] ?? ""], "name", words.names);
  const [value, setValue] = useState("");
  const [reason, setReason] = useState<string | null>(null);
  const row = useRef<HTMLDivElement>(null);
  const finish = () => {
    if (name === "") return value === "" ? onDone() : setReason("The label needs a name.");
    if (taken.includes(name)) return setReason(`There is a ${name.slice(0, 100)} already.`);
    const failed = form.apply([{ kind: "set", part: form.part.index, path: [...path, name], value }]);
    if (failed === null) onDone();
    else setReason(failed);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: leaving both fields at once can be seen only from here
    <div
      ref={row}
      className="form-label-row"
      onBlur={(event) => {
        if (!row.current?.contains(event.relatedTarget)) finish();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") onDone();
        if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
        event.preventDefault();
        finish();
      }}
    >
      <WordInput
        className="form-input code"
        aria-label={`${what}: name of the new label`}
        value={name}
        offered={names.offered}
        onText={setName}
        autoFocus
        onFocus={() => {
          form.enter(path, "Label", field);
          names.ask();
        }}
      />
      <span aria-hidden="true">=</span>
      <WordInput
        className="form-input code"
        aria-label={`${what}: value of the new label`}
        value={value}
        offered={words.values}
        onText={setValue}
      />
      <IconButton label="Do not add the label" onPress={onDone}>
        <X size={14} aria-hidden="true" />
      </IconButton>
      <Problems problems={[]} reason={reason} />
    </div>
  );
}
