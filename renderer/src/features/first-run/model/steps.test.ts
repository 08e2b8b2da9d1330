import { create } from "@bufbuild/protobuf";
import { type Host, HostSchema, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { type FileSummary, FileSummarySchema } from "@wardline/api/wardline/console/v1/policies";
import { describe, expect, it } from "vitest";
import { ENOUGH_CONNECTIONS, type FirstRunFacts, firstSteps } from "./steps.ts";

const host = (generation = 0n, reachability = Reachability.CONNECTED): Host =>
  create(HostSchema, {
    id: "1",
    name: "web-1",
    local: true,
    reachability,
    status: { enforced: { number: generation } },
  });
const file = (...kinds: string[]): FileSummary =>
  create(FileSummarySchema, { path: "a.yaml", documents: kinds.map((kind) => ({ key: kind, kind })) });

const statesOf = (facts: Partial<FirstRunFacts>) =>
  firstSteps({ hosts: [host()], files: [], connections: 0, ...facts })?.map(({ state }) => state);

describe("the first steps", () => {
  it.each([
    ["no host", { hosts: [] }, ["now", "later", "later", "later"]],
    ["a host that does not answer", { hosts: [host(0n, Reachability.NO_AGENT)] }, ["now", "later", "later", "later"]],
    ["nothing seen", {}, ["done", "now", "later", "later"]],
    ["not asked yet", { connections: null }, ["done", "now", "later", "later"]],
    ["a little seen", { connections: ENOUGH_CONNECTIONS - 1 }, ["done", "now", "later", "later"]],
    ["enough seen", { connections: ENOUGH_CONNECTIONS }, ["done", "done", "now", "later"]],
    ["only inventory", { connections: 99, files: [file("Host", "PolicyTest")] }, ["done", "done", "now", "later"]],
    ["a policy", { files: [file("Host", "NetworkPolicy")] }, ["done", "done", "done", "now"]],
  ] as const)("%s", (_name, facts, states) => {
    expect(statesOf(facts)).toEqual(states);
  });

  it("are gone once any host has a generation, also while it does not answer", () => {
    expect(firstSteps({ hosts: [host(), host(1n)], files: [], connections: 0 })).toBeNull();
    expect(firstSteps({ hosts: [host(3n, Reachability.NO_AGENT)], files: [], connections: 0 })).toBeNull();
  });

  it("say how much was seen, and never more", () => {
    const text = (connections: number | null) =>
      firstSteps({ hosts: [host()], files: [], connections })?.find(({ id }) => id === "watch")?.text;
    expect(text(null)).toContain("Asking");
    expect(text(0)).toContain("Nothing was recorded yet");
    expect(text(1)).toContain("1 record of");
    expect(text(12_345)).toBe("12,345 records of connections so far.");
  });
});
