import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice } from "../../../ui/index.ts";
import { accessProblem, EMPTY_ACCESS, toAccess, toEnvironment, toGroups, withAddress } from "../model/access-draft.ts";
import { useCheck } from "../model/check-run.ts";
import { AccessForm } from "./access-form.tsx";
import { CheckSteps } from "./check-steps.tsx";

interface AddByHandProps {
  readonly known: { readonly groups: readonly string[]; readonly environments: readonly string[] };
  readonly onAdded: (hostIds: readonly string[]) => void;
}

/** One machine: typed, looked at, added. It can be added without a look, for example while it is off. */
export function AddByHand({ known, onAdded }: AddByHandProps) {
  const { connection } = useConsole();
  const [draft, setDraft] = useState(EMPTY_ACCESS);
  const [wasTried, setTried] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const { run, check } = useCheck();
  const complete = withAddress(draft, draft.address);
  const problem = accessProblem(complete);
  const access = toAccess(complete);
  const look = () => {
    setTried(true);
    setDraft(complete);
    if (problem === null) check({ access });
  };
  const add = async () => {
    setTried(true);
    if (problem !== null) return;
    setFailure(null);
    const environment = toEnvironment(complete);
    const host = {
      alias: complete.alias.trim(),
      access,
      groups: toGroups(complete),
      ...(environment ? { environment } : {}),
    };
    try {
      onAdded((await connection.fleet.addHosts({ hosts: [host] })).hostIds);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <section className="add-section" aria-label="Add a host by hand">
      <AccessForm draft={draft} onChange={setDraft} onSubmit={look} {...known} />
      <div className="add-line">
        <span className="soft" role="status">
          {wasTried && problem ? problem : "Looking changes nothing on the machine."}
        </span>
        <Button onPress={look} isDisabled={run?.isRunning ?? false}>
          {run ? "Look again" : "Look at it"}
        </Button>
        <Button tone="primary" onPress={() => void add()}>
          Add it
        </Button>
      </div>
      {failure ? <FailureNotice failure={failure} title="It was not added" /> : null}
      {run ? (
        <CheckSteps
          run={run}
          onTrust={async (fingerprint) => {
            await connection.fleet.trustHostKey({ access, fingerprint });
            check({ access });
          }}
        />
      ) : null}
    </section>
  );
}
