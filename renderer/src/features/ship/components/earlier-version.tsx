import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, formatMoment, Select, visibleText } from "../../../ui/index.ts";
import { PlanReview } from "./plan-review.tsx";

const SHOWN_VERSIONS = 50;

/** Back to any earlier version: what it would change is shown first; making it the draft leads through the same review. */
export function EarlierVersion({ onRestored }: { onRestored: () => void }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const scopeHostId = useWindow((state) => state.scopeHostId);
  const [versionId, setVersionId] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const versions = useQuery(PolicyService.method.listVersions, { limit: SHOWN_VERSIONS });
  const plan = useQuery(
    ShipService.method.plan,
    { hostIds: scopeHostId === null ? [] : [scopeHostId], versionId },
    { enabled: versionId !== "", staleTime: 0, gcTime: 0, retry: false },
  );
  const listed = versions.data?.versions ?? [];
  const chosen = listed.find(({ id }) => id === versionId);
  if (listed.length === 0) return null;
  const restore = async () => {
    setFailure(null);
    try {
      await connection.policies.restoreVersion({ id: versionId, reason: "" });
      setVersionId("");
      onRestored();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <section className="ship-section" aria-labelledby="ship-earlier">
      <h3 id="ship-earlier">Back to an earlier version</h3>
      <div className="earlier-line">
        <Select
          label="Version"
          isLabelHidden
          value={versionId || "none"}
          onChange={(id) => setVersionId(id === "none" ? "" : id)}
          choices={[
            { value: "none", label: "Choose a version" },
            ...listed.map(({ id, number, reason, createdAt, author }) => ({
              value: id,
              label: `Version ${number}: ${visibleText(reason).slice(0, 80) || "no reason given"}`,
              detail: `${visibleText(author)}${createdAt ? ` · ${formatMoment(timestampMs(createdAt), nowMs)}` : ""}`,
            })),
          ]}
        />
        {chosen ? <Button onPress={() => void restore()}>Make version {String(chosen.number)} the draft</Button> : null}
      </div>
      {failure ? <FailureNotice isCompact failure={failure} title="Nothing was restored" /> : null}
      {chosen ? (
        <>
          <p className="soft">
            What version {String(chosen.number)} would change on the hosts. The present draft is kept as a version of
            its own.
          </p>
          <PlanReview
            plan={plan.data ?? null}
            failure={plan.error ? shownFailure(plan.error) : null}
            onRetry={() => void plan.refetch()}
          />
        </>
      ) : null}
    </section>
  );
}
