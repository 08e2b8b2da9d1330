import type { MeshNode } from "@wardline/api/wardline/console/v1/mesh";
import { useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, formatQuantity, Moment, Notice, Tag, VerdictMark, visibleText } from "../../../ui/index.ts";
import { useMeshLook } from "../model/mesh-store.ts";
import type { ShownMesh } from "../model/shown.ts";
import { DAEMON_STATES, directionWords, NODE_STATES, nodeLabel, PROVIDER_NAMES } from "../model/words.ts";
import { ChangeList } from "./change-list.tsx";
import { HostMesh } from "./host-mesh.tsx";
import { SeriesCharts } from "./series-charts.tsx";

const SHOWN_LINKS = 40;

interface NodePanelProps {
  readonly node: MeshNode;
  readonly picture: MeshPicture;
  readonly shown: ShownMesh;
}

/** A node: how it is and why, who it is in each mesh, its links, what its host says, its past, and what can be done. */
export function NodePanel({ node, picture, shown }: NodePanelProps) {
  const nowMs = useConsoleNow();
  const openHost = useWindow((state) => state.openHost);
  const { atMs, look } = useMeshLook();
  const openMesh = useWindow((state) => state.openMesh);
  const state = NODE_STATES[node.state];
  const sinceMs = optionalMs(node.stateSince);
  const seenMs = optionalMs(node.lastSeen);
  return (
    <>
      <p className="mesh-line">
        <VerdictMark verdict={state.shape} words={state.words} />
        {sinceMs === null ? null : (
          <span className="soft">
            since <Moment timeMs={sinceMs} nowMs={nowMs} />
          </span>
        )}
        {node.hostId === "" ? <Tag>not managed</Tag> : null}
        {shown.singlePoints.has(node.id) ? <Tag tone="observed">holds the mesh together</Tag> : null}
        {shown.singleUplinks.has(node.id) ? <Tag tone="observed">hangs on one link</Tag> : null}
      </p>
      <p className="soft">
        {seenMs === null ? (
          "Never seen. "
        ) : (
          <>
            Last seen <Moment timeMs={seenMs} nowMs={nowMs} />.{" "}
          </>
        )}
        {node.groups.length > 0 ? `In ${node.groups.map(visibleText).join(", ")}.` : ""}
      </p>
      {node.problems.map((problem) => (
        <Notice key={problem} tone="observed">
          {visibleText(problem)}
        </Notice>
      ))}
      <p className="mesh-line">
        {node.hostId === "" ? null : <Button onPress={() => openHost(node.hostId)}>Open the host</Button>}
        <Button
          onPress={() => {
            openMesh(null);
            look({ isFindingPath: true, pathFrom: node.label || node.id, way: null });
          }}
        >
          Find a way from here
        </Button>
      </p>
      <Identities node={node} />
      {node.hostId === "" || atMs !== null ? null : <HostMesh hostId={node.hostId} />}
      <LinksOf node={node} picture={picture} shown={shown} />
      <SeriesCharts id={node.id} there="to it" back="from it" />
      <section className="mesh-section" aria-label="What changed here">
        <h3>What changed</h3>
        <ChangeList id={node.id} />
      </section>
    </>
  );
}

function Identities({ node }: { node: MeshNode }) {
  if (node.identities.length === 0)
    return <p className="soft">It has no identity in a mesh: it is known by plain ways only.</p>;
  return (
    <section className="mesh-section" aria-label="Identities">
      <h3>Who it is</h3>
      {node.identities.map(({ provider, identity, toldBy, generation, version, daemon }) => (
        <dl key={`${provider} ${identity?.key}`} className="mesh-facts">
          <dt>{PROVIDER_NAMES[provider]}</dt>
          <dd>
            <VerdictMark verdict={DAEMON_STATES[daemon].shape} words={`the daemon ${DAEMON_STATES[daemon].words}`} />
          </dd>
          {identity?.address ? <Fact name="Address" value={identity.address} /> : null}
          {identity?.subnet ? <Fact name="Subnet" value={identity.subnet} /> : null}
          {identity?.key ? <Fact name="Key" value={identity.key} /> : null}
          {generation || version ? (
            <>
              <dt>Speaks</dt>
              <dd className="wrap-anywhere">
                {visibleText(generation) || "not known"}
                {version ? ` (says it is ${visibleText(version)})` : ""}
              </dd>
            </>
          ) : null}
          <dt>Told by</dt>
          <dd className="wrap-anywhere">{toldBy.slice(0, 8).map(visibleText).join(", ") || "nobody"}</dd>
        </dl>
      ))}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <code className="wrap-anywhere">{visibleText(value)}</code>
      </dd>
    </>
  );
}

function LinksOf({ node, picture, shown }: NodePanelProps) {
  const openMesh = useWindow((state) => state.openMesh);
  const links = shown.linksOf.get(node.id) ?? [];
  return (
    <section className="mesh-section" aria-label="Links of this node">
      <h3>{formatQuantity(links.length, "link")}</h3>
      <ul className="mesh-links">
        {links.slice(0, SHOWN_LINKS).map((link) => {
          const isA = link.a === node.id;
          const other = isA ? link.b : link.a;
          const out = directionWords(isA ? link.aToB : link.bToA);
          const back = directionWords(isA ? link.bToA : link.aToB);
          return (
            <li key={link.id}>
              <button type="button" className="link" onClick={() => openMesh(link.id)}>
                {nodeLabel(picture.nodes.get(other), other)}
              </button>
              <span className="faint">{PROVIDER_NAMES[link.provider]}</span>
              <VerdictMark verdict={out.shape} words={`→ ${out.words}`} />
              <VerdictMark verdict={back.shape} words={`← ${back.words}`} />
            </li>
          );
        })}
      </ul>
      {links.length > SHOWN_LINKS ? (
        <p className="faint">
          {formatQuantity(links.length - SHOWN_LINKS, "more link is", "more links are")} in the table.
        </p>
      ) : null}
    </section>
  );
}
