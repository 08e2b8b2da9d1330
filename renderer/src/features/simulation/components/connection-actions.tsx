import { createClient } from "@connectrpc/connect";
import { FlowActionsService } from "@wardline/api/wardline/console/v1/flow_actions";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, Select } from "../../../ui/index.ts";
import { type Proposal, ProposalCard } from "./proposal-card.tsx";

export interface AskedConnection {
  readonly fromKey: string;
  readonly fromAddress: string;
  readonly toKey: string;
  readonly toAddress: string;
  readonly protocol: number;
  readonly port: number;
}

/** What can be done about a connection: see its flows, write a rule or a test for it. Nothing is written before it was shown. */
export function ConnectionActions({ connection: asked }: { connection: AskedConnection }) {
  const { connection } = useConsole();
  const openHistory = useWindow((state) => state.openHistory);
  const [wanted, setWanted] = useState<"allow" | "deny">("allow");
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const verdict = wanted === "allow" ? Verdict.ALLOW : Verdict.DENY;
  const propose = async (make: "rule" | "test") => {
    setBusy(true);
    setFailure(null);
    try {
      const client = createClient(FlowActionsService, connection.transport);
      const flows = [seenFlow(asked)];
      const made =
        make === "rule"
          ? await client.proposeRule({ flows, wanted: verdict })
          : await client.proposeTest({ flows, expected: verdict, because: "From the verdicts of a draft" });
      setProposal({ make, path: made.path, baseRevision: made.baseRevision, before: made.before, after: made.after });
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className="connection-actions" aria-label="About this connection">
      <div className="connection-buttons">
        <Button size="small" onPress={() => openHistory(flowQueryOf(asked))}>
          Show its flows
        </Button>
        <Select
          label="It should be"
          isLabelHidden
          value={wanted}
          onChange={setWanted}
          choices={[
            { value: "allow", label: "should be allowed" },
            { value: "deny", label: "should be denied" },
          ]}
        />
        <Button size="small" isDisabled={isBusy} onPress={() => void propose("rule")}>
          Make a rule
        </Button>
        <Button size="small" isDisabled={isBusy} onPress={() => void propose("test")}>
          Make a test
        </Button>
      </div>
      {failure ? <FailureNotice isCompact failure={failure} title="No draft could be made" /> : null}
      {proposal ? <ProposalCard proposal={proposal} onEnd={() => setProposal(null)} /> : null}
    </section>
  );
}

function seenFlow({ fromKey, fromAddress, toKey, toAddress, protocol, port }: AskedConnection) {
  return {
    from: fromKey || fromAddress,
    to: toKey || toAddress,
    protocol,
    port,
    direction: toKey === "" ? Direction.EGRESS : Direction.INGRESS,
    subjectKey: toKey || fromKey,
  };
}

/** In the flow query language. */
export function flowQueryOf({ fromAddress, toAddress, protocol, port }: AskedConnection): string {
  const ports = protocol === 6 || protocol === 17 || protocol === 132 ? ` port:${port}` : "";
  return `src:${fromAddress} dst:${toAddress}${ports}`;
}
