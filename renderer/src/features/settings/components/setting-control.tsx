import { type MapSetting, refuseValue, type SettingKey, type SettingValue } from "@wardline/domain/settings";
import { Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { useSetting } from "../../../data/settings.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, IconButton, Select, Switch, TextField, visibleText } from "../../../ui/index.ts";
import type { SettingRow } from "../model/rows.ts";

interface SettingControlProps {
  readonly row: SettingRow;
  readonly isDisabled: boolean;
  readonly onChange: (value: SettingValue) => void;
}

/** The control that fits what a setting takes. What does not fit is said beside it and never sent. */
export function SettingControl({ row, isDisabled, onChange }: SettingControlProps) {
  const value = useSetting(row.key);
  const { definition } = row;
  if (isDisabled) return <code className="setting-fixed">{visibleText(fixedText(value))}</code>;
  switch (definition.type) {
    case "choice":
      return (
        <Select
          label={definition.title}
          isLabelHidden
          value={String(value)}
          choices={definition.choices.map((choice) => ({ value: choice, label: choice }))}
          onChange={onChange}
        />
      );
    case "switch":
      return (
        <Switch isSelected={value === true} onChange={onChange}>
          {value === true ? "On" : "Off"}
          <span className="visually-hidden">: {definition.title}</span>
        </Switch>
      );
    case "number":
      return (
        <TypedField
          settingKey={row.key}
          label={definition.title}
          value={String(value)}
          hint={`${definition.minimum} to ${definition.maximum} ${definition.unit}`}
          parse={(text) => (/^-?\d{1,9}$/.test(text.trim()) ? Number(text) : text)}
          onChange={onChange}
        />
      );
    case "text":
      return (
        <TypedField
          settingKey={row.key}
          label={definition.title}
          value={String(value)}
          hint={definition.form}
          parse={(text) => text.trim()}
          onChange={onChange}
        />
      );
    case "map":
      return <MapEntries definition={definition} value={value as Entries} onChange={onChange} />;
  }
}

interface TypedFieldProps {
  readonly settingKey: SettingKey;
  readonly label: string;
  readonly value: string;
  readonly hint: string;
  readonly parse: (text: string) => SettingValue;
  readonly onChange: (value: SettingValue) => void;
}

function TypedField({ settingKey, label, value, hint, parse, onChange }: TypedFieldProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const refusal = text === value ? null : refuseValue(settingKey, parse(text));
  const send = () => {
    if (text !== value && refusal === null) onChange(parse(text));
  };
  return (
    <TextField
      label={label}
      isLabelHidden
      isCode
      value={text}
      onChange={setText}
      onSubmit={send}
      onLeave={send}
      hint={refusal ?? hint}
      isInvalid={refusal !== null}
    />
  );
}

type Entries = Readonly<Record<string, string>>;

interface MapEntriesProps {
  readonly definition: MapSetting;
  readonly value: Entries;
  readonly onChange: (value: SettingValue) => void;
}

/** What the file binds; new keys are given in the list of shortcuts, where clashes are seen. */
function MapEntries({ definition, value, onChange }: MapEntriesProps) {
  const show = useWindow((state) => state.show);
  const entries = Object.entries(value);
  return (
    <div className="setting-map">
      {entries.length === 0 ? <span className="faint">none of your own</span> : null}
      <ul className="setting-map-list">
        {entries.map(([name, keys]) => (
          <li key={name}>
            <code className="truncate">{visibleText(name)}</code>
            <code>{keys === "" ? "no keys" : visibleText(keys)}</code>
            <IconButton
              label={`Take ${visibleText(name)} back`}
              onPress={() => onChange(Object.fromEntries(entries.filter(([other]) => other !== name)))}
            >
              <Trash2 size={14} aria-hidden="true" />
            </IconButton>
          </li>
        ))}
      </ul>
      <Button
        size="small"
        onPress={() => show("shortcuts")}
        aria-label={`${definition.title}: open the list of shortcuts`}
      >
        Open the list of shortcuts
      </Button>
    </div>
  );
}

function fixedText(value: SettingValue): string {
  return typeof value === "object" ? JSON.stringify(value) : value === "" ? "empty" : String(value);
}
