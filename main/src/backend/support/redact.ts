/**
 * Takes out of a text what nobody who helps needs: secrets always, addresses and names as pseudonyms that are the same in
 * every file of one bundle. What looks like a secret counts as one: a number too few is less than a key too many.
 */
export interface Redacted {
  readonly text: string;
  /** What was taken out, by kind. */
  readonly counts: ReadonlyMap<string, number>;
}

interface Rule {
  readonly kind: string;
  readonly pattern: RegExp;
  /** Of the parts that the pattern caught; the first is the whole. */
  readonly write: (parts: readonly string[]) => string;
}

const GONE = (kind: string) => () => `[${kind} removed]`;
const NAMES =
  "pass(?:word|wd|phrase)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|authori[sz]ation|cookie|credentials?|session|psk|otp|pin|community";

/** In this order: what is caught by one is not seen by the next. */
const SECRETS: readonly Rule[] = [
  {
    kind: "private key",
    pattern: /-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|$)/g,
    write: GONE("private key"),
  },
  {
    kind: "certificate",
    pattern: /-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g,
    write: GONE("certificate"),
  },
  {
    kind: "password in an address",
    pattern: /([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi,
    write: ([, scheme]) => `${scheme}[removed]@`,
  },
  {
    kind: "token",
    pattern: /\b(bearer|basic|negotiate|digest)\s+[^\s"',;]+/gi,
    write: ([, scheme]) => `${scheme} [token removed]`,
  },
  {
    kind: "secret by its name",
    pattern: new RegExp(
      `((?:${NAMES})[a-z0-9_-]*\\\\?["']?\\s*[:=]\\s*)(\\\\?"(?:[^"\\\\]|\\\\.)*\\\\?"|'[^']*'|[^\\s,;&}\\]]+)`,
      "gi",
    ),
    write: ([, name]) => `${name}"[removed]"`,
  },
  { kind: "token", pattern: /\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g, write: GONE("token") },
  {
    kind: "token",
    pattern:
      /\b(?:gh[opsur]_|github_pat_|glpat-|xox[abprs]-|sk-|pk_|rk_|AKIA|ASIA|AIza|npm_|hvs\.|dop_v1_|tskey-|wl[a-z]?_)[\w.-]{8,}/g,
    write: GONE("token"),
  },
  {
    kind: "long random text",
    pattern: /(?<![\w+/=-])(?=[\w+/-]*[0-9+/])(?=[\w+/-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}(?![\w+/=-])/g,
    write: ([whole = ""]) => (/^[0-9a-f]+$/i.test(whole) ? `${whole.slice(0, 8)}…` : "[random text removed]"),
  },
];

const ADDRESSES: readonly { readonly kind: string; readonly name: string; readonly pattern: RegExp }[] = [
  { kind: "mail address", name: "person", pattern: /\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b/g },
  { kind: "hardware address", name: "mac", pattern: /\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b/gi },
  { kind: "address", name: "address", pattern: /(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)/g },
  {
    kind: "address",
    name: "address",
    pattern:
      /(?<![\w:.])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])|(?<![\w:.])(?:[0-9a-f]{1,4}:){1,7}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?(?![\w:])|(?<![\w:.])::[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*(?![\w:])/gi,
  },
];
/** Say nothing about anybody. */
const PLAIN = new Set(["127.0.0.1", "0.0.0.0", "::1", "::", "255.255.255.255"]);

export interface RedactorOptions {
  readonly hasPlainAddresses: boolean;
  /** Names of hosts, people and machines that are known: longest first is not needed. */
  readonly names: readonly string[];
  /** Texts that must not be in it wherever they come from. */
  readonly secrets: readonly string[];
}

export class Redactor {
  readonly #options: RedactorOptions;
  readonly #pseudonyms = new Map<string, string>();
  readonly #counters = new Map<string, number>();
  readonly #names: RegExp | null;

  constructor(options: RedactorOptions) {
    this.#options = options;
    const names = [...new Set(options.names)].filter((name) => name.length >= 2 && !PLAIN.has(name));
    const longestFirst = names.toSorted((one, other) => other.length - one.length).map(escaped);
    this.#names =
      longestFirst.length > 0 ? new RegExp(`(?<![\\w-])(?:${longestFirst.join("|")})(?![\\w-])`, "g") : null;
  }

  redact(given: string): Redacted {
    const counts = new Map<string, number>();
    const count = (kind: string) => counts.set(kind, (counts.get(kind) ?? 0) + 1);
    let text = given;
    for (const secret of this.#options.secrets) {
      if (secret.length < 4 || !text.includes(secret)) continue;
      text = text.replaceAll(secret, () => {
        count("known secret");
        return "[secret removed]";
      });
    }
    for (const { kind, pattern, write } of SECRETS) {
      text = text.replace(pattern, (...parts) => {
        count(kind);
        return write(parts.filter((part): part is string => typeof part === "string"));
      });
    }
    if (this.#options.hasPlainAddresses) return { text, counts };
    if (this.#names)
      text = text.replace(this.#names, (name) => {
        count("name");
        return this.#pseudonym("name", name);
      });
    for (const { kind, name, pattern } of ADDRESSES) {
      text = text.replace(pattern, (address) => {
        if (PLAIN.has(address)) return address;
        count(kind);
        return this.#pseudonym(name, address.toLowerCase());
      });
    }
    return { text, counts };
  }

  #pseudonym(kind: string, value: string): string {
    const key = `${kind} ${value}`;
    const known = this.#pseudonyms.get(key);
    if (known) return known;
    const number = (this.#counters.get(kind) ?? 0) + 1;
    this.#counters.set(kind, number);
    const made = `${kind}~${number}`;
    this.#pseudonyms.set(key, made);
    return made;
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
