/** Files of vectors in, cases out. */
import { asList, type Located, parseJson, wrong } from "./json.ts";
import { readPacketCase } from "./packet-case.ts";
import { readPolicyCase } from "./policy-case.ts";
import { VECTOR_LIMITS, type VectorCase } from "./vector.ts";

/**
 * Reads one file in the format of docs/conformance.md. A case with `packets` is about tiers of rules, every other about
 * policies. Throws `INVALID_ARGUMENT` with the place and the reason when the file is not in the format.
 */
export function readVectorFile(file: string, text: string): readonly VectorCase[] {
  const names = new Set<string>();
  return asList(parseJson(file, text), { min: 1, max: VECTOR_LIMITS.cases }).map((at) => {
    const found = isPacketCase(at) ? readPacketCase(at) : readPolicyCase(at);
    if (names.has(found.name)) throw wrong(at, `has the name ${found.name}, which another case of the file has`);
    names.add(found.name);
    return found;
  });
}

function isPacketCase({ value }: Located): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "packets");
}
