import { createClient } from "@connectrpc/connect";
import { type AccessEffect, FlowActionsService } from "@wardline/api/wardline/console/v1/flow_actions";
import type { Flow } from "@wardline/api/wardline/v1/flow";
import type { FlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { Suspense, useEffect, useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { flowVerdict, verdictKind } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  Sheet,
  Skeleton,
  TextField,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { TextDiff } from "../../policies/index.ts";

export type ProposalKind = "allow" | "deny" | "test";

interface Proposal {
  readonly path: string;
  readonly baseRevision: bigint;
  readonly before: string;
  readonly after: string;
  readonly effects: readonly AccessEffect[];
  readonly effectCount: number;
  readonly remark: string;
}

/** What a live flow and a record of the history have in common. */
export type ProposedFlow = Pick<
  Flow | FlowRecord,
  | "sourceAddress"
  | "destinationAddress"
  | "subjectKey"
  | "protocol"
  | "destinationPort"
  | "direction"
  | "verdict"
  | "enforced"
>;

interface ProposalSheetProps {
  readonly kind: ProposalKind;
  readonly flow: ProposedFlow;
  readonly onClose: () => void;
}

/** A change of a file that was worked out from a flow: shown with whom it changes before anything is written. */
export function ProposalSheet({ kind, flow, onClose }: ProposalSheetProps) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const client = useMemo(() => createClient(FlowActionsService, connection.transport), [connection]);
  const [path, setPath] = useState("");
  const [asked, setAsked] = useState("");
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  useEffect(() => {
    const own = new AbortController();
    setFailure(null);
    setProposal(null);
    const flows = [seenFlow(flow)];
    const ask = async (): Promise<Proposal> => {
      if (kind === "test") {
        const expected = flowVerdict(flow) === "allow" ? Verdict.ALLOW : Verdict.DENY;
        const answer = await client.proposeTest({ flows, expected, path: asked }, { signal: own.signal });
        return { ...answer, effects: [], effectCount: 0, remark: answer.passes ? "" : answer.reason };
      }
      const wanted = kind === "allow" ? Verdict.ALLOW : Verdict.DENY;
      const answer = await client.proposeRule({ flows, wanted, path: asked }, { signal: own.signal });
      return { ...answer, effectCount: Number(answer.effectCount) };
    };
    ask().then(
      (answer) => {
        if (!own.signal.aborted) setProposal(answer);
      },
      (error: unknown) => {
        if (!own.signal.aborted) setFailure(shownFailure(error));
      },
    );
    return () => own.abort();
  }, [client, kind, flow, asked]);
  const write = async () => {
    if (!proposal) return;
    try {
      const { path: file, baseRevision, after } = proposal;
      await connection.policies.saveFile({ path: file, text: after, baseRevision });
      onClose();
      openFile(file);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const title =
    kind === "test" ? "A test of this connection" : kind === "allow" ? "Allow this connection" : "Deny this connection";
  const isSame = proposal !== null && proposal.before === proposal.after;
  return (
    <Sheet
      isOpen
      shape="dialog"
      title={title}
      onClose={onClose}
      footer={
        <>
          <Button onPress={onClose}>Leave it as it is</Button>
          <Button tone="primary" isDisabled={!proposal || isSame} onPress={() => void write()}>
            Write the draft of {visibleText(proposal?.path ?? "the file")}
          </Button>
        </>
      }
    >
      <div className="flow-form">
        <TextField
          label="File"
          isCode
          placeholder={proposal?.path ?? ""}
          value={path}
          onChange={setPath}
          onSubmit={() => setAsked(path.trim())}
        />
        {path.trim() !== asked ? (
          <Button size="small" onPress={() => setAsked(path.trim())}>
            Work it out for this file
          </Button>
        ) : null}
        {failure ? <FailureNotice failure={failure} title="There is no such change" /> : null}
        {!proposal && !failure ? <Skeleton rows={5} label="Working out the smallest change" /> : null}
        {proposal?.remark ? <p className="soft wrap-anywhere">{visibleText(proposal.remark)}</p> : null}
        {proposal && !isSame ? (
          <Suspense fallback={<Skeleton rows={5} label="Comparing" />}>
            <TextDiff oldText={proposal.before} newText={proposal.after} label={`Change of ${proposal.path}`} />
          </Suspense>
        ) : null}
        {proposal && proposal.effects.length > 0 ? (
          <section aria-label="Whom it changes">
            <h3>Whom it changes ({formatCount(proposal.effectCount)})</h3>
            <ul className="plain-list">
              {proposal.effects.map(({ sentence, after }) => (
                <li key={sentence} className="wrap-anywhere">
                  <VerdictMark verdict={verdictKind(after)} words={null} /> {visibleText(sentence)}
                </li>
              ))}
            </ul>
          </section>
        ) : null}
      </div>
    </Sheet>
  );
}

/** Of a connection that was refused before it had an address of its own. */
const UNCHOSEN: ReadonlySet<string> = new Set(["", "0.0.0.0", "::"]);

function seenFlow(flow: ProposedFlow) {
  const { sourceAddress, destinationAddress, subjectKey, protocol, destinationPort, direction } = flow;
  return {
    ...{
      from: UNCHOSEN.has(sourceAddress) ? subjectKey : sourceAddress,
      to: destinationAddress || subjectKey,
      subjectKey,
    },
    ...{ protocol, port: destinationPort, direction },
  };
}
