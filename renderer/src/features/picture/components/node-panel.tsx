import { type PictureNode, PictureNodeKind } from "@wardline/api/wardline/console/v1/picture";
import { Columns3, Focus, PencilRuler } from "lucide-react";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, formatCount, formatQuantity, shortKey, VerdictMark, visibleText } from "../../../ui/index.ts";
import { usePictureLook } from "../model/picture-store.ts";
import type { ShownPicture } from "../model/shown.ts";
import { awaySinceMs, heardSaid, idOfEdge, nodeName, protectionSaid, sideSaid } from "../model/words.ts";
import { Facts, Side } from "./side.tsx";

interface NodePanelProps {
  readonly node: PictureNode;
  readonly shown: ShownPicture;
  readonly onClose: () => void;
}

const MAX_WAYS = 40;

/** One group: who is in it, which policies speak of it, and its ways in and out. */
export function NodePanel({ node, shown, onClose }: NodePanelProps) {
  const { focusId, look, select, choose } = usePictureLook();
  const isFocus = focusId === node.id;
  const isInside = node.kind === PictureNodeKind.GROUP || node.kind === PictureNodeKind.ENDPOINT;
  const protection = protectionSaid(node);
  const sinceMs = awaySinceMs([node]);
  const nowMs = optionalMs(shown.picture.madeAt) ?? 0;
  const ways = shown.edges.filter(({ sourceId, destinationId }) => sourceId === node.id || destinationId === node.id);
  return (
    <Side name={`Group ${nodeName(node)}`} title={nodeName(node)} onClose={onClose}>
      <Facts
        facts={[
          ["Members", formatCount(node.members)],
          ["Policies for", <VerdictMark key="mark" verdict={protection.shape} words={protection.words} />],
          ...(node.unknownMembers > 0
            ? [["Not known", `what ${formatQuantity(node.unknownMembers, "member")} enforce`] as const]
            : []),
          ...(sinceMs === null
            ? []
            : [["Away", `${formatQuantity(node.awayMembers, "member")}, ${heardSaid(sinceMs, nowMs)}`] as const]),
          ...(node.hostNames.length > 0
            ? [["Hosts", node.hostNames.slice(0, 8).map(visibleText).join(", ")] as const]
            : []),
        ]}
      />
      <div className="picture-actions">
        <Button
          icon={<Focus size={14} aria-hidden="true" />}
          onPress={() => look({ focusId: isFocus ? null : node.id })}
        >
          {isFocus ? "Show all again" : "Only its neighbours"}
        </Button>
        <Button
          icon={<Columns3 size={14} aria-hidden="true" />}
          onPress={() => look({ focusId: node.id, face: "columns" })}
        >
          Ingress and egress
        </Button>
        {isInside ? (
          <Button
            icon={<PencilRuler size={14} aria-hidden="true" />}
            onPress={() => {
              choose([node.id]);
              look({ isWriting: true });
            }}
          >
            Write a policy for it
          </Button>
        ) : null}
      </div>
      <section aria-label="Ways">
        <h3>Ways in and out</h3>
        {ways.length === 0 ? <p className="soft">None is drawn: what nothing restricts is not.</p> : null}
        <ul className="picture-rules">
          {ways.slice(0, MAX_WAYS).map((edge) => (
            <li key={idOfEdge(edge)}>
              <button type="button" className="link" onClick={() => select(idOfEdge(edge))}>
                {nodeName(shown.byId.get(edge.sourceId))} → {nodeName(shown.byId.get(edge.destinationId))}
              </button>
              <span className="faint truncate">{sideSaid(edge.draft).words}</span>
            </li>
          ))}
        </ul>
        {ways.length > MAX_WAYS ? <p className="faint">{ways.length - MAX_WAYS} more are in the table.</p> : null}
      </section>
      {node.policyKeys.length > 0 ? (
        <section aria-label="Policies">
          <h3>Policies</h3>
          <p className="code">{node.policyKeys.map((key) => visibleText(shortKey(key))).join(", ")}</p>
        </section>
      ) : null}
      {node.memberKeys.length > 0 ? (
        <section aria-label="Members">
          <h3>Members</h3>
          <p className="code picture-members">
            {node.memberKeys.map((key) => visibleText(shortKey(key))).join(", ")}
            {node.members > node.memberKeys.length ? ` and ${node.members - node.memberKeys.length} more` : ""}
          </p>
        </section>
      ) : null}
    </Side>
  );
}
