/** Single entries of a program, as the program itself has them. The lists of a compiled one are not made for that. */
import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type ClassEntry,
  columnsOfProgram,
  DECISION_DENIES,
  DECISION_OBSERVES_ONLY,
  type Decision,
  DIRECTION_EGRESS,
  type HostProgram,
  type PortEntry,
  type ProgramColumns,
  portEntryAt,
} from "@wardline/domain/policy";

export interface ProgramEntries {
  readonly classCount: number;
  address4(place: number): AddressEntry;
  address6(place: number): AddressEntry;
  classEntry(place: number): ClassEntry;
  port(place: number): PortEntry;
  /** Index, verdict and whether it is only observed are the program's; of a compiled program, nothing else is. */
  decision(index: number): Decision;
}

export function entriesOf(program: HostProgram): ProgramEntries {
  const columns = columnsOfProgram(program);
  return columns === null ? listed(program) : new ColumnEntries(columns);
}

function listed(program: HostProgram): ProgramEntries {
  return {
    classCount: program.classes.length,
    address4: (place) => program.addresses4[place] as AddressEntry,
    address6: (place) => program.addresses6[place] as AddressEntry,
    classEntry: (place) => program.classes[place] as ClassEntry,
    port: (place) => program.ports[place] as PortEntry,
    decision: (index) => program.decisions[index] as Decision,
  };
}

const UNNAMED = { id: "", reason: "rule", tier: null, policyKeys: [], rule: null, source: null } as const;

class ColumnEntries implements ProgramEntries {
  readonly #columns: ProgramColumns;

  constructor(columns: ProgramColumns) {
    this.#columns = columns;
  }

  get classCount(): number {
    return this.#columns.classes.classIds.length;
  }

  address4(place: number): AddressEntry {
    const { lows, prefixLengths, atoms } = this.#columns.addresses4;
    const prefix = new Uint8Array(4);
    new DataView(prefix.buffer).setUint32(0, lows[place] as number);
    return { prefix, prefixLength: prefixLengths[place] as number, atom: atoms[place] as number };
  }

  address6(place: number): AddressEntry {
    const { bytes, prefixLengths, atoms } = this.#columns.addresses6;
    const prefix = bytes.slice(place * 16, place * 16 + 16);
    return { prefix, prefixLength: prefixLengths[place] as number, atom: atoms[place] as number };
  }

  classEntry(place: number): ClassEntry {
    const { sets, directions, atoms, classIds } = this.#columns.classes;
    return {
      set: sets[place] as number,
      direction: directions[place] === DIRECTION_EGRESS ? "egress" : "ingress",
      atom: atoms[place] as number,
      classId: classIds[place] as number,
    };
  }

  port(place: number): PortEntry {
    return portEntryAt(this.#columns.ports, place);
  }

  decision(index: number): Decision {
    const flags = this.#columns.decisionFlags[index] ?? 0;
    const verdict = (flags & DECISION_DENIES) === 0 ? "allow" : "deny";
    return { ...UNNAMED, index, verdict, observeOnly: (flags & DECISION_OBSERVES_ONLY) !== 0 };
  }
}

/** The decisions of these entries and the builtins, at their indexes; nothing at the others. */
export function decisionsOf(entries: ProgramEntries, ports: readonly PortEntry[]): readonly Decision[] {
  const decisions: Decision[] = [];
  for (const { index } of Object.values(BUILTIN_DECISIONS)) decisions[index] = entries.decision(index);
  for (const { decision } of ports) decisions[decision] = entries.decision(decision);
  return decisions;
}
