import { create } from "@bufbuild/protobuf";
import { FileSummarySchema } from "@wardline/api/wardline/console/v1/policies";
import { describe, expect, it } from "vitest";
import { fakeHost } from "../../../testing/fake-data.ts";
import { listNeeds } from "./needs.ts";

describe("listNeeds", () => {
  it("is empty when nothing is wrong", () => {
    expect(listNeeds([fakeHost("normal", 0)], [])).toEqual([]);
  });
  it("names the cause, the next step and the code of an unreachable host", () => {
    const [need] = listNeeds([fakeHost("no-agent", 0)], []);
    expect(need).toMatchObject({ tone: "deny", code: "AGENT_UNREACHABLE", action: { kind: "host", target: "local" } });
    expect(need?.next).toContain("bin/wardline agent run");
  });
  it("puts files with errors before a host that only observes", () => {
    const needs = listNeeds([fakeHost("observe", 0)], [create(FileSummarySchema, { path: "a.yaml", errorCount: 2 })]);
    expect(needs.map((need) => need.id)).toEqual(["file:a.yaml", "observe:local"]);
  });
});
