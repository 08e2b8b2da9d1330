import { toJsonString } from "@bufbuild/protobuf";
import { MemberPresenceSchema } from "@wardline/api/wardline/v1/cluster";
import { expect, it } from "vitest";
import { describePresence } from "./presenceContent.ts";

const FACTS = {
  ...{ name: "a", sessionId: "s", agentVersion: "0.1.0", addresses: [], startedAtMs: 1, nowMs: 2 },
  ...{ clock: null, problems: [], rival: null },
};

it("writes every latency, whatever its fraction of a millisecond", () => {
  for (let latencyMs = 0; latencyMs < 1_100; latencyMs += 0.917) {
    expect(() => toJsonString(MemberPresenceSchema, describePresence({ ...FACTS, latencyMs }, null))).not.toThrow();
  }
  const { heartbeatLatency } = describePresence({ ...FACTS, latencyMs: 1_008.123 }, null);
  expect(heartbeatLatency).toMatchObject({ seconds: 1n, nanos: 8_123_000 });
});
