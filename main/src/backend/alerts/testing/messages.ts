/** Messages, certificates and attempts for tests of deliveries. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Alert, AlertMessage } from "@wardline/domain/alerts";
import type { Attempt } from "../delivery/outcome.ts";

export const AT_MS = 1_700_000_000_000;

export function alertOf(change: Partial<Alert> = {}): Alert {
  return {
    ...{
      id: "a1",
      rule: "findings",
      key: "k",
      state: "firing",
      severity: "high",
      sentence: "web-1 talks every 60 s to 192.0.2.9",
    },
    ...{
      hostId: "web-1",
      host: "web-1",
      findingId: "f1",
      labels: { rule: "findings", host: "web-1", severity: "high" },
    },
    ...{ groupKey: '["findings","web-1"]', beganAtMs: AT_MS, firedAtMs: AT_MS, endedAtMs: null, seenAtMs: 0 },
    ...{ silencedBy: "", acknowledgedBy: "", acknowledgedAtMs: null, escalationStep: 0, toldTo: [], endToldTo: [] },
    ...change,
  };
}

export function messageOf(change: Partial<AlertMessage> = {}): AlertMessage {
  const firing = change.firing ?? [alertOf()];
  return {
    ...{
      id: "0123456789abcdef01234567",
      receiver: "r",
      groupKey: '["findings","web-1"]',
      rules: ["findings"],
      kind: "firing",
    },
    ...{ isReminder: false, severity: "high", madeAtMs: AT_MS, firing, firingCount: firing.length },
    ...{ resolved: [], resolvedCount: 0, groupCount: 1, repeatSeconds: 3_600 },
    ...change,
  };
}

export function attemptOf(
  change: Partial<AlertMessage> = {},
  secret: string | null = null,
): Attempt & { readonly steps: string[] } {
  const steps: string[] = [];
  const { signal } = new AbortController();
  return { message: messageOf(change), secret, signal, say: (step) => void steps.push(step), steps };
}

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
}

/** Signed by itself, for the name `hooks.test` only; `null` where there is no openssl. */
export function testCertificate(): TestCertificate | null {
  const dir = mkdtempSync(join(tmpdir(), "wardline-certificate-"));
  const [keyPath, certPath] = [join(dir, "key"), join(dir, "cert")];
  try {
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
        ...[
          "-subj",
          "/CN=hooks.test",
          "-addext",
          "subjectAltName=DNS:hooks.test",
          "-keyout",
          keyPath,
          "-out",
          certPath,
        ],
      ],
      { stdio: "ignore" },
    );
    return { key: readFileSync(keyPath, "utf8"), cert: readFileSync(certPath, "utf8") };
  } catch {
    return null;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
