import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { ENVIRONMENT_TONES } from "../../../data/hosts-snapshot.ts";
import { Button, EnvironmentTag, FailureNotice, Notice, Sheet, TextField, visibleText } from "../../../ui/index.ts";
import { usePermission } from "../hooks/use-permission.ts";
import { peerCommand } from "../model/cli.ts";
import { PROVIDER_NAMES } from "../model/words.ts";
import { CopyLine } from "./copy-line.tsx";

export interface PeerEdit {
  readonly kind: "add" | "remove";
  readonly provider: MeshProvider;
  readonly uri: string;
  readonly interfaceName: string;
}

/** Codes with which a host refuses to cut itself off. */
const CUTS_OFF = new Set(["WOULD_LOCK_OUT", "CONFIRMATION_REQUIRED"]);

/** First what would happen, as the host says it; only then the button that does it. */
export function PeerDialog({ hostId, edit, onDone }: { hostId: string; edit: PeerEdit; onDone: () => void }) {
  const { connection } = useConsole();
  const { host, refusal } = usePermission(hostId, "operator");
  const [uri, setUri] = useState(edit.uri);
  const [reason, setReason] = useState("");
  const [allowsCutOff, setAllowsCutOff] = useState(false);
  const [mayCutOff, setMayCutOff] = useState(false);
  /** What the host would do with exactly these words; `null` = not asked yet. */
  const [effects, setEffects] = useState<readonly string[] | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isAdd = edit.kind === "add";
  const name = visibleText(host?.name ?? hostId);
  const change = () => {
    setEffects(null);
    setFailure(null);
  };
  const send = async (dryRun: boolean) => {
    // Not by a disabled button: that would take the focus out of the dialog.
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    const common = {
      provider: edit.provider,
      uri: uri.trim(),
      interfaceName: edit.interfaceName,
      dryRun,
      reason: reason.trim(),
    };
    try {
      const said = isAdd
        ? (await connection.mesh.addMeshPeer({ hostId, request: common })).response?.effects
        : (await connection.mesh.removeMeshPeer({ hostId, request: { ...common, allowCutOff: allowsCutOff } })).response
            ?.effects;
      if (!dryRun) return onDone();
      setEffects(said ?? []);
    } catch (error) {
      const shown = shownFailure(error);
      setFailure(shown);
      setEffects(null);
      if (CUTS_OFF.has(shown.code)) setMayCutOff(true);
    } finally {
      setBusy(false);
    }
  };
  const verb = isAdd ? "Add the peer" : "Remove the peer";
  return (
    <Sheet
      shape="dialog"
      isOpen
      onClose={onDone}
      title={`${verb} ${isAdd ? "to" : "from"} ${name}`}
      subtitle={
        host?.environment ? (
          <EnvironmentTag name={host.environment.name} color={ENVIRONMENT_TONES[host.environment.color]} />
        ) : null
      }
      footer={
        <>
          <Button onPress={onDone}>Cancel</Button>
          <span className="mesh-footer-space" />
          {effects === null ? (
            <Button tone="primary" isDisabled={uri.trim() === "" || refusal !== ""} onPress={() => void send(true)}>
              See what would happen
            </Button>
          ) : (
            <Button tone={isAdd ? "primary" : "danger"} onPress={() => void send(false)}>
              {verb} {isAdd ? "to" : "from"} {name}
            </Button>
          )}
        </>
      }
    >
      <div className="mesh-form">
        {refusal ? <Notice tone="unknown">{refusal}</Notice> : null}
        {isAdd ? (
          <TextField
            label={`URI of the ${PROVIDER_NAMES[edit.provider]} peer`}
            hint="tcp, tls, quic, ws or wss: tls://192.0.2.10:4443. The other end has to listen there."
            isCode
            value={uri}
            onChange={(value) => {
              setUri(value);
              change();
            }}
            onSubmit={() => void send(true)}
          />
        ) : (
          <p>
            {PROVIDER_NAMES[edit.provider]} on {name} stops dialling{" "}
            <code className="wrap-anywhere">{visibleText(edit.uri)}</code>.
          </p>
        )}
        <TextField label="Why (for the host's audit log)" value={reason} onChange={setReason} />
        {effects === null ? null : (
          <section className="mesh-effects" aria-label="What would happen">
            <h3>What would happen</h3>
            {effects.length === 0 ? (
              <p className="soft">The host says that nothing would change.</p>
            ) : (
              <ul>
                {effects.map((effect) => (
                  <li key={effect} className="wrap-anywhere">
                    {visibleText(effect)}
                  </li>
                ))}
              </ul>
            )}
          </section>
        )}
        {failure ? <FailureNotice isCompact failure={failure} title="Nothing was changed" /> : null}
        {mayCutOff ? (
          <label className="check-line">
            <input
              type="checkbox"
              checked={allowsCutOff}
              onChange={(event) => {
                setAllowsCutOff(event.target.checked);
                change();
              }}
            />
            Do it although it cuts {name} off
          </label>
        ) : null}
        <CopyLine command={peerCommand(edit.kind, host?.name ?? "", uri.trim(), edit.provider)} />
      </div>
    </Sheet>
  );
}
