import { describe, expect, it } from "vitest";
import {
  accessProblem,
  EMPTY_ACCESS,
  toAccess,
  toDraft,
  toEnvironment,
  toGroups,
  withAddress,
} from "./access-draft.ts";

describe("what a person types about a machine", () => {
  it.each([
    ["web-1", { address: "web-1", user: "", port: "" }],
    ["ops@web-1", { address: "web-1", user: "ops", port: "" }],
    ["ops@web-1:2222", { address: "web-1", user: "ops", port: "2222" }],
    ["10.0.0.1:22", { address: "10.0.0.1", user: "", port: "22" }],
    ["[fd00::1]:22", { address: "fd00::1", user: "", port: "22" }],
    ["fd00::1", { address: "fd00::1", user: "", port: "" }],
  ])("takes %s apart", (typed, parts) => {
    expect(withAddress(EMPTY_ACCESS, typed)).toMatchObject(parts);
  });

  it.each([
    [{ address: "" }, "Say where it is"],
    [{ address: "a b" }, "no blanks"],
    [{ address: "-oProxyCommand=x" }, "hyphen"],
    [{ address: "a", user: "-l" }, "hyphen"],
    [{ address: "a", port: "70000" }, "65535"],
    [{ address: "a", port: "x" }, "65535"],
  ])("names what is wrong with %o", (change, words) => {
    expect(accessProblem({ ...EMPTY_ACCESS, ...change })).toContain(words);
  });

  it("comes back as it was typed from what the console keeps of it", () => {
    const draft = {
      ...EMPTY_ACCESS,
      alias: "web",
      address: "web-1",
      port: "2222",
      user: "ops",
      identityFile: "~/.ssh/ops",
      jump: "bastion",
      transport: "system",
      groups: "db web",
      environmentName: "production",
      environmentColor: "red",
    } as const;
    const environment = toEnvironment(draft);
    expect(accessProblem(draft)).toBeNull();
    expect(
      toDraft({
        alias: "web",
        access: toAccess(draft),
        groups: toGroups(draft),
        ...(environment ? { environment } : {}),
      }),
    ).toEqual(draft);
    expect(toEnvironment(EMPTY_ACCESS)).toBeUndefined();
    expect(toGroups({ ...EMPTY_ACCESS, groups: " b,a  b " })).toEqual(["a", "b"]);
  });
});
