/** The contents of our anchor: loading a text, reading it back, and ending the states that it forbids. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { formatCidr, parseCidr } from "@wardline/domain/policy";
import { type PfAnchor, parsePfAnchor } from "@wardline/domain/policy/emit";
import {
  expectedContents,
  isLoadName,
  labelsDigest,
  labelsOf,
  type Marker,
  namedLoad,
  readLoadName,
  readMarker,
} from "./anchorText.ts";
import { reasonOf } from "./attachment.ts";
import type { LabelCounter, Pfctl } from "./pfctl.ts";
import { alsoEnded, isForbidden, killsFor, type PfState, readStates } from "./states.ts";

export interface EndedStates {
  /** Allowed ones between the same two hosts, which pf cannot tell apart. */
  readonly alsoEnded: number;
  /** Forbidden ones that pf lists all the same after it was told to end them. */
  readonly stayed: number;
  /** States of a form that is not known: they stayed, whatever they are. */
  readonly unread: number;
}

export interface CountedLoad {
  readonly loadName: string;
  readonly marker: Marker | null;
  readonly labels: readonly LabelCounter[];
}

export class LoadedAnchor {
  readonly #pfctl: Pfctl;
  readonly #anchor: string;
  /** Of the text that was loaded or found last, so that a look at pf needs no parsing. */
  #known: { readonly text: string; readonly labelsDigest: string } | null = null;

  #parsed: { readonly text: string; readonly anchor: PfAnchor } | null = null;

  constructor(pfctl: Pfctl, anchor: string) {
    this.#pfctl = pfctl;
    this.#anchor = anchor;
  }

  marker(): Marker | null {
    return readMarker(this.#pfctl.anchorTables(this.#anchor));
  }

  /** What its rules have counted since they were loaded, under the name of that load; `null` when it is not ours. */
  counted(): CountedLoad | null {
    const tables = this.#pfctl.anchorTables(this.#anchor);
    const loadName = readLoadName(tables);
    if (loadName === null) return null;
    return { loadName, marker: readMarker(tables), labels: this.#pfctl.labelCounters(this.#anchor) };
  }

  /** Whether pf lists the rules of this text, no more and no fewer. */
  holds(text: string): boolean {
    if (this.#known?.text !== text) {
      this.#known = { text, labelsDigest: expectedContents(parsePfAnchor(text)).labelsDigest };
    }
    return labelsDigest(labelsOf(this.#pfctl.anchorRules(this.#anchor))) === this.#known.labelsDigest;
  }

  check(text: string): void {
    this.#pfctl.checkAnchor(this.#anchor, text);
  }

  /** One transaction. Throws `Failure`; then the former rules still decide. */
  load(text: string): void {
    this.#pfctl.loadAnchor(this.#anchor, namedLoad(text));
  }

  /** Compares rules and tables with what pf lists. Throws `Failure` SELF_TEST_FAILED. */
  verify(text: string): void {
    const expected = expectedContents(this.#parse(text));
    const labels = labelsOf(this.#pfctl.anchorRules(this.#anchor));
    if (labels.length !== expected.ruleCount) throw differs(`${labels.length} rules instead of ${expected.ruleCount}`);
    if (labelsDigest(labels) !== expected.labelsDigest) throw differs("other rules, or in another order");
    const names = this.#pfctl
      .anchorTables(this.#anchor)
      .filter((name) => !isLoadName(name))
      .sort();
    const wanted = [...expected.tables.keys()].sort();
    if (names.join() !== wanted.join()) throw differs(`the tables ${names.join(", ")} instead of ${wanted.join(", ")}`);
    for (const [name, entries] of expected.tables) {
      if (entries.length === 0) continue;
      const found = this.#pfctl.tableEntries(this.#anchor, name).map(canonicalEntry).sort();
      if (found.join() !== entries.join()) throw differs(`other addresses in table ${name}`);
    }
    this.#known = { text, labelsDigest: expected.labelsDigest };
  }

  /** Throws `Failure` when pf does not list states or refuses to end one. */
  endForbiddenStates(text: string): EndedStates {
    const anchor = this.#parse(text);
    this.#parsed = null;
    const { states, unread } = readStates(this.#pfctl.states());
    const forbidden = new Set<PfState>(states.filter((state) => isForbidden(anchor, state)));
    if (forbidden.size === 0) return { alsoEnded: 0, stayed: 0, unread };
    for (const { source, destination } of killsFor(states, forbidden)) this.#pfctl.killStates(source, destination);
    const stayed = readStates(this.#pfctl.states()).states.filter((state) => isForbidden(anchor, state)).length;
    return { alsoEnded: alsoEnded(states, forbidden), stayed, unread };
  }

  /** A large text is read once for the steps of one activation, and not kept after it. */
  #parse(text: string): PfAnchor {
    if (this.#parsed?.text !== text) this.#parsed = { text, anchor: parsePfAnchor(text) };
    return this.#parsed.anchor;
  }

  /** Returns what went wrong, or `null`. */
  flush(): string | null {
    this.#known = null;
    try {
      this.#pfctl.flushAnchor(this.#anchor);
      return null;
    } catch (error) {
      return reasonOf(error);
    }
  }
}

/** pf leaves the length of a whole address out. */
function canonicalEntry(printed: string): string {
  const sign = printed.startsWith("!") ? "!" : "";
  const text = printed.slice(sign.length);
  const cidr = parseCidr(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  return cidr.ok ? `${sign}${formatCidr(cidr.cidr)}` : printed;
}

function differs(what: string): Failure {
  return new Failure({
    code: ErrorCode.SELF_TEST_FAILED,
    message: `pf does not show the rules that were loaded: ${what}.`,
    hint: "Look for another program that changes pf, and try again.",
    retryable: true,
  });
}
