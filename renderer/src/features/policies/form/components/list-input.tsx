import { isList, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, ListShape, ObjectShape } from "@wardline/domain/policy/formats/schema";
import { ArrowDown, ArrowUp, Plus, X } from "lucide-react";
import { useState } from "react";
import { Button, IconButton } from "../../../../ui/index.ts";
import { fieldId, focusIn, useForm, useProblems } from "../model/form-context.ts";
import { itemWord, labelOf, starterValue } from "../model/words.ts";
import { ObjectFields } from "./object-fields.tsx";
import { PortFields } from "./port-fields.tsx";
import { Problems } from "./problems.tsx";
import { TextInput } from "./text-input.tsx";

interface ListInputProps {
  readonly path: ValuePath;
  readonly name: string;
  readonly field: Field;
  readonly value: YamlValue | undefined;
  readonly order: readonly string[];
  readonly isBare?: boolean;
}

const FIRST_SHOWN = 40;

/** Peers, ports, prefixes, names: one row for each, with a row less or more. */
export function ListInput({ path, name, field, value, order, isBare }: ListInputProps) {
  const form = useForm();
  const problems = useProblems(path, false);
  const [reason, setReason] = useState<string | null>(null);
  const [shownCount, setShownCount] = useState(FIRST_SHOWN);
  if (field.shape.type !== "list") return null;
  const shape: ListShape = field.shape;
  const items = value !== undefined && isList(value) ? value : [];
  const part = form.part.index;
  const word = itemWord(name);
  const label = labelOf(name);
  const remove = (index: number) => {
    setReason(form.apply([{ kind: "remove", part, path, index }]));
    form.say(`${word} ${index + 1} removed`);
  };
  const move = (index: number, to: number) => {
    const failed = form.apply([{ kind: "move", part, path, index, to }]);
    setReason(failed);
    if (failed === null) form.say(`${word} moved to ${to + 1} of ${items.length}`);
  };
  return (
    <fieldset className="form-group" aria-label={label} id={fieldId(path)} data-bare={isBare ? "" : undefined}>
      <legend className="form-label">{label}</legend>
      {items.length === 0 && value !== undefined ? <p className="form-note">The list is empty.</p> : null}
      <ol className="form-items">
        {items.slice(0, shownCount).map((item, index) => (
          <li
            // biome-ignore lint/suspicious/noArrayIndexKey: items have no name of their own; a place is what the text gives them.
            key={index}
            id={`${fieldId([...path, index])}-item`}
            className="form-item"
            aria-label={`${word} ${index + 1}`}
          >
            <div className="form-item-body">
              <Item path={[...path, index]} shape={shape} value={item} label={`${label} ${index + 1}`} field={field} />
            </div>
            {form.isLocked ? null : (
              <span className="form-item-buttons">
                {items.length > 1 ? (
                  <>
                    <IconButton
                      label={`Move ${word} ${index + 1} up`}
                      isDisabled={index === 0}
                      onPress={() => move(index, index - 1)}
                    >
                      <ArrowUp size={13} aria-hidden="true" />
                    </IconButton>
                    <IconButton
                      label={`Move ${word} ${index + 1} down`}
                      isDisabled={index === items.length - 1}
                      onPress={() => move(index, index + 1)}
                    >
                      <ArrowDown size={13} aria-hidden="true" />
                    </IconButton>
                  </>
                ) : null}
                <IconButton label={`Remove ${word} ${index + 1}`} onPress={() => remove(index)}>
                  <X size={14} aria-hidden="true" />
                </IconButton>
              </span>
            )}
          </li>
        ))}
      </ol>
      {items.length > shownCount ? (
        <Button size="small" onPress={() => setShownCount(shownCount + 100)}>
          Show 100 of {items.length - shownCount} more
        </Button>
      ) : null}
      {form.isLocked ? null : (
        <Button
          size="small"
          tone="quiet"
          icon={<Plus size={13} aria-hidden="true" />}
          onPress={() => {
            const index = items.length;
            setReason(form.apply([{ kind: "insert", part, path, index, value: starterValue(shape.items), order }]));
            setShownCount(Math.max(shownCount, index + 1));
            focusIn([...path, index]);
          }}
        >
          Add {word}
        </Button>
      )}
      <Problems problems={problems} reason={reason} />
    </fieldset>
  );
}

interface ItemProps {
  readonly path: ValuePath;
  readonly shape: ListShape;
  readonly value: YamlValue;
  readonly label: string;
  readonly field: Field;
}

function Item({ path, shape, value, label, field }: ItemProps) {
  const { items } = shape;
  if (items.type === "object") {
    const isPort = "port" in items.fields && "protocol" in items.fields;
    if (isPort) return <PortFields path={path} shape={items} value={value} />;
    return <ObjectFields path={path} shape={items as ObjectShape} value={value} />;
  }
  return (
    <TextInput
      path={path}
      field={{ ...field, shape: items }}
      label={label}
      value={value}
      order={[]}
      isLabelHidden
      canUnset={false}
    />
  );
}
