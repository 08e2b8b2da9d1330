import { asObject, asText, type Located, wrong } from "./json.ts";
import { VECTOR_LIMITS } from "./vector.ts";

/** Reads the fields that every case has, and tells which of its own are there. */
export function readCaseHead<Required extends string, Optional extends string>(
  at: Located,
  required: readonly Required[],
  optional: readonly Optional[],
) {
  const fields = asObject(at, ["name", "source", ...required], ["note", ...optional]);
  if (fields.note) asText(fields.note, VECTOR_LIMITS.noteLength);
  const name = asText(fields.name, VECTOR_LIMITS.nameLength);
  if (!/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(name)) throw wrong(fields.name, "must be in lower case with hyphens");
  return { fields, name, source: asText(fields.source, VECTOR_LIMITS.nameLength) };
}
