import { CircleX, TriangleAlert } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Notice, visibleText } from "../../../ui/index.ts";
import type { Need } from "../model/needs.ts";

export function NeedCard({ need }: { need: Need }) {
  const { openFile, openHost } = useWindow();
  const Icon = need.tone === "deny" ? CircleX : TriangleAlert;
  return (
    <Notice
      tone={need.tone}
      icon={<Icon size={16} aria-hidden="true" />}
      action={
        <Button
          onPress={() => (need.action.kind === "file" ? openFile(need.action.target) : openHost(need.action.target))}
        >
          {need.action.label}
        </Button>
      }
    >
      <strong>{need.title}</strong>
      <span>{visibleText(need.text)}</span>
      {need.next ? <span className="soft">{visibleText(need.next)}</span> : null}
      {need.code ? <code className="faint">{need.code}</code> : null}
    </Notice>
  );
}
