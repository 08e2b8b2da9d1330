/** What a call was about, in a few words, out of fields that never hold a secret or the text of a policy. */
const NAMING_FIELDS = [
  "hostId",
  "hostIds",
  "path",
  "paths",
  "name",
  "names",
  "key",
  "keys",
  "rolloutId",
  "versionId",
  "planId",
  "jobId",
  "clusterName",
  "subject",
  "reason",
] as const;
const LONGEST = 200;

export function objectOf(request: object): string {
  const fields: Record<string, unknown> = { ...request };
  const parts = NAMING_FIELDS.flatMap((field) => {
    const text = textOf(fields[field]);
    return text === "" ? [] : [`${field} ${text}`];
  });
  return parts.join(", ");
}

function textOf(value: unknown): string {
  const texts = (Array.isArray(value) ? value : [value]).filter(
    (item): item is string => typeof item === "string" && item !== "",
  );
  const text = texts.slice(0, 10).join(" ") + (texts.length > 10 ? ` and ${texts.length - 10} more` : "");
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
