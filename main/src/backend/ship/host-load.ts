/** What a host would load against what it has loaded, and where a roll-back leads. */
import { create } from "@bufbuild/protobuf";
import { HostLoadSchema, type HostReturn, HostReturnSchema } from "@wardline/api/wardline/console/v1/ship";
import type { Generation } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { columnsOfProgram, type HostProgram, type PolicyWorld } from "@wardline/domain/policy";
import type { VersionsTable } from "../store/versions-table.ts";

const MAX_SUBJECTS = 50;

export interface LoadedSide {
  /** `null` when nothing is enforced. */
  readonly program: HostProgram | null;
  readonly world: PolicyWorld | null;
}

/** @param changedSubjects keys of the subjects whose access changes; those that come or go are found here */
export function hostLoad(old: LoadedSide, next: LoadedSide, changedSubjects: ReadonlySet<string>) {
  const before = new Set(subjectsOf(old.program));
  const after = new Set(subjectsOf(next.program));
  const changed = new Set(changedSubjects);
  for (const key of before) if (!after.has(key)) changed.add(key);
  for (const key of after) if (!before.has(key)) changed.add(key);
  const sorted = [...changed].sort();
  return create(HostLoadSchema, {
    rulesBefore: rulesOf(old.world),
    rulesAfter: rulesOf(next.world),
    entriesBefore: entriesOf(old.program),
    entriesAfter: entriesOf(next.program),
    subjectsBefore: before.size,
    subjectsAfter: after.size,
    changedSubjects: sorted.slice(0, MAX_SUBJECTS),
    changedSubjectCount: sorted.length,
  });
}

function subjectsOf(program: HostProgram | null): readonly string[] {
  return program?.sets.map(({ endpointKey }) => endpointKey) ?? [];
}

function rulesOf(world: PolicyWorld | null): number {
  return world?.policies.reduce((sum, { rules }) => sum + rules.length, 0) ?? 0;
}

function entriesOf(program: HostProgram | null): number {
  if (program === null) return 0;
  const columns = columnsOfProgram(program);
  if (columns === null) {
    const { addresses4, addresses6, classes, ports } = program;
    return addresses4.length + addresses6.length + classes.length + ports.length;
  }
  const { addresses4, addresses6, classes, ports } = columns;
  return addresses4.lows.length + addresses6.prefixLengths.length + classes.sets.length + ports.lows.length;
}

/** While a generation waits for confirmation nothing else can be applied, so what is enforced is what comes back. */
export function hostReturn(generation: Generation | undefined, versions: VersionsTable): HostReturn {
  const wire = create(HostReturnSchema, { mode: EnforcementMode.UNSPECIFIED });
  if (!generation || generation.number === 0n) return wire;
  const kept = versions.find(generation.stateDigest);
  wire.generation = generation.number;
  wire.stateDigest = generation.stateDigest;
  wire.versionNumber = BigInt(kept?.number ?? 0);
  wire.appliedBy = generation.appliedBy;
  wire.reason = kept?.reason ?? "";
  wire.mode = generation.mode;
  if (generation.appliedAt) wire.appliedAt = generation.appliedAt;
  return wire;
}
