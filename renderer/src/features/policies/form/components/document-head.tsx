import type { FormFile, FormPart } from "@wardline/domain/policy/edit";
import { Ellipsis, Redo2, Undo2 } from "lucide-react";
import { Button as AriaButton, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { IconButton, Tag, visibleText } from "../../../../ui/index.ts";
import type { DocumentHead as Head } from "../model/kinds.ts";
import { headOf } from "../model/kinds.ts";

export type DocumentAction = "duplicate" | "disable" | "enable" | "delete" | "add";

interface DocumentHeadProps {
  readonly part: FormPart;
  readonly head: Head;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly onUndo: () => void;
  readonly onRedo: () => void;
  readonly onAction: (action: DocumentAction) => void;
}

const ACTIONS: readonly (readonly [DocumentAction, string])[] = [
  ["add", "Add a document behind it…"],
  ["duplicate", "Duplicate the document"],
  ["disable", "Switch the document off"],
  ["enable", "Switch the document on"],
  ["delete", "Delete the document"],
];

export function DocumentHead({ part, head, canUndo, canRedo, onUndo, onRedo, onAction }: DocumentHeadProps) {
  const offered = ACTIONS.filter(([action]) =>
    part.state === "off"
      ? action !== "disable" && action !== "duplicate"
      : part.state === "broken"
        ? action === "add"
        : action !== "enable",
  );
  return (
    <header className="form-head">
      <h2 className="truncate">{visibleText(head.name) || "A document without a name"}</h2>
      <Tag tone="info">{visibleText(head.kind) || "unknown kind"}</Tag>
      <span className="faint truncate code">{visibleText(head.apiVersion)}</span>
      {part.state === "off" ? <Tag tone="observed">off</Tag> : null}
      <span className="editor-space" />
      <IconButton label="Undo" keys="Ctrl+Z" isDisabled={!canUndo} onPress={onUndo}>
        <Undo2 size={15} aria-hidden="true" />
      </IconButton>
      <IconButton label="Redo" keys="Ctrl+Shift+Z" isDisabled={!canRedo} onPress={onRedo}>
        <Redo2 size={15} aria-hidden="true" />
      </IconButton>
      <MenuTrigger>
        <AriaButton className="icon-button" aria-label="Document actions">
          <Ellipsis size={16} aria-hidden="true" />
        </AriaButton>
        <Popover className="popover" placement="bottom end" offset={4}>
          <Menu className="menu" onAction={(key) => onAction(String(key) as DocumentAction)}>
            {offered.map(([action, words]) => (
              <MenuItem key={action} id={action} className="menu-item">
                {words}
              </MenuItem>
            ))}
          </Menu>
        </Popover>
      </MenuTrigger>
    </header>
  );
}

/** A name for a copy that no document of the kind has in this file. */
export function freeName(file: FormFile, head: Head): string {
  const taken = new Set(file.parts.map((part) => headOf(part)).map(({ kind, name }) => `${kind}/${name}`));
  const base = head.name === "" ? "copy" : `${head.name}-copy`;
  let name = base;
  for (let number = 2; taken.has(`${head.kind}/${name}`); number += 1) name = `${base}-${number}`;
  return name;
}
