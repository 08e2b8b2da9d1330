/** Classes of addresses that nobody tells apart: fewer places to ask about, and the same answers. */

import type { AddressClass } from "../access/address-space.ts";
import type { AccessModel } from "../access/index.ts";
import type { SubjectView } from "../access/view.ts";

/** Views times classes; where there are more, each class stands for itself. */
const MAX_LOOKS = 20_000_000;
const LOOKS_IN_STEP = 2_000;

/** By number of a class: the first class that every subject of the world treats alike. */
export function* classesAlike(world: AccessModel): Generator<void, (addressClass: AddressClass) => AddressClass> {
  const views = new Set<SubjectView>();
  for (const endpoint of world.world.inventory.endpoints) {
    const { ingress, egress } = world.views(endpoint);
    views.add(ingress).add(egress);
  }
  const { classes } = world.space;
  if (views.size * classes.length > MAX_LOOKS) return (addressClass) => addressClass;
  // All of a family are alike until a view says otherwise.
  const blocks = Int32Array.from(classes, ({ family }) => family);
  let looks = 0;
  for (const view of views) {
    const next = new Map<number, Map<number, number>>();
    let count = 0;
    for (const [index, addressClass] of classes.entries()) {
      if (++looks % LOOKS_IN_STEP === 0) yield;
      const block = blocks[index] ?? 0;
      let bySpace = next.get(block);
      if (!bySpace) {
        bySpace = new Map();
        next.set(block, bySpace);
      }
      const space = view.policySpaceOf(addressClass);
      let number = bySpace.get(space);
      if (number === undefined) {
        number = count++;
        bySpace.set(space, number);
      }
      blocks[index] = number;
    }
  }
  const firsts = new Map<number, AddressClass>();
  for (const [index, addressClass] of classes.entries()) {
    const block = blocks[index] ?? 0;
    if (!firsts.has(block)) firsts.set(block, addressClass);
  }
  return (addressClass) => firsts.get(blocks[addressClass.number] ?? 0) ?? addressClass;
}
