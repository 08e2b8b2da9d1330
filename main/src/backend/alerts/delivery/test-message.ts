/** What a test of a receiver sends: a message like any other, which says that it is none. */
import { randomUUID } from "node:crypto";
import { type Alert, type AlertMessage, idOf } from "@wardline/domain/alerts";
import type { KeptReceiver } from "../receivers.ts";

export function testMessage({ name }: KeptReceiver, nowMs: number): AlertMessage {
  const id = idOf("test", name, randomUUID());
  const alert: Alert = {
    ...{ id, rule: "test", key: "test", state: "resolved", severity: "low", host: "", hostId: "", findingId: "" },
    sentence: `This is a test of the receiver "${name}". Nothing is wrong.`,
    labels: { rule: "test", severity: "low" },
    ...{ groupKey: "", beganAtMs: nowMs, firedAtMs: nowMs, endedAtMs: nowMs, seenAtMs: 0, silencedBy: "" },
    ...{ acknowledgedBy: "", acknowledgedAtMs: null, escalationStep: 0, toldTo: [], endToldTo: [] },
  };
  return {
    ...{ id, receiver: name, groupKey: "", rules: ["test"], kind: "firing", isReminder: false, severity: "low" },
    ...{
      madeAtMs: nowMs,
      firing: [],
      firingCount: 0,
      resolved: [alert],
      resolvedCount: 1,
      groupCount: 1,
      repeatSeconds: 60,
    },
  };
}
