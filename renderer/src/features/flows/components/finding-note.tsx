import type { Finding } from "@wardline/api/wardline/v1/anomaly";
import { Flag } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { Button, Notice, visibleText } from "../../../ui/index.ts";

/** That the row is evidence of a finding, and the way to it. */
export function FindingNote({ finding }: { finding: Finding | undefined }) {
  const openFinding = useWindow((state) => state.openFinding);
  if (!finding) return null;
  return (
    <Notice
      tone="observed"
      icon={<Flag size={14} aria-hidden="true" />}
      action={
        <Button size="small" onPress={() => openFinding(finding.id)}>
          Open it
        </Button>
      }
    >
      <strong>Part of a finding</strong>
      <span className="wrap-anywhere">{visibleText(finding.sentence)}</span>
    </Notice>
  );
}
