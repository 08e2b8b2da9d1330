import { isMapping, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, ObjectShape } from "@wardline/domain/policy/formats/schema";
import { Plus } from "lucide-react";
import { useState } from "react";
import { Button, Select, visibleText } from "../../../../ui/index.ts";
import { useForm, useProblems } from "../model/form-context.ts";
import { groupsOf, isScalarShape, labelOf, starterValue } from "../model/words.ts";
import { FieldInput } from "./field.tsx";
import { InText } from "./in-text.tsx";
import { Problems } from "./problems.tsx";

interface ObjectFieldsProps {
  readonly path: ValuePath;
  readonly shape: ObjectShape;
  readonly value: YamlValue | undefined;
  /** Fields that stand elsewhere. */
  readonly without?: readonly string[];
}

/** The fields of a mapping in the order of its kind. What is left out and takes more than a line is a button. */
export function ObjectFields({ path, shape, value, without = [] }: ObjectFieldsProps) {
  const form = useForm();
  const problems = useProblems(path, false);
  const mapping = value !== undefined && isMapping(value) ? value : {};
  const fields: Readonly<Record<string, Field>> = shape.fields;
  const order = Object.keys(fields);
  const groups = groupsOf(shape);
  const group = groups.find((names) => names.some((name) => name in mapping)) ?? null;
  const others = new Set(groups.filter((names) => names !== group).flat());
  const shown = order.filter(
    (name) => !without.includes(name) && (!others.has(name) || name in mapping) && isShown(name),
  );
  const absent = order.filter(
    (name) =>
      !without.includes(name) && !others.has(name) && !shown.includes(name) && fields[name]!.shape.type !== "anything",
  );
  const unknown = Object.keys(mapping).filter((name) => !(name in fields) && !shape.known.ignored.includes(name));
  return (
    <div className="form-fields">
      {groups.length > 0 ? (
        <GroupPicker path={path} shape={shape} groups={groups} group={group} mapping={mapping} />
      ) : null}
      {shown.map((name) => (
        <FieldInput
          key={name}
          path={[...path, name]}
          name={name}
          field={fields[name]!}
          value={mapping[name]}
          order={order}
          isBare={group?.length === 1 && group[0] === name}
        />
      ))}
      {form.isLocked || absent.length === 0 ? null : (
        <div className="form-absent">
          {absent.map((name) => (
            <AddField key={name} path={[...path, name]} name={name} field={fields[name]!} order={order} />
          ))}
        </div>
      )}
      {unknown.length > 0 ? (
        <p className="form-note">
          Only in the text: {visibleText(unknown.slice(0, 6).join(", "))}
          {unknown.length > 6 ? ` and ${unknown.length - 6} more` : ""}. The form leaves it as it is.{" "}
          <InText path={[...path, unknown[0] ?? ""]} />
        </p>
      ) : null}
      <Problems problems={problems} />
    </div>
  );

  function isShown(name: string): boolean {
    const field = fields[name]!;
    if (name in mapping) return field.shape.type !== "anything";
    if (group?.includes(name)) return false;
    return field.required === true || isScalarShape(field.shape) || isTicked(field);
  }
}

function isTicked(field: Field): boolean {
  return field.shape.type === "list" && field.shape.items.type === "choice";
}

interface AddFieldProps {
  readonly path: ValuePath;
  readonly name: string;
  readonly field: Field;
  readonly order: readonly string[];
}

function AddField({ path, name, field, order }: AddFieldProps) {
  const form = useForm();
  const [reason, setReason] = useState<string | null>(null);
  return (
    <>
      <Button
        size="small"
        tone="quiet"
        icon={<Plus size={13} aria-hidden="true" />}
        onPress={() =>
          setReason(form.apply([{ kind: "set", part: form.part.index, path, value: starterValue(field.shape), order }]))
        }
      >
        {labelOf(name)}
      </Button>
      {reason ? <Problems problems={[]} reason={reason} /> : null}
    </>
  );
}

interface GroupPickerProps {
  readonly path: ValuePath;
  readonly shape: ObjectShape;
  readonly groups: readonly (readonly string[])[];
  readonly group: readonly string[] | null;
  readonly mapping: { readonly [key: string]: YamlValue };
}

/** Which of the ways to say it is used: by label, by address, by name. Another way replaces what was there. */
function GroupPicker({ path, shape, groups, group, mapping }: GroupPickerProps) {
  const form = useForm();
  const [reason, setReason] = useState<string | null>(null);
  const fields: Readonly<Record<string, Field>> = shape.fields;
  const order = Object.keys(fields);
  const part = form.part.index;
  const choose = (name: string) => {
    if (name === "" || name === group?.[0]) return;
    const added = {
      kind: "set",
      part,
      path: [...path, name],
      value: starterValue(fields[name]!.shape),
      order,
    } as const;
    const gone = (group ?? []).filter((each) => each in mapping && each !== name);
    setReason(form.apply([added, ...gone.map((each) => ({ kind: "unset", part, path: [...path, each] }) as const)]));
  };
  return (
    <div className="form-row">
      <div className="form-control">
        <Select
          label={`${shape.title}: given by`}
          isLabelHidden
          isDisabled={form.isLocked}
          value={group?.[0] ?? ""}
          choices={[
            ...(group ? [] : [{ value: "", label: "choose…" }]),
            ...groups.map((names) => ({
              value: names[0] ?? "",
              label: names.map(labelOf).join(" and ").toLowerCase(),
            })),
          ]}
          onFocus={() => form.enter(path, `${shape.title}: given by`, null)}
          onChange={choose}
        />
        {reason ? <Problems problems={[]} reason={reason} /> : null}
      </div>
    </div>
  );
}
