/** What a change of files means: who gains and who loses which access, over all connections. */
import { create } from "@bufbuild/protobuf";
import { type Meaning, MeaningSchema } from "@wardline/api/wardline/console/v1/versions";
import { createPolicyReader, type PolicyReader, type SourceFile, withoutExpired } from "@wardline/domain/policy";
import { compareAccess, createAccessModel, formatPortSet } from "@wardline/domain/policy/access";
import type { Clock } from "../ports.ts";

const MAX_CHANGES = 500;
/** The comparison holds the console up while it runs; above this the command line does it. */
const MAX_CHARACTERS = 3 * 1024 * 1024;
const MAX_RULES = 20_000;

export class MeaningOfChanges {
  readonly #clock: Clock;
  readonly #readers: readonly [PolicyReader, PolicyReader] = [createPolicyReader(), createPolicyReader()];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  compare(from: readonly SourceFile[], to: readonly SourceFile[]): Meaning {
    for (const files of [from, to]) {
      if (files.reduce((sum, { text }) => sum + text.length, 0) > MAX_CHARACTERS) return unknown(TOO_LARGE);
    }
    const nowUnixMs = this.#clock.nowMs();
    const [old, next] = [from, to].map((files, side) =>
      this.#readers[side === 0 ? 0 : 1].read(files, { nowUnixMs }),
    ) as [ReturnType<PolicyReader["read"]>, ReturnType<PolicyReader["read"]>];
    if (!old.ok) return unknown("The older side has errors, so nobody can say what it means.");
    if (!next.ok) return unknown("The newer side has errors, so nobody can say what it means.");
    const rules = [old, next].map(({ documents }) => documents.reduce((sum, { ruleCount }) => sum + ruleCount, 0));
    if (Math.max(...rules) > MAX_RULES) return unknown(TOO_LARGE);
    const [before, after] = [old, next].map(({ world }) => createAccessModel(withoutExpired(world, nowUnixMs))) as [
      ReturnType<typeof createAccessModel>,
      ReturnType<typeof createAccessModel>,
    ];
    const { rows, leftOut } = compareAccess(before, after).diff({ limit: MAX_CHANGES });
    return create(MeaningSchema, {
      leftOut,
      changes: rows.map(({ change, from: source, to: target, ports, sides }) => ({
        gained: change === "gained",
        from: source.text,
        to: target.text,
        ports: formatPortSet(ports),
        decidedBy: [...new Set(sides.flatMap(({ after: decision }) => decision.policyKeys))],
      })),
    });
  }
}

const TOO_LARGE = "The policies are too many to compare here: `wardline policy diff` does it.";

function unknown(unknownBecause: string): Meaning {
  return create(MeaningSchema, { unknownBecause });
}
