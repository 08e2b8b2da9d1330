import { createClient } from "@connectrpc/connect";
import { type AccessEffect, FlowActionsService } from "@wardline/api/wardline/console/v1/flow_actions";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { Suspense, useEffect, useMemo, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { verdictKind } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatCount,
  formatQuantity,
  Sheet,
  Skeleton,
  TextField,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { TextDiff } from "../../policies/index.ts";
import { commonVerdict, distinctFlows, MOST_PROPOSED, type ProposedFlow } from "../model/proposed-flows.ts";

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

interface ProposalSheetProps {
  readonly kind: ProposalKind;
  /** One, or several that become one proposal. */
  readonly flows: readonly ProposedFlow[];
  readonly onClose: () => void;
}

/** A change of a file that was worked out from flows: shown with whom it changes before anything is written. */
export function ProposalSheet({ kind, flows, onClose }: ProposalSheetProps) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const client = useMemo(() => createClient(FlowActionsService, connection.transport), [connection]);
  // What was chosen when it opened: rows that come meanwhile change nothing of it.
  const [{ seen, expected }] = useState(() => ({ seen: distinctFlows(flows), expected: commonVerdict(flows) }));
  const [path, setPath] = useState("");
  const [asked, setAsked] = useState("");
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  /** How often the file changed under the proposal, which was worked out anew then. */
  const [overtaken, setOvertaken] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a file that changed is asked about anew.
  useEffect(() => {
    const own = new AbortController();
    setFailure(null);
    setProposal(null);
    if (seen.length === 0 || seen.length > MOST_PROPOSED) return;
    const ask = async (): Promise<Proposal> => {
      if (kind === "test") {
        const wanted = expected ?? Verdict.UNSPECIFIED;
        const answer = await client.proposeTest(
          { flows: [...seen], expected: wanted, path: asked },
          { signal: own.signal },
        );
        return { ...answer, effects: [], effectCount: 0, remark: answer.passes ? "" : answer.reason };
      }
      const wanted = kind === "allow" ? Verdict.ALLOW : Verdict.DENY;
      const answer = await client.proposeRule({ flows: [...seen], wanted, path: asked }, { signal: own.signal });
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
  }, [client, kind, seen, expected, asked, overtaken]);
  const write = async () => {
    if (!proposal) return;
    try {
      const { path: file, baseRevision, after } = proposal;
      await connection.policies.saveFile({ path: file, text: after, baseRevision });
      onClose();
      openFile(file);
    } catch (error) {
      const failed = shownFailure(error);
      // Nothing was written: what the change means now has to be seen first.
      if (failed.code === "REVISION_CONFLICT") setOvertaken(overtaken + 1);
      else setFailure(failed);
    }
  };
  const what = seen.length === 1 ? "this connection" : `these ${formatQuantity(seen.length, "connection")}`;
  const title = kind === "test" ? `A test of ${what}` : kind === "allow" ? `Allow ${what}` : `Deny ${what}`;
  const obstacle =
    seen.length > MOST_PROPOSED
      ? `At most ${MOST_PROPOSED} different connections can be put into one proposal, and these are ${formatCount(seen.length)}. Choose fewer rows, or let Policies write a policy for the whole group.`
      : seen.length === 0
        ? "These rows are sums that have lost their ends: nobody can say what a rule for them would be."
        : "";
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
      <div className="flow-form" data-sheet="">
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
        {overtaken > 0 && proposal ? (
          <p className="soft" role="status">
            The file was changed meanwhile, so nothing was written. This is the change of the file as it is now.
          </p>
        ) : null}
        {obstacle ? <p className="soft">{obstacle}</p> : null}
        {!proposal && !failure && !obstacle ? <Skeleton rows={5} label="Working out the smallest change" /> : null}
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
