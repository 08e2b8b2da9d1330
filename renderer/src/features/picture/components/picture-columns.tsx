import { PictureAccess, type PictureEdge, type PictureNode } from "@wardline/api/wardline/console/v1/picture";
import { formatQuantity, ScrollRegion, VerdictMark } from "../../../ui/index.ts";
import type { ShownPicture } from "../model/shown.ts";
import { flowsSaid, idOfEdge, nodeName, protectionSaid, sideSaid } from "../model/words.ts";

interface ColumnsProps {
  readonly shown: ShownPicture;
  readonly subjects: readonly PictureNode[];
  readonly selectedId: string | null;
  readonly onSelect: (id: string) => void;
}

/** Who comes in, the subject, and where it goes: one group, or what the policies of a file are about. */
export function PictureColumns({ shown, subjects, selectedId, onSelect }: ColumnsProps) {
  const ids = new Set(subjects.map(({ id }) => id));
  const into = shown.edges.filter(({ destinationId }) => ids.has(destinationId));
  const outOf = shown.edges.filter(({ sourceId }) => ids.has(sourceId));
  return (
    <ScrollRegion className="picture-columns" label="Ingress, subject and egress">
      <Ways
        {...{ shown, selectedId, onSelect }}
        title="Ingress"
        edges={into}
        other={({ sourceId }) => sourceId}
        none={openWords(subjects, "ingress")}
      />
      <section className="picture-column" aria-label="Subject">
        <h3>{subjects.length === 1 ? "Subject" : formatQuantity(subjects.length, "subject")}</h3>
        <ul>
          {subjects.map((node) => (
            <li key={node.id}>
              <button
                type="button"
                className="picture-card"
                data-subject=""
                aria-pressed={node.id === selectedId}
                onClick={() => onSelect(node.id)}
              >
                <strong className="truncate">{nodeName(node)}</strong>
                <VerdictMark verdict={protectionSaid(node).shape} words={protectionSaid(node).words} />
              </button>
            </li>
          ))}
        </ul>
      </section>
      <Ways
        {...{ shown, selectedId, onSelect }}
        title="Egress"
        edges={outOf}
        other={({ destinationId }) => destinationId}
        none={openWords(subjects, "egress")}
      />
    </ScrollRegion>
  );
}

interface WaysProps extends Omit<ColumnsProps, "subjects"> {
  readonly title: string;
  readonly edges: readonly PictureEdge[];
  readonly other: (edge: PictureEdge) => string;
  readonly none: string;
}

function Ways({ shown, selectedId, onSelect, title, edges, other, none }: WaysProps) {
  return (
    <section className="picture-column" aria-label={title}>
      <h3>
        {title} <span className="faint">{edges.length}</span>
      </h3>
      {none === "" ? null : <p className="picture-open">{none}</p>}
      {edges.length === 0 && none === "" ? (
        <p className="soft">Nobody: nothing is allowed and nothing was seen.</p>
      ) : null}
      <ul>
        {edges.map((edge) => (
          <li key={idOfEdge(edge)}>
            <button
              type="button"
              className="picture-card"
              aria-pressed={idOfEdge(edge) === selectedId}
              onClick={() => onSelect(idOfEdge(edge))}
            >
              <strong className="truncate">{nodeName(shown.byId.get(other(edge)))}</strong>
              <VerdictMark verdict={verdictOf(edge)} words={sideSaid(edge.draft).words} />
              <span className="faint truncate">{flowsSaid(edge.flows).words}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

const verdictOf = ({ draft }: PictureEdge) =>
  draft?.access === PictureAccess.NONE ? ("deny" as const) : sideSaid(draft).shape;

/** What is open because no policy speaks of it is no line of the picture; it is said here. */
function openWords(subjects: readonly PictureNode[], direction: "ingress" | "egress"): string {
  const open = subjects.filter(
    (node) => (direction === "ingress" ? node.ingressMembers : node.egressMembers) < node.members,
  );
  if (open.length === 0) return "";
  const who =
    open.length === subjects.length ? "No policy restricts" : `For ${open.length} of them no policy restricts`;
  return direction === "ingress"
    ? `${who} ingress: everybody may connect, as far as their own policies let them.`
    : `${who} egress: it may connect to everybody, as far as they let it in.`;
}
