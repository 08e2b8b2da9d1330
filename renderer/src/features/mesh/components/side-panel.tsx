import { X } from "lucide-react";
import type { ReactNode } from "react";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { useWindow } from "../../../data/window-store.ts";
import { IconButton, visibleText } from "../../../ui/index.ts";
import { useMeshLook } from "../model/mesh-store.ts";
import type { ShownMesh } from "../model/shown.ts";
import { linkLabel, nodeLabel } from "../model/words.ts";
import { ChangeList } from "./change-list.tsx";
import { LinkPanel } from "./link-panel.tsx";
import { NodePanel } from "./node-panel.tsx";
import { PathPanel } from "./path-panel.tsx";

/** What is selected; the path finder; or what changed. */
export function SidePanel({ picture, shown }: { picture: MeshPicture; shown: ShownMesh }) {
  const { meshId, openMesh } = useWindow();
  const { isFindingPath, look } = useMeshLook();
  const node = meshId === null ? undefined : picture.nodes.get(meshId);
  const link = meshId === null ? undefined : picture.links.get(meshId);
  const close = () => openMesh(null);
  if (node)
    return (
      <Panel key={node.id} name={`Node ${nodeLabel(node)}`} title={nodeLabel(node)} onClose={close}>
        <NodePanel node={node} picture={picture} shown={shown} />
      </Panel>
    );
  if (link)
    return (
      <Panel key={link.id} name={`Link ${linkLabel(link, picture)}`} title={linkLabel(link, picture)} onClose={close}>
        <LinkPanel link={link} picture={picture} />
      </Panel>
    );
  if (meshId !== null)
    return (
      <Panel name="Not here" title={visibleText(meshId).slice(0, 80)} onClose={close}>
        <p className="soft">This node or link is not in what is shown: it was not there at that time, or it is gone.</p>
        <ChangeList id={meshId} />
      </Panel>
    );
  if (isFindingPath)
    return (
      <Panel name="Find a way" title="Find a way" onClose={() => look({ isFindingPath: false, way: null })}>
        <PathPanel picture={picture} shown={shown} />
      </Panel>
    );
  return (
    <Panel name="What changed" title="What changed" onClose={null}>
      <ChangeList id="" />
    </Panel>
  );
}

interface PanelProps {
  readonly name: string;
  readonly title: string;
  readonly onClose: (() => void) | null;
  readonly children: ReactNode;
}

function Panel({ name, title, onClose, children }: PanelProps) {
  return (
    <aside
      className="mesh-panel scroll"
      aria-label={name}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === "Escape" && onClose) onClose();
      }}
    >
      <header className="mesh-panel-head">
        <h2 className="wrap-anywhere">{title}</h2>
        {onClose ? (
          <IconButton label="Close" keys="Esc" onPress={onClose}>
            <X size={16} aria-hidden="true" />
          </IconButton>
        ) : null}
      </header>
      {children}
    </aside>
  );
}
