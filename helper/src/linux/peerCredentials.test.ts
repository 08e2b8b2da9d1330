import { describe, expect, it } from "vitest";
import { decodeXucred } from "./peerCredentials.ts";

/** As macOS lays out `struct xucred`; Linux's answer is tested by every test that talks to an agent. */
function xucred(version: number, userId: number, groups: readonly number[]): Buffer {
  const bytes = Buffer.alloc(76);
  bytes.writeUInt32LE(version, 0);
  bytes.writeUInt32LE(userId, 4);
  bytes.writeInt16LE(groups.length, 8);
  for (const [position, group] of groups.entries()) bytes.writeUInt32LE(group, 12 + position * 4);
  return bytes;
}

describe("credentials of a peer on macOS", () => {
  it("are its user, its effective group and its process", () => {
    expect(decodeXucred(xucred(0, 501, [20, 80]), 4711)).toEqual({ processId: 4711, userId: 501, groupId: 20 });
  });

  it.each([
    ["another version", xucred(1, 501, [20])],
    ["no user", xucred(0, 0xffffffff, [20])],
    ["no group", xucred(0, 501, [])],
  ])("are not believed with %s", (_what, bytes) => {
    expect(decodeXucred(bytes, 4711)).toBeNull();
  });
});
