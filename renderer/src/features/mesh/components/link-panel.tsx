import type { MeshDirection, MeshLink } from "@wardline/api/wardline/console/v1/mesh";
import { useConsoleNow } from "../../../data/context.tsx";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { useWindow } from "../../../data/window-store.ts";
import { formatAge, formatQuantity, Moment, Tag, VerdictMark, visibleText } from "../../../ui/index.ts";
import {
  bitRateText,
  directionWords,
  latencyText,
  linkWords,
  nodeLabel,
  PROVIDER_NAMES,
  scoreText,
  shareText,
} from "../model/words.ts";
import { ChangeList } from "./change-list.tsx";
import { SeriesCharts } from "./series-charts.tsx";

/** A link: how it is, how each end sees it, how that was over time, and what changed. */
export function LinkPanel({ link, picture }: { link: MeshLink; picture: MeshPicture }) {
  const nowMs = useConsoleNow();
  const a = nodeLabel(picture.nodes.get(link.a), link.a);
  const b = nodeLabel(picture.nodes.get(link.b), link.b);
  const words = linkWords(link);
  const sinceMs = optionalMs(link.since);
  return (
    <>
      <p className="mesh-line">
        <VerdictMark verdict={words.shape} words={words.words} />
        <Tag>{PROVIDER_NAMES[link.provider]}</Tag>
        {link.bridge ? <Tag tone="observed">the only way</Tag> : null}
        {sinceMs === null ? null : (
          <span className="soft">
            since <Moment timeMs={sinceMs} nowMs={nowMs} />
          </span>
        )}
      </p>
      {link.bridge ? <p className="soft">Without this link the mesh falls apart.</p> : null}
      <DirectionTable link={link} a={a} b={b} />
      <p className="mesh-line">
        <EndButton id={link.a} name={a} />
        <EndButton id={link.b} name={b} />
      </p>
      <SeriesCharts id={link.id} there={`${a} → ${b}`} back={`${b} → ${a}`} />
      <section className="mesh-section" aria-label="What changed here">
        <h3>What changed</h3>
        <ChangeList id={link.id} />
      </section>
    </>
  );
}

function EndButton({ id, name }: { id: string; name: string }) {
  const openMesh = useWindow((state) => state.openMesh);
  return (
    <button type="button" className="link" onClick={() => openMesh(id)}>
      Open {name}
    </button>
  );
}

type Row = readonly [string, (direction: MeshDirection) => string];

const ROWS: readonly Row[] = [
  ["Latency", ({ latencyMs }) => latencyText(latencyMs)],
  ["Loss", ({ loss }) => shareText(loss)],
  ["Quality", ({ quality }) => shareText(quality)],
  ["Throughput", ({ throughputBitsPerSecond }) => bitRateText(throughputBitsPerSecond)],
  ["Cost", ({ cost }) => (cost === undefined ? "not measured" : String(cost))],
  [
    "Path MTU",
    ({ pathMtuBytes }) => (pathMtuBytes === undefined ? "not measured" : formatQuantity(pathMtuBytes, "byte")),
  ],
  ["Score", ({ score }) => scoreText(score)],
  ["Dialled", ({ inbound }) => (inbound ? "by the other end" : "from here")],
  ["URI", ({ uri }) => visibleText(uri) || "–"],
];

/** Both directions side by side; a measure that neither has is left out. */
function DirectionTable({ link, a, b }: { link: MeshLink; a: string; b: string }) {
  const nowMs = useConsoleNow();
  const ways = [link.aToB, link.bToA];
  const text = (row: Row, direction: MeshDirection | undefined) =>
    direction?.observed && direction.up ? row[1](direction) : "–";
  const rows = ROWS.filter((row) => ways.some((way) => !["–", "not measured"].includes(text(row, way))));
  return (
    <table className="mesh-table">
      <thead>
        <tr>
          <th scope="col">Measured</th>
          <th scope="col" className="wrap-anywhere">
            {a} → {b}
          </th>
          <th scope="col" className="wrap-anywhere">
            {b} → {a}
          </th>
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">Class</th>
          {ways.map((way, index) => (
            <td key={index === 0 ? "there" : "back"}>
              <VerdictMark verdict={directionWords(way).shape} words={directionWords(way).words} />
            </td>
          ))}
        </tr>
        {rows.map((row) => (
          <tr key={row[0]}>
            <th scope="row">{row[0]}</th>
            <td className="wrap-anywhere">{text(row, link.aToB)}</td>
            <td className="wrap-anywhere">{text(row, link.bToA)}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">Measured</th>
          {ways.map((way, index) => {
            const ms = optionalMs(way?.measuredAt);
            return (
              <td key={index === 0 ? "there" : "back"}>{ms === null ? "never" : `${formatAge(nowMs - ms)} ago`}</td>
            );
          })}
        </tr>
      </tbody>
    </table>
  );
}
