import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { Drift, SshTransport } from "@wardline/api/wardline/console/v1/hosts";
import { Copy } from "lucide-react";
import { useState } from "react";
import { useActivity, useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { isConnected } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, IconButton, Notice, visibleText } from "../../../ui/index.ts";
import { JobCard } from "../../activity/index.ts";
import { accessText } from "../model/access-text.ts";
import { useCheck } from "../model/check-run.ts";
import { CheckSteps } from "./check-steps.tsx";
import { EditHost } from "./edit-host.tsx";
import { RemoveHost } from "./remove-host.tsx";

const TRANSPORTS: Record<SshTransport, string> = {
  [SshTransport.UNSPECIFIED]: "",
  [SshTransport.AUTO]: "",
  [SshTransport.BUILT_IN]: "built-in client",
  [SshTransport.SYSTEM]: "the system’s ssh",
};

const DRIFTS: Record<Drift, string | null> = {
  [Drift.UNSPECIFIED]: null,
  [Drift.NONE]: null,
  [Drift.OTHER_STATE]:
    "It enforces something else than what was last confirmed for it from here: another console, a rollback, or a boot with older records.",
  [Drift.BEHIND]: "It was away when a change was rolled out, and gets it when it returns.",
  [Drift.NEVER_APPLIED]: null,
  [Drift.UNKNOWN]: null,
};

/** How a remote machine is reached, what stands in the way, and the agent's life on it. */
export function ConnectionSection({ host }: { host: Host }) {
  const { connection } = useConsole();
  const { jobs } = useActivity();
  const { run, check } = useCheck();
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [open, setOpen] = useState<"none" | "edit" | "remove">("none");
  const job = jobs.find(({ hosts }) => hosts.some(({ hostId }) => hostId === host.id));
  const act = (action: Promise<unknown>) => {
    setFailure(null);
    action.catch((error: unknown) => setFailure(shownFailure(error)));
  };
  const install = () => act(connection.fleet.installAgent({ hostIds: [host.id] }));
  const drift = DRIFTS[host.drift];
  return (
    <section className="host-section" aria-labelledby="host-connection">
      <h2 id="host-connection">Connection</h2>
      {drift ? <Notice tone="observed">{drift}</Notice> : null}
      <SshFacts host={host} />
      <div className="host-buttons">
        <Button onPress={() => check({ hostId: host.id })} isDisabled={run?.isRunning ?? false}>
          Look at it step by step
        </Button>
        {isConnected(host) ? null : (
          <Button onPress={() => act(connection.fleet.connectHost({ hostId: host.id }))}>Connect now</Button>
        )}
        {host.agentUpdate !== "" ? (
          <Button tone="primary" onPress={install}>
            Upgrade the agent to {visibleText(host.agentUpdate)}
          </Button>
        ) : isConnected(host) ? null : (
          <Button onPress={install}>Install the agent</Button>
        )}
        <Button onPress={() => setOpen("edit")}>Edit</Button>
        <Button onPress={() => setOpen("remove")}>Remove…</Button>
      </div>
      {failure ? <FailureNotice failure={failure} /> : null}
      {job ? <JobCard job={job} /> : null}
      {run ? (
        <CheckSteps
          run={run}
          onTrust={async (fingerprint) => {
            await connection.fleet.trustHostKey({ hostId: host.id, fingerprint });
            await connection.fleet.connectHost({ hostId: host.id });
            check({ hostId: host.id });
          }}
        />
      ) : null}
      {open === "edit" ? <EditHost host={host} onDone={() => setOpen("none")} /> : null}
      {open === "remove" ? <RemoveHost host={host} onDone={() => setOpen("none")} /> : null}
    </section>
  );
}

function SshFacts({ host }: { host: Host }) {
  const { ssh } = host;
  // Where the system gives no clipboard the text can still be selected.
  const copy = (text: string) => void navigator.clipboard?.writeText(text).catch(() => undefined);
  return (
    <dl className="facts">
      <dt>Reached as</dt>
      <dd className="wrap-anywhere">
        <code>{accessText(host.access)}</code>
      </dd>
      {ssh ? (
        <>
          <dt>Connected to</dt>
          <dd className="wrap-anywhere">
            <code>
              {visibleText(ssh.user)}@{visibleText(ssh.address)}:{ssh.port}
            </code>{" "}
            <span className="soft">
              {ssh.via.length > 0 ? `through ${ssh.via.map(visibleText).join(", ")} · ` : ""}
              {TRANSPORTS[ssh.transport]}
            </span>
          </dd>
          <dt>Host key</dt>
          <dd className="wrap-anywhere">
            <code>{visibleText(ssh.hostKeyFingerprint)}</code>{" "}
            <span className="soft">{visibleText(ssh.hostKeyType)}</span>
          </dd>
          <dt>By hand</dt>
          <dd className="host-command">
            <code className="wrap-anywhere">{visibleText(ssh.command)}</code>
            <IconButton label="Copy the command" onPress={() => copy(ssh.command)}>
              <Copy size={14} aria-hidden="true" />
            </IconButton>
          </dd>
        </>
      ) : null}
      <dt>Groups</dt>
      <dd className="wrap-anywhere">{host.groups.map(visibleText).join(", ") || "none"}</dd>
    </dl>
  );
}
