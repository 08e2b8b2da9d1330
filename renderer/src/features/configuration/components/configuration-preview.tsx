import { type PreviewConfigurationResponse, SignerState } from "@wardline/api/wardline/console/v1/configuration";
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { Notice, Tag, visibleText } from "../../../ui/index.ts";
import { MeaningList } from "../../policies/index.ts";

const KINDS = {
  [ChangeKind.UNSPECIFIED]: { text: "?", tone: "unknown" },
  [ChangeKind.ADDED]: { text: "add", tone: "allow" },
  [ChangeKind.CHANGED]: { text: "replace", tone: "observed" },
  [ChangeKind.REMOVED]: { text: "remove", tone: "deny" },
} as const;
const SHOWN = 200;

export function ConfigurationPreview({ preview }: { preview: PreviewConfigurationResponse }) {
  const { signer, parts, changes, changeCount, sameCount, meaning, leftToDo } = preview;
  const isUnknown = signer?.state === SignerState.UNKNOWN;
  const whose = isUnknown ? "a key that nobody here knows" : visibleText(signer?.name ?? "");
  const shown = changes.slice(0, SHOWN);
  return (
    <>
      <Notice tone={isUnknown ? "observed" : "allow"}>
        <strong>Signed by {whose}. Nothing in it was changed since.</strong>
        <code className="wrap-anywhere">{signer?.fingerprint}</code>
      </Notice>
      <p className="soft">
        Holds {parts.map(({ name, count }) => `${count} ${visibleText(name)}`).join(", ")}. {sameCount} are here
        already.
      </p>
      <ul className="configuration-changes" aria-label="What would change">
        {shown.map(({ part, name, kind }) => (
          <li key={`${part} ${name}`} className="wrap-anywhere">
            <Tag tone={KINDS[kind].tone}>{KINDS[kind].text}</Tag> <span className="soft">{visibleText(part)}</span>{" "}
            <code>{visibleText(name.slice(0, 300))}</code>
          </li>
        ))}
      </ul>
      {changeCount > shown.length ? <p className="soft">and {changeCount - shown.length} more</p> : null}
      {meaning ? <MeaningList meaning={meaning} /> : null}
      {leftToDo.length > 0 ? (
        <Notice tone="observed">
          {leftToDo.map((sentence) => (
            <span key={sentence}>{visibleText(sentence)}</span>
          ))}
        </Notice>
      ) : null}
    </>
  );
}
