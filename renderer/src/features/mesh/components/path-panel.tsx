import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { FindMeshPathResponse, MeshPath } from "@wardline/api/wardline/console/v1/mesh";
import { useId, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  Moment,
  Notice,
  Select,
  Skeleton,
  Tag,
  TextField,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { pathCommand } from "../model/cli.ts";
import { useMeshLook } from "../model/mesh-store.ts";
import { idsOfPath, nodesOfPath, singlePointNames } from "../model/paths.ts";
import type { ShownMesh } from "../model/shown.ts";
import { directionWords, latencyText, nodeLabel, PROVIDER_NAMES, shareText } from "../model/words.ts";
import { CopyLine } from "./copy-line.tsx";

const COUNTS = ["1", "2", "3", "4", "5", "6", "7", "8"].map((value) => ({
  value,
  label: value === "1" ? "1 way" : `${value} ways`,
}));
const MOST_OFFERED = 300;

/** From one node to another: the best way and others that share no link with it. */
export function PathPanel({ picture, shown }: { picture: MeshPicture; shown: ShownMesh }) {
  const { connection } = useConsole();
  const { pathFrom, pathTo, provider, atMs, look } = useMeshLook();
  const [count, setCount] = useState("3");
  const [mesh, setMesh] = useState(String(provider ?? 0));
  const [found, setFound] = useState<FindMeshPathResponse | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const listId = useId();
  const find = async () => {
    if (isBusy || pathFrom.trim() === "" || pathTo.trim() === "") return;
    setBusy(true);
    setFailure(null);
    look({ way: null });
    try {
      const answer = await connection.mesh.findMeshPath({
        from: pathFrom.trim(),
        to: pathTo.trim(),
        provider: Number(mesh),
        count: Number(count),
        ...(atMs === null ? {} : { at: timestampFromMs(atMs) }),
      });
      setFound(answer);
      const [best] = answer.paths;
      look({ way: best ? idsOfPath(best) : null });
    } catch (error) {
      setFound(null);
      setFailure(shownFailure(error));
    }
    setBusy(false);
  };
  return (
    <>
      <datalist id={listId}>
        {shown.nodes.slice(0, MOST_OFFERED).map((node) => (
          <option key={node.id} value={nodeLabel(node)} />
        ))}
      </datalist>
      <form
        className="mesh-form mesh-path-form"
        onSubmit={(event) => {
          event.preventDefault();
          void find();
        }}
      >
        <TextField label="From" list={listId} value={pathFrom} onChange={(value) => look({ pathFrom: value })} />
        <TextField
          label="To"
          hint="A name, an address or a key."
          list={listId}
          value={pathTo}
          onChange={(value) => look({ pathTo: value })}
        />
        <div className="mesh-line">
          <Select
            label="Over"
            isLabelHidden
            value={mesh}
            onChange={setMesh}
            choices={[
              { value: "0", label: "All meshes" },
              ...shown.providers.map((each) => ({ value: String(each), label: PROVIDER_NAMES[each] })),
            ]}
          />
          <Select label="How many" isLabelHidden value={count} onChange={setCount} choices={COUNTS} />
          <Button type="submit" tone="primary" isDisabled={pathFrom.trim() === "" || pathTo.trim() === ""}>
            Find
          </Button>
        </div>
        {atMs === null ? null : (
          <p className="soft">
            As it was at <Moment timeMs={atMs} form="full" />.
          </p>
        )}
      </form>
      {failure ? <FailureNotice isCompact failure={failure} title="No way was looked for" /> : null}
      {isBusy ? <Skeleton rows={4} label="Looking for ways" /> : null}
      {found ? <FoundPaths found={found} picture={picture} /> : null}
      <CopyLine command={found ? pathCommand(pathFrom.trim(), pathTo.trim()) : null} />
    </>
  );
}

function FoundPaths({ found, picture }: { found: FindMeshPathResponse; picture: MeshPicture }) {
  const { way, look } = useMeshLook();
  const shownKey = way ? [...way].join(" ") : "";
  const singles = singlePointNames(found.singlePoints, picture);
  return (
    <section className="mesh-section" aria-label="Ways found">
      {found.paths.length === 0 ? <Notice tone="deny">There is no way between them.</Notice> : null}
      {found.limitedBy ? <p className="soft">{visibleText(found.limitedBy)}</p> : null}
      {singles.length > 0 ? (
        <Notice tone="observed">
          <span>Every way goes through {singles.join(", ")}.</span>
        </Notice>
      ) : found.paths.length > 1 ? (
        <Notice tone="allow">No single link or node in between can cut them off.</Notice>
      ) : null}
      <ol className="mesh-ways">
        {found.paths.map((path, index) => {
          const ids = idsOfPath(path);
          const isShown = [...ids].join(" ") === shownKey;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: ways have no name but their place.
            <li key={index} className="mesh-way" data-shown={isShown ? "" : undefined}>
              <p className="mesh-line">
                <button type="button" className="link" aria-pressed={isShown} onClick={() => look({ way: ids })}>
                  {index === 0 ? "Best way" : `Way ${index + 1}`}: {formatQuantity(path.hops.length, "hop")}
                </button>
                <Tag tone={path.isObserved ? "allow" : "unknown"}>
                  {path.isObserved ? "observed: the daemon uses it" : "computed from links"}
                </Tag>
              </p>
              <p className="faint">
                {latencyText(path.latencyMs)} · loss {shareText(path.loss)} · cost {path.cost.toFixed(1)}
              </p>
              <Hops path={path} picture={picture} />
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function Hops({ path, picture }: { path: MeshPath; picture: MeshPicture }) {
  const openMesh = useWindow((state) => state.openMesh);
  const nodes = nodesOfPath(path);
  return (
    <ol className="mesh-hops">
      {nodes.map((id, index) => {
        const hop = path.hops[index - 1];
        const words = directionWords(hop?.direction);
        return (
          <li key={id}>
            {hop ? <VerdictMark verdict={words.shape} words={words.words} /> : null}
            <button type="button" className="link" onClick={() => openMesh(id)}>
              {nodeLabel(picture.nodes.get(id), id)}
            </button>
          </li>
        );
      })}
    </ol>
  );
}
