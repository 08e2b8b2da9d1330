/**
 * What makes pf obey the anchor: pf is on, held on by a token of ours, and the main rules call the anchor.
 *
 * The call is brought in by two ways, and none replaces what others put there. For the next boot, marked blocks in
 * /etc/pf.conf. For now, the main scrub and filter rules as pf itself lists them, plus the call, loaded with `-R`: rules
 * that services added at run time stay (loading /etc/pf.conf would lose them), and translation, options, tables and the
 * contents of all anchors are not touched. The text is parsed with `-n` first, and what pf lists afterwards is compared.
 */

import { findCall, withCall, withoutCall } from "./mainRuleset.ts";
import { withBlocks, withoutBlocks } from "./pfConf.ts";
import type { PfConfFile } from "./pfConfFile.ts";
import type { Pfctl } from "./pfctl.ts";

export interface AttachmentPorts {
  readonly pfctl: Pfctl;
  readonly confFile: PfConfFile;
  readonly anchor: string;
}

export interface AttachmentCheck {
  readonly isAttached: boolean;
  /** Sentences. Also of an attached anchor: what weakens it. */
  readonly problems: readonly string[];
}

const NO_CONF = "There is no /etc/pf.conf: after a reboot pf obeys Wardline only when the agent runs.";

export class PfAttachment {
  readonly #ports: AttachmentPorts;
  #confProblem: string | null = null;

  constructor(ports: AttachmentPorts) {
    this.#ports = ports;
  }

  /** Asks pf. Throws `Failure` when pf does not answer. */
  check(): AttachmentCheck {
    const { pfctl, anchor } = this.#ports;
    const isEnabled = pfctl.isEnabled();
    const call = findCall(pfctl.mainRules(), anchor);
    const before = call.quickBefore.length;
    return {
      isAttached: isEnabled && call.isCalled,
      problems: [
        ...(isEnabled ? [] : ["pf is turned off."]),
        ...(call.isCalled ? [] : [`The main rules of pf do not call the anchor "${anchor}".`]),
        ...(call.isCalled && !call.isScrubbed
          ? [`Fragments are dropped: no main rule calls "${anchor}" for scrub.`]
          : []),
        ...(call.isCalled && before > 0 ? [`${before} rules of others in pf decide before Wardline's.`] : []),
        ...(this.#confProblem === null ? [] : [this.#confProblem]),
      ],
    };
  }

  /**
   * Brings in what is missing. `remember` puts a new token on disk at once, so that a crash after it leaves no reference
   * that nobody gives back; it must not throw, since a full disk is no reason to leave pf off. Throws `Failure` or
   * {@link MainRulesError}.
   */
  attach(token: string | null, remember: (token: string) => void): void {
    // Without the blocks the anchor is called only until the next boot, and then again when the agent starts.
    this.#confProblem = this.#editConf((text) => withBlocks(text, this.#ports.anchor));
    this.#call();
    this.#hold(token, remember);
  }

  #hold(token: string | null, remember: (token: string) => void): void {
    const { pfctl } = this.#ports;
    if (token !== null && pfctl.holdsToken(token) && pfctl.isEnabled()) return;
    remember(pfctl.acquireToken());
  }

  #call(): void {
    const { pfctl, anchor } = this.#ports;
    const before = pfctl.mainRules();
    const call = findCall(before, anchor);
    if (call.isCalled && call.isScrubbed) return;
    this.#rewrite(before, withCall(before, anchor));
  }

  /** Loads main rules and looks whether pf now lists exactly them. */
  #rewrite(before: readonly string[], wanted: ReturnType<typeof withCall>): void {
    if ("problem" in wanted) throw new MainRulesError(wanted.problem);
    const { pfctl } = this.#ports;
    const text = `${wanted.rules.join("\n")}\n`;
    pfctl.checkMain(text);
    pfctl.loadMainFilter(text);
    const after = pfctl.mainRules();
    if (sameRules(after, wanted.rules)) return;
    pfctl.loadMainFilter(`${before.join("\n")}\n`);
    throw new MainRulesError("pf lists them otherwise than they were loaded; they were loaded as before again");
  }

  /** Returns what is wrong. Nothing is written that pf does not accept. */
  #editConf(edit: (text: string) => string): string | null {
    const { confFile, pfctl } = this.#ports;
    try {
      const before = confFile.read();
      if (before === null)
        return "There is no /etc/pf.conf: after a reboot pf obeys Wardline only when the agent runs.";
      const after = edit(before);
      if (after === before) return null;
      pfctl.checkMain(after);
      confFile.replace(after);
      return null;
    } catch (error) {
      return `/etc/pf.conf was not changed: ${reasonOf(error)}`;
    }
  }

  /** Every step is done whatever happens to the others. Returns what went wrong. */
  detach(token: string | null): readonly string[] {
    const { pfctl, anchor } = this.#ports;
    const problems: string[] = [];
    const attempt = (step: () => void): void => {
      try {
        step();
      } catch (error) {
        problems.push(reasonOf(error));
      }
    };
    attempt(() => {
      const before = pfctl.mainRules();
      const wanted = withoutCall(before, anchor);
      if (!("rules" in wanted) || wanted.rules.length < before.length) this.#rewrite(before, wanted);
    });
    const conf = this.#editConf((text) => withoutBlocks(text));
    if (conf !== null && conf !== NO_CONF) problems.push(conf);
    if (token !== null) attempt(() => pfctl.holdsToken(token) && pfctl.releaseToken(token));
    return problems;
  }
}

/** The main rules were left as they were. */
export class MainRulesError extends Error {
  constructor(why: string) {
    super(`the main rules of pf were not changed: ${why}`);
  }
}

function sameRules(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((rule, position) => rule.trim() === right[position]?.trim());
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
