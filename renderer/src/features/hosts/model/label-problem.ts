const NAME = /^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

/** What is wrong with labels, by the rules of Kubernetes for keys and values; null when nothing is. */
export function labelProblem(rows: readonly { readonly key: string; readonly value: string }[]): string | null {
  const seen = new Set<string>();
  for (const row of rows) {
    const key = row.key.trim();
    const value = row.value.trim();
    const slash = key.indexOf("/");
    const name = slash < 0 ? key : key.slice(slash + 1);
    if (key === "") return "Every label needs a key.";
    if (!NAME.test(name) || (slash >= 0 && !PREFIX.test(key.slice(0, slash)))) {
      return "A key has up to 63 letters, digits, - _ and ., with an optional DNS name and a slash in front.";
    }
    if (value !== "" && !NAME.test(value))
      return "A value has up to 63 letters, digits, - _ and ., and begins and ends with a letter or digit.";
    if (seen.has(key)) return `The key ${key} is there twice.`;
    seen.add(key);
  }
  return null;
}
