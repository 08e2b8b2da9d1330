import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { PolicySuggestion, SuggestedRule } from "@wardline/api/wardline/console/v1/verdicts";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatProtocolPort,
  formatQuantity,
  Moment,
  ScrollRegion,
  shortKey,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import { confidenceWords, fileTextOf } from "../model/suggestions.ts";

/** One policy with the evidence for each of its rules; accepting writes it and its test into the draft. */
export function SuggestionCard({ suggestion }: { suggestion: PolicySuggestion }) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isSaved, setSaved] = useState(false);
  const { name, group, rules, confidence, path, notes, subjectKeys, testText } = suggestion;
  const accept = async () => {
    setFailure(null);
    try {
      await connection.policies.saveFile({ path, text: fileTextOf(suggestion), baseRevision: 0n });
      setSaved(true);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <section className="suggestion" aria-label={`Suggested policy ${visibleText(name)}`}>
      <header className="suggestion-head">
        <div>
          <h3 className="wrap-anywhere">{visibleText(group)}</h3>
          <span className="soft">
            {formatQuantity(subjectKeys.length, "member")} · {formatQuantity(rules.length, "rule")}
            {testText === "" ? "" : " · with a test of what must stay allowed"}
          </span>
        </div>
        <Tag tone={confidence >= 0.7 ? "allow" : confidence >= 0.4 ? "observed" : "unknown"}>
          {confidenceWords(confidence)}
        </Tag>
        {isSaved ? (
          <Button size="small" onPress={() => openFile(path)}>
            Open in Policies
          </Button>
        ) : (
          <Button size="small" tone="primary" onPress={() => void accept()}>
            Add to the draft
          </Button>
        )}
      </header>
      {isSaved ? (
        <p className="soft" role="status">
          Saved as {visibleText(path)}. No host changes before you review and apply it.
        </p>
      ) : null}
      {failure ? <FailureNotice isCompact failure={failure} title="Not saved" /> : null}
      {rules.map((rule, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a suggestion never changes; another answer is another card.
        <RuleLine key={index} rule={rule} />
      ))}
      {notes.map((note) => (
        <p key={note} className="soft wrap-anywhere">
          {visibleText(note)}
        </p>
      ))}
      <details>
        <summary>The text</summary>
        <ScrollRegion label={`Text of ${visibleText(name)}`} className="suggestion-text">
          <pre>{fileTextOf(suggestion).split("\n").map(visibleText).join("\n")}</pre>
        </ScrollRegion>
      </details>
    </section>
  );
}

function RuleLine({ rule }: { rule: SuggestedRule }) {
  const nowMs = useConsoleNow();
  const { evidence, peers, ports, direction, confidence, talkers } = rule;
  return (
    <div className="suggestion-rule">
      <p className="wrap-anywhere">
        <strong>{direction === Direction.INGRESS ? "in from" : "out to"}</strong> {peers.map(visibleText).join(", ")}{" "}
        <code>{ports.map(visibleText).join(", ")}</code>
      </p>
      <p className="soft wrap-anywhere">
        {confidenceWords(confidence)}
        {evidence ? (
          <>
            {" "}
            · {formatQuantity(evidence.flows, "flow")} from {formatQuantity(evidence.sources, "address", "addresses")}{" "}
            in {formatQuantity(evidence.hours, "hour")}
            {evidence.lastSeen ? (
              <>
                , last <Moment timeMs={timestampMs(evidence.lastSeen)} nowMs={nowMs} form="short" />
              </>
            ) : null}
            {evidence.seenShare < 1
              ? ` · opens to more than was seen (${Math.round(evidence.seenShare * 100)} % seen)`
              : ""}
          </>
        ) : null}
      </p>
      {talkers[0] ? (
        <p className="faint wrap-anywhere">
          {talkers
            .slice(0, 3)
            .map(
              ({ from, to, protocol, port, flows }) =>
                `${visibleText(shortKey(from))} → ${visibleText(shortKey(to))} ${formatProtocolPort(protocol, port)} (${formatCount(flows)})`,
            )
            .join(", ")}
        </p>
      ) : null}
    </div>
  );
}
