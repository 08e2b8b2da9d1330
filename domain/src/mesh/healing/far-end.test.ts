/** A link that was cut, where it is the other end, not the one that dials, that is left with too little. */
import { expect, it } from "vitest";
import { HealingLoop } from "./loop.ts";
import { HealingAction, HealingMode, HealingState, MeshFault, USUAL_HEALING_SETTINGS } from "./model.ts";
import { HealingLab, START_MS, STEP_MS } from "./testing/healing-lab.ts";
import { SimulatedMesh, uriOf } from "./testing/mesh-world.ts";

const NAMES = ["a", "b", "c", "d", "e"];
/** A ring and the chord from a to c. */
const LINKS: readonly (readonly [string, string])[] = [
  ["a", "b"],
  ["a", "c"],
  ["a", "e"],
  ["b", "c"],
  ["c", "d"],
  ["d", "e"],
];

function cutLab(from: string, to: string) {
  const lab = new HealingLab(new SimulatedMesh(NAMES, LINKS));
  lab.run(30_000);
  lab.mesh.link(from, to).isCut = true;
  return lab;
}

function told(lab: HealingLab) {
  return lab.actions().map(({ action, host, peerUri }) => `${HealingAction[action]} ${host} ${peerUri}`);
}

it("is replaced from there, by another host than the one that was lost", () => {
  const lab = cutLab("a", "b");
  lab.run(200_000);
  expect(told(lab)).toEqual([`REPEER a ${uriOf("b")}`, `ADD_PEER b ${uriOf("d")}`]);
  expect(lab.all().map(({ state }) => HealingState[state])).toEqual(["HEALED"]);
  expect(lab.violations()).toEqual([]);
});

it("is taken back there where it did not help, and tried at the next", () => {
  const lab = cutLab("a", "b");
  lab.mesh.effect = ({ action, peerUri }) =>
    action === HealingAction.ADD_PEER && peerUri === uriOf("d") ? "nothing" : "works";
  lab.run(300_000);
  expect(lab.sent.map(({ order: { action, host, peerUri } }) => [HealingAction[action], host, peerUri])).toEqual([
    ["REPEER", "a", uriOf("b")],
    ["ADD_PEER", "b", uriOf("d")],
    ["REMOVE_PEER", "b", uriOf("d")],
    ["ADD_PEER", "b", uriOf("e")],
  ]);
  expect(lab.all().map(({ state }) => HealingState[state])).toEqual(["HEALED"]);
  expect(lab.violations()).toEqual([]);
});

it("is a person's where both ends have two others: nothing is missing, and nothing here repairs a line", () => {
  const lab = cutLab("a", "c");
  lab.run(200_000);
  expect(told(lab)).toEqual([`REPEER a ${uriOf("c")}`]);
  expect(lab.all().map(({ state }) => HealingState[state])).toEqual(["ESCALATED"]);
  expect(lab.violations()).toEqual([]);
});

it("is left alone by a host that decides for itself only", () => {
  const mesh = new SimulatedMesh(NAMES, LINKS);
  const loop = new HealingLoop({ scope: { kind: "host", host: "a" }, coordinator: "a", term: 0n });
  loop.configure({ ...USUAL_HEALING_SETTINGS, mode: HealingMode.ACT }, START_MS);
  const hosts = new Set<string>();
  for (let atMs = START_MS; atMs <= START_MS + 200_000; atMs += STEP_MS) {
    if (atMs === START_MS + 30_000) mesh.link("a", "b").isCut = true;
    const { orders } = loop.observe(mesh.world(atMs), atMs);
    for (const { host } of orders) hosts.add(host);
  }
  expect(loop.runs()).toMatchObject([{ fault: MeshFault.PEER_DOWN }]);
  for (const { host } of loop.runs()[0]!.candidates) hosts.add(host);
  expect([...hosts]).toEqual(["a"]);
});
