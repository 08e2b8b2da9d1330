import { describe, expect, it } from "vitest";
import type { WorldRequest } from "./ask-protocol.ts";
import { ThreadWorlds } from "./thread-worlds.ts";

const FILES = [
  {
    path: "web.yaml",
    text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web}\nspec: {addresses: [10.0.0.1]}\n",
  },
];

function request(kind: WorldRequest["kind"], digest: string, files: WorldRequest["files"] = null): WorldRequest {
  return { kind, digest, files, nowMs: 0, quarantines: [] };
}

describe("the worlds of a thread", () => {
  it("keep every world of a question until it is answered, also when one of them is read for it", () => {
    const worlds = new ThreadWorlds();
    // A change of version 5 was asked about; then the draft was edited, and asked about.
    const before = request("version", "5");
    for (const each of [before, request("version", "4"), request("draft", "a"), request("draft", "b")]) {
      worlds.world({ ...each, files: FILES });
    }
    const [names, after] = [request("draft", "b"), request("version", "6")];
    expect(worlds.missing([names, after, before])).toEqual(["6"]);
    const withText = { ...after, files: FILES };
    expect(worlds.missing([names, withText, before])).toEqual([]);
    for (const each of [names, withText, before]) expect(worlds.world(each).world.policies).toEqual([]);
  });
});
