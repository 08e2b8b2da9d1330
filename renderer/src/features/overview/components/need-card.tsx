import { CircleX, FilePen, TriangleAlert } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Notice, visibleText } from "../../../ui/index.ts";
import type { Need } from "../model/needs.ts";

export function NeedCard({ need }: { need: Need }) {
  const { openFile, openFinding, openHealing, openHost, openMesh, goTo, show } = useWindow();
  const act = () => {
    if (need.action.kind === "file") openFile(need.action.target);
    else if (need.action.kind === "host") openHost(need.action.target);
    else if (need.action.kind === "cluster") goTo("cluster");
    else if (need.action.kind === "mesh") openMesh(null);
    else if (need.action.kind === "healing") openHealing(need.action.target);
    else if (need.action.kind === "finding") openFinding(need.action.target);
    else show("ship");
  };
  const Icon = need.tone === "deny" ? CircleX : need.tone === "info" ? FilePen : TriangleAlert;
  return (
    <Notice
      tone={need.tone}
      icon={<Icon size={16} aria-hidden="true" />}
      action={<Button onPress={act}>{need.action.label}</Button>}
    >
      <strong>{need.title}</strong>
      <span>{visibleText(need.text)}</span>
      {need.next ? <span className="soft">{visibleText(need.next)}</span> : null}
      {need.code ? <code className="faint">{need.code}</code> : null}
    </Notice>
  );
}
