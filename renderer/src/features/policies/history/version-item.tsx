import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type VersionEntry, VersionKind } from "@wardline/api/wardline/console/v1/versions";
import { useConsoleNow } from "../../../data/context.tsx";
import { Moment, visibleText } from "../../../ui/index.ts";

export const KIND_WORDS: Record<VersionKind, string> = {
  [VersionKind.UNSPECIFIED]: "version",
  [VersionKind.KEPT]: "kept",
  [VersionKind.APPLIED]: "applied",
  [VersionKind.ROLLED_OUT]: "rolled out",
  [VersionKind.IMPORTED]: "imported",
  [VersionKind.RESTORED]: "restored",
  [VersionKind.CLUSTER]: "from the cluster",
  [VersionKind.SOURCE]: "from the source",
  [VersionKind.MERGED]: "merged",
  [VersionKind.BEFORE]: "kept before a change",
};

interface VersionItemProps {
  readonly version: VersionEntry;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

export function VersionItem({ version, isChosen, onChoose }: VersionItemProps) {
  const nowMs = useConsoleNow();
  const isEnforced = version.enforcedOn.some(({ until }) => !until);
  return (
    <button type="button" className="history-item" aria-current={isChosen ? "true" : undefined} onClick={onChoose}>
      <span className="history-reason">{visibleText(version.reason.slice(0, 200)) || "no reason given"}</span>
      <span className="faint truncate">
        #{String(version.number)} · {KIND_WORDS[version.kind]} · {visibleText(version.author)}
        {version.ticket === "" ? "" : ` · ${visibleText(version.ticket)}`}
        {isEnforced ? " · ● enforced" : ""}
      </span>
      <span className="faint truncate">
        {version.createdAt ? <Moment timeMs={timestampMs(version.createdAt)} nowMs={nowMs} /> : "time unknown"}
      </span>
    </button>
  );
}
