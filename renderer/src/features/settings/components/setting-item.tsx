import { SettingOrigin } from "@wardline/api/wardline/console/v1/settings";
import { isSameSetting, type SettingValue } from "@wardline/domain/settings";
import { Lock, RotateCcw } from "lucide-react";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { type SettingsChange, useSettings } from "../../../data/settings.ts";
import { Button, FailureNotice, IconButton, Tag, visibleText } from "../../../ui/index.ts";
import { placeOf, type SettingRow } from "../model/rows.ts";
import { SettingControl } from "./setting-control.tsx";

/** One setting: what it does, its control, where its value comes from, and what is wrong with it. */
export function SettingItem({ row, isFileBroken }: { row: SettingRow; isFileBroken: boolean }) {
  const { connection } = useConsole();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [wanted, setWanted] = useState<SettingValue | null>(null);
  const isLocked = row.origin === SettingOrigin.LOCKED;
  const change = async (value: SettingValue, replaceBroken = false) => {
    setWanted(value);
    setFailure(await useSettings.getState().change({ [row.key]: value } as SettingsChange, { replaceBroken }));
  };
  const reset = async () => {
    try {
      const { state } = await connection.settings.resetSettings({ keys: [row.key] });
      useSettings.getState().forget(row.key);
      if (state) useSettings.getState().receive(state);
      setFailure(null);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const isOwn = row.origin === SettingOrigin.USER || row.origin === SettingOrigin.KEPT || row.problem !== null;
  return (
    <li className="setting" id={`setting-${row.key}`}>
      <div className="setting-text">
        <h3>
          {row.definition.title} <OriginTag row={row} />
        </h3>
        <code className="faint">{row.key}</code>
        <p className="soft">
          <HelpText text={row.definition.help} />
          {row.definition.needsRestart ? " It counts from the next start on." : ""}
        </p>
        {row.problem ? (
          <p className="setting-problem">
            <code>{row.problem.code}</code> {visibleText(row.problem.message)}{" "}
            <span className="faint">{visibleText(placeOf(row.problem))}</span>
          </p>
        ) : null}
        {failure ? <FailureNotice failure={failure} isCompact /> : null}
        {failure?.code === "SETTINGS_BROKEN" && wanted !== null ? (
          <Button size="small" onPress={() => void change(wanted, true)}>
            {isFileBroken ? "Keep the broken file beside a new one" : "Replace the value in the file"}
          </Button>
        ) : null}
      </div>
      <div className="setting-control">
        <SettingControl row={row} isDisabled={isLocked} onChange={(value) => void change(value)} />
        {isOwn && !isLocked ? (
          <IconButton
            label={`Reset ${row.definition.title} to ${defaultText(row)}`}
            isDisabled={isFileBroken}
            onPress={() => void reset()}
          >
            <RotateCcw size={14} aria-hidden="true" />
          </IconButton>
        ) : (
          <span className="setting-no-reset" />
        )}
      </div>
    </li>
  );
}

function OriginTag({ row }: { row: SettingRow }) {
  const line = row.line > 0 ? `, line ${row.line}` : "";
  if (row.origin === SettingOrigin.LOCKED)
    return (
      <span title={`${visibleText(row.file)}${line}`}>
        <Tag tone="observed">
          <Lock size={12} aria-hidden="true" /> locked by an administrator in {visibleText(row.file)}
          {line}
          {row.userValueJson ? `; your file says ${visibleText(row.userValueJson)}` : ""}
        </Tag>
      </span>
    );
  if (row.origin === SettingOrigin.KEPT) return <Tag tone="observed">kept from before{line}</Tag>;
  if (row.origin === SettingOrigin.USER) return <Tag tone="info">yours{line}</Tag>;
  return <Tag>default</Tag>;
}

function defaultText({ definition }: SettingRow): string {
  if (definition.type === "map") return isSameSetting(definition.default, {}) ? "none" : "its default";
  return definition.default === "" ? "empty" : String(definition.default);
}

/** `words` between backticks are code. */
function HelpText({ text }: { text: string }) {
  return text.split("`").map((part, index) => {
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text never move.
    return index % 2 === 1 ? <code key={index}>{part}</code> : part;
  });
}
