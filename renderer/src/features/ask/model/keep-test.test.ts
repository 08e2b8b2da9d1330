import { readPolicyFiles } from "@wardline/domain/policy";
import { expect, it } from "vitest";
import { appendDocument, freeName, nameFor, withName } from "./keep-test.ts";

const TEST = `apiVersion: wardline.io/v1
kind: PolicyTest
metadata:
  name: kept-answer
spec:
  tests:
    - from: any
      to: any
      expect: allow
`;

it("adds a test to a file, under a name of its own, and leaves the rest as it is", () => {
  expect(nameFor("can app=web reach host/db-1 on 5432/tcp?")).toBe("can-app-web-reach-host-db-1-on-5432-tcp");
  expect([nameFor("???"), nameFor("a".repeat(200)).length]).toEqual(["kept-answer", 60]);
  const first = appendDocument("", withName(TEST, "one"));
  const second = appendDocument(`# mine\n${first.trimEnd()}`, withName(TEST, freeName("one", first)));
  expect(second.startsWith("# mine\n")).toBe(true);
  const { tests, diagnostics } = readPolicyFiles([{ path: "a.yaml", text: second }]);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(tests.map(({ name }) => name)).toEqual(["one", "one-2"]);
});
