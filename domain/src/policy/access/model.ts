/**
 * The whole space of connections of a world (source address × destination address × protocol × destination port), cut
 * where any rule of any policy begins or ends. Answers hold for every connection, not for samples.
 */
import { indexEndpoints } from "../compile/selection.ts";
import { createUnitTable } from "../compile/units.ts";
import { endpointByKey } from "../endpoints.ts";
import type { Endpoint, PolicyWorld } from "../model.ts";
import { type AddressClass, type AddressSpace, createAddressSpace, nameCommonPrefixes } from "./address-space.ts";
import { DecisionBook } from "./decisions.ts";
import { SpaceBook } from "./space-book.ts";
import { SubjectTable, type SubjectViews } from "./subjects.ts";

/** A prepared world. Everything that costs more than a look-up is done on demand and kept. */
export class AccessModel {
  readonly world: PolicyWorld;
  readonly space: AddressSpace;
  readonly decisions: DecisionBook;
  readonly spaces: SpaceBook;
  readonly #subjects: SubjectTable;
  readonly #endpoints: ReadonlyMap<string, Endpoint>;

  constructor(world: PolicyWorld) {
    this.world = world;
    this.decisions = new DecisionBook();
    this.spaces = new SpaceBook(this.decisions);
    const units = createUnitTable(world.inventory, indexEndpoints(world.inventory), null);
    nameCommonPrefixes(units);
    this.#subjects = new SubjectTable(world, units, {
      decisions: this.decisions,
      spaces: this.spaces,
      classCount: () => this.space.classes.length,
      classesOfUnit: (unit) => this.space.classesOfUnit(unit),
    });
    this.space = createAddressSpace(world.inventory, units);
    this.#endpoints = new Map(world.inventory.endpoints.map((endpoint) => [endpoint.key, endpoint]));
  }

  /** Throws `NOT_FOUND`; a host that no document declares is not known here either. */
  endpoint(key: string): Endpoint {
    return this.#endpoints.get(key) ?? endpointByKey(this.world.inventory, key);
  }

  /** `null` = an address that belongs to nobody. */
  views(endpoint: Endpoint | null): SubjectViews {
    return this.#subjects.views(endpoint);
  }

  addressClass(number: number): AddressClass {
    const found = this.space.classes[number];
    if (!found) throw new Error(`there is no address class ${number}`);
    return found;
  }
}

/**
 * Prepares a world for questions about access. Expired policies count like the others: see `withoutExpired`.
 *
 * Throws `POLICY_UNSUPPORTED` as `orderPolicies`.
 */
export function createAccessModel(world: PolicyWorld): AccessModel {
  return new AccessModel(world);
}
