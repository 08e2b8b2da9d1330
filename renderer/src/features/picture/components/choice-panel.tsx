import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import { type DraftForResponse, type PictureBasis, PictureService } from "@wardline/api/wardline/console/v1/picture";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { PencilRuler } from "lucide-react";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, formatQuantity, Moment, Notice, Skeleton, visibleText } from "../../../ui/index.ts";
import { usePictureLook } from "../model/picture-store.ts";
import type { ShownPicture } from "../model/shown.ts";
import { nodeName } from "../model/words.ts";
import { NewFile } from "./new-file.tsx";
import { Side } from "./side.tsx";

/** Groups that were chosen, and the least that what was seen of them needs. */
export function ChoicePanel({ shown, basis }: { shown: ShownPicture; basis: PictureBasis }) {
  const { chosen, isWriting, look, choose } = usePictureLook();
  const ids = [...chosen];
  const answer = useQuery(PictureService.method.draftFor, isWriting ? { basis, nodeIds: ids } : skipToken, {
    gcTime: 0,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const clear = () => look({ chosen: new Set(), isWriting: false });
  return (
    <Side name="Chosen groups" title={formatQuantity(ids.length, "chosen group")} onClose={clear}>
      <ul className="picture-chosen">
        {ids.map((id) => (
          <li key={id}>
            <span className="truncate">{nodeName(shown.byId.get(id) ?? { name: id, namespace: "" })}</span>
            <button type="button" className="link" onClick={() => choose([id])}>
              Leave out
            </button>
          </li>
        ))}
      </ul>
      <div className="picture-actions">
        <Button
          tone="primary"
          icon={<PencilRuler size={14} aria-hidden="true" />}
          onPress={() => look({ isWriting: true })}
          isDisabled={isWriting}
        >
          Write a policy for these
        </Button>
        <Button tone="quiet" onPress={clear}>
          Choose none
        </Button>
      </div>
      {isWriting && answer.isPending ? <Skeleton rows={6} label="Learning from the flows of these groups" /> : null}
      {answer.error ? (
        <FailureNotice isCompact failure={shownFailure(answer.error)} onRetry={() => void answer.refetch()} />
      ) : null}
      {isWriting && answer.data ? <Suggested answer={answer.data} /> : null}
    </Side>
  );
}

function Suggested({ answer }: { answer: DraftForResponse }) {
  const { suggestions, notes, text, path, flowRecords } = answer;
  if (suggestions.length === 0)
    return (
      <Notice tone="unknown">
        Nothing was seen of these groups by their own hosts, so there is nothing to write a policy from.{" "}
        {notes.map(visibleText).join(" ")}
      </Notice>
    );
  return (
    <>
      <p className="soft">
        Learned from {formatQuantity(flowRecords, "record")}. Read it before use; nothing is added by itself.
      </p>
      {suggestions.map((suggestion) => (
        <section
          key={`${suggestion.namespace}/${suggestion.name}`}
          aria-label={`Policy for ${visibleText(suggestion.group)}`}
        >
          <h3>{visibleText(suggestion.group)}</h3>
          <ul className="picture-rules">
            {suggestion.rules.map(({ direction, peers, ports, confidence, connections, lastSeen }) => (
              <li key={`${direction} ${peers.join()} ${ports.join()}`}>
                <span>
                  {direction === Direction.INGRESS ? "from" : "to"} {listed(peers)} on {listed(ports)}
                </span>
                <span className="faint">
                  confidence {confidence.toFixed(2)}, {formatQuantity(connections, "connection")}
                  {lastText(optionalMs(lastSeen))}
                </span>
              </li>
            ))}
          </ul>
          {suggestion.notes.map((note) => (
            <p key={note} className="picture-warning">
              {visibleText(note)}
            </p>
          ))}
        </section>
      ))}
      {notes.map((note) => (
        <p key={note} className="soft">
          {visibleText(note)}
        </p>
      ))}
      <NewFile label="Look at the text" path={path} text={text} />
    </>
  );
}

const SHOWN = 4;
const listed = (texts: readonly string[]) =>
  visibleText(texts.slice(0, SHOWN).join(", ")) + (texts.length > SHOWN ? ` and ${texts.length - SHOWN} more` : "");
const lastText = (timeMs: number | null) =>
  timeMs === null ? null : (
    <>
      , last <Moment timeMs={timeMs} form="short" />
    </>
  );
