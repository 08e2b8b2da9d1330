import type { ShownHostKey } from "@wardline/api/wardline/console/v1/fleet";
import { useState } from "react";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, TextField, visibleText } from "../../../ui/index.ts";

/** A key that nobody has vouched for, or another one than is known. Nothing was sent to that machine yet. */
export function TrustKey({ shown, onTrust }: { shown: ShownHostKey; onTrust: (fingerprint: string) => Promise<void> }) {
  const [expected, setExpected] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const isChanged = shown.known.length > 0;
  const typed = expected.trim();
  const isDifferent = typed !== "" && typed !== shown.fingerprint;
  const trust = async () => {
    setBusy(true);
    setFailure(null);
    try {
      await onTrust(shown.fingerprint);
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className="trust" data-changed={isChanged ? "" : undefined} aria-label="Key of the machine">
      <h3>{isChanged ? "The machine shows another key than the known one" : "First contact: is this its key?"}</h3>
      <div className="trust-key">
        {shown.randomArt ? (
          <pre className="trust-art" aria-hidden="true">
            {shown.randomArt}
          </pre>
        ) : null}
        <div className="trust-text">
          <p>
            <code className="wrap-anywhere">{visibleText(shown.fingerprint)}</code>
            <br />
            <span className="soft">
              {visibleText(shown.keyType)} of {visibleText(shown.address)}, port {shown.port}
            </span>
          </p>
          {isChanged ? (
            <>
              <p>Known for it:</p>
              <ul className="host-limits">
                {shown.known.map((known) => (
                  <li key={known} className="wrap-anywhere">
                    <code>{visibleText(known)}</code>
                  </li>
                ))}
              </ul>
              <p>
                Either the machine was set up anew, or somebody stands between. If you know that it was set up anew,
                remove the line named above from known_hosts, then check again. Nothing was sent to it.
              </p>
            </>
          ) : (
            <>
              <p>
                On the machine itself, <code>ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub</code> prints the same
                line. Compare them, or paste here what you were given.
              </p>
              <TextField
                label="Fingerprint that you expect"
                isCode
                placeholder="SHA256:…"
                value={expected}
                onChange={setExpected}
                isInvalid={isDifferent}
              />
              {isDifferent ? <p className="labels-problem">This is not the key that the machine shows.</p> : null}
            </>
          )}
        </div>
      </div>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      {isChanged ? null : (
        <div className="trust-buttons">
          <Button tone="primary" isDisabled={isBusy || isDifferent} onPress={() => void trust()}>
            {typed === shown.fingerprint ? "It is the same: trust it" : "I compared them: trust this key"}
          </Button>
        </div>
      )}
    </section>
  );
}
