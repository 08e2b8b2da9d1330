import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { type MeshGap, MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { useMemo } from "react";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, formatDateTime, formatQuantity, formatShortDateTime, Select } from "../../../ui/index.ts";
import { useMinute } from "../hooks/use-minute.ts";
import { useMeshLook } from "../model/mesh-store.ts";
import { MINUTE_MS, SPANS, slotAt, slotsOf, unknownParts } from "../model/slots.ts";

/** Changes over time, and the way back to any minute of it. Arrow keys go by a minute, page keys by a tenth. */
export function TimeBar({ gaps, earliestMs }: { gaps: readonly MeshGap[]; earliestMs: number | null }) {
  const { atMs, spanMs, look } = useMeshLook();
  const nowMs = useMinute();
  const fromMs = nowMs - spanMs;
  const changes = useQuery(
    MeshService.method.listMeshChanges,
    { from: timestampFromMs(fromMs), to: timestampFromMs(nowMs), limit: 1 },
    { placeholderData: (former) => former },
  );
  const slots = useMemo(() => slotsOf(changes.data?.counts ?? [], fromMs, nowMs), [changes.data, fromMs, nowMs]);
  const unknown = unknownParts(gaps, earliestMs ?? optionalMs(changes.data?.earliest), fromMs, nowMs);
  const shownMs = atMs ?? nowMs;
  const here = slotAt(slots, Math.min(shownMs, nowMs - 1));
  const goTo = (ms: number) => look({ atMs: ms >= nowMs ? null : Math.floor(ms / MINUTE_MS) * MINUTE_MS });
  return (
    <section className="time-bar" aria-label="Time">
      <Select
        label="Time of the slider"
        isLabelHidden
        value={String(spanMs)}
        onChange={(value) => look({ spanMs: Number(value) })}
        choices={SPANS}
      />
      <div className="time-track">
        <div className="time-slots" aria-hidden="true">
          {slots.map(({ fromMs: slotMs, height }) => (
            <span key={slotMs} style={{ height: `${height * 100}%` }} />
          ))}
          {unknown.map(({ start, end }) => (
            <i key={start} style={{ left: `${start * 100}%`, width: `${(end - start) * 100}%` }} />
          ))}
          <b style={{ left: `${Math.min(1, Math.max(0, (shownMs - fromMs) / spanMs)) * 100}%` }} />
        </div>
        <input
          type="range"
          className="time-range"
          aria-label="Minute that is looked at"
          aria-valuetext={`${atMs === null ? "now" : formatDateTime(shownMs)}, ${formatQuantity(here?.count ?? 0, "change")}`}
          min={fromMs}
          max={nowMs}
          step={MINUTE_MS}
          value={shownMs}
          onChange={(event) => goTo(Number(event.target.value))}
        />
        <p className="time-scale faint" aria-hidden="true">
          <span>{formatShortDateTime(fromMs).slice(0, -3)}</span>
          <span>
            {changes.error
              ? "changes are not known now"
              : `${formatQuantity(changes.data?.total ?? 0n, "change")} in this time`}
            {unknown.length > 0 ? " · hatched: nothing is known of it" : ""}
          </span>
          <span>now</span>
        </p>
      </div>
      <Button isDisabled={atMs === null} onPress={() => look({ atMs: null })}>
        {atMs === null ? "Now" : "Back to now"}
      </Button>
    </section>
  );
}
