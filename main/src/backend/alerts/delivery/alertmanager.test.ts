import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "@wardline/domain/testing/machine";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { alertOf, attemptOf } from "../testing/messages.ts";
import { postToAlertmanager } from "./alertmanager.ts";

const PROGRAM = "/usr/bin/prometheus-alertmanager";
const problem = existsSync(PROGRAM) ? null : "prometheus-alertmanager is not installed";

describe.skipIf(problem !== null)(`Alertmanager (${problem ?? "the real one"})`, () => {
  const dir = mkdtempSync(join(tmpdir(), "wardline-alertmanager-"));
  let program: ChildProcess | null = null;
  let url = "";

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const configPath = join(dir, "config.yml");
    writeFileSync(configPath, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n");
    program = spawn(
      PROGRAM,
      [
        ...[`--config.file=${configPath}`, `--storage.path=${join(dir, "data")}`],
        ...[`--web.listen-address=127.0.0.1:${port}`, "--cluster.listen-address="],
      ],
      { stdio: "ignore" },
    );
    await vi.waitUntil(isReady, { timeout: 20_000 });
  }, 30_000);

  afterAll(async () => {
    const ended = new Promise((resolve) => program?.once("exit", resolve) ?? resolve(null));
    program?.kill();
    await ended;
    rmSync(dir, { recursive: true, force: true });
  });

  async function isReady(): Promise<boolean> {
    try {
      return (await fetch(`${url}/-/ready`)).ok;
    } catch {
      return false;
    }
  }

  async function active(): Promise<
    { labels: Record<string, string>; annotations: Record<string, string>; endsAt: string }[]
  > {
    return (await (await fetch(`${url}/api/v2/alerts`)).json()) as never;
  }

  const http = () => ({
    allowedUrls: () => [],
    resolve: async () => ["127.0.0.1"],
    limits: { connectMs: 5_000, answerMs: 5_000, totalMs: 10_000 },
    nowMs: () => Date.now(),
  });

  it("takes alerts, keeps them beyond its own time to forget, and lets them go when they end", async () => {
    const receiver = { name: "am", kind: "alertmanager", url, allowLocal: true } as const;
    const now = Date.now();
    const [one, two] = ["a1", "a2"].map((id) =>
      alertOf({ id, findingId: id, firedAtMs: now - 1_000, beganAtMs: now - 1_000 }),
    );
    const firing = [one, two].filter((alert) => alert !== undefined);
    const sent = await postToAlertmanager(
      receiver,
      attemptOf({ firing, firingCount: 2, repeatSeconds: 3_600 }),
      http(),
    );
    expect(sent).toMatchObject({ result: "accepted", detail: expect.stringContaining("HTTP 200") });
    await expect.poll(async () => (await active()).length).toBe(2);
    const [first] = await active();
    expect(first?.labels).toMatchObject({ alertname: "findings", host: "web-1", severity: "high" });
    expect(first?.annotations.summary).toContain("talks every 60 s");
    // Its own `resolve_timeout` is five minutes.
    expect(Date.parse(first?.endsAt ?? "") - now).toBeGreaterThan(2 * 3_600_000);
    const ended = firing.slice(0, 1).map((alert) => ({ ...alert, state: "resolved" as const, endedAtMs: Date.now() }));
    const over = attemptOf({ kind: "resolved", firing: [], firingCount: 0, resolved: ended, resolvedCount: 1 });
    expect(await postToAlertmanager(receiver, over, http())).toMatchObject({ result: "accepted" });
    await expect.poll(async () => (await active()).map(({ labels }) => labels.wardline_alert)).toEqual(["a2"]);
  });

  it("says what it does not like", async () => {
    const receiver = { name: "am", kind: "alertmanager", url, allowLocal: true } as const;
    const firing = [alertOf({ labels: { "not a label": "x" } })];
    const sent = await postToAlertmanager(receiver, attemptOf({ firing, firingCount: 1 }), http());
    expect(sent).toMatchObject({ result: "failed", detail: expect.stringMatching(/^HTTP 400 .*label/) });
  });
});
