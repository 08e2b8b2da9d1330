/**
 * The record, and pf brought in line with it: which slot should decide, whether pf holds and obeys its text, and what is
 * done when not.
 *
 * The record is written before a load and names both slots; the anchor itself says which of them is in force
 * (anchorText.ts), so that a crash between the two is no riddle.
 */
import { toWriteFailure } from "../../files/atomicFile.ts";
import { anchorText, type Marker, marks } from "./anchorText.ts";
import { PfAttachment, reasonOf } from "./attachment.ts";
import { PfCounters } from "./counters.ts";
import { LoadedAnchor } from "./loadedAnchor.ts";
import { Pfctl } from "./pfctl.ts";
import type { PfEnforcerConfig } from "./pfEnforcer.ts";
import { EMPTY_RECORD, EMPTY_SLOT, type PfRecord, type PfSlot } from "./record.ts";
import { notObeyed } from "./refusals.ts";

type Topic = "pf" | "record" | "states" | "repairs";

const ANCHOR_NAME = /^[a-z][a-z0-9-]{0,30}$/;

export class PfDatapath {
  readonly anchor: LoadedAnchor;
  readonly attachment: PfAttachment;
  readonly counters: PfCounters;
  readonly pfctl: Pfctl;
  readonly anchorName: string;
  readonly #config: PfEnforcerConfig;
  /** By topic, so that a later look replaces an earlier one. */
  readonly #problems = new Map<Topic, readonly string[]>();
  #record: PfRecord = EMPTY_RECORD;
  #repairs = 0;

  constructor(config: PfEnforcerConfig) {
    this.anchorName = config.anchorName ?? "wardline";
    if (!ANCHOR_NAME.test(this.anchorName)) throw new Error(`"${this.anchorName}" cannot be the name of an anchor`);
    this.#config = config;
    this.pfctl = new Pfctl(config.commands);
    this.anchor = new LoadedAnchor(this.pfctl, this.anchorName);
    this.counters = new PfCounters({
      anchor: this.anchor,
      slotOf: (marker) => this.#slotOf(marker),
      bootMs: config.bootMs,
    });
    this.attachment = new PfAttachment({ pfctl: this.pfctl, confFile: config.confFile, anchor: this.anchorName });
  }

  get record(): PfRecord {
    return this.#record;
  }

  /** Sentences about what is wrong now. */
  get problems(): readonly string[] {
    return [...this.#problems.values()].flat();
  }

  forget(): void {
    this.#record = EMPTY_RECORD;
    this.#problems.clear();
  }

  readRecord(): PfRecord {
    try {
      return this.#config.store.read() ?? EMPTY_RECORD;
    } catch (error) {
      this.#note("record", `The record of what pf enforces cannot be used: ${reasonOf(error)}`);
      return { ...EMPTY_RECORD, previous: null };
    }
  }

  /** Reads the record and brings it in line with what the anchor says of itself. Throws `Failure` when pf does not answer. */
  adopt(): void {
    const marker = this.anchor.marker();
    this.#record = this.readRecord();
    const { active, previous, deadlineBootMs } = this.#record;
    if (marker === null) {
      // A reboot, or somebody flushed it. What nobody confirmed is not brought back.
      if (deadlineBootMs !== null) this.#record = this.#withoutUnconfirmed();
      // Only pf knew that text.
      if (this.#record.active.script === null) this.#record = { ...this.#record, active: EMPTY_SLOT, previous: null };
      return;
    }
    const { generation, mode, emergency } = marker;
    if (marks(marker, active)) this.#record = { ...this.#record, emergency };
    else if (previous !== null && marks(marker, previous))
      this.#record = { ...(this.isExpired() ? this.#record : this.#withoutUnconfirmed()), emergency };
    else {
      const unknown: PfSlot = { generation, digest: "", mode, script: null };
      this.#record = { ...this.#record, active: unknown, previous: null, deadlineBootMs: null, emergency };
    }
  }

  #withoutUnconfirmed(): PfRecord {
    return { ...this.#record, active: this.#record.previous ?? EMPTY_SLOT, previous: null, deadlineBootMs: null };
  }

  isExpired(): boolean {
    const { deadlineBootMs } = this.#record;
    return deadlineBootMs !== null && this.#config.bootMs() > deadlineBootMs;
  }

  /** The slot whose text pf should hold. */
  deciding(): PfSlot {
    const { active, previous } = this.#record;
    return this.isExpired() && previous !== null ? previous : active;
  }

  /** Loads the text that should decide, then lets pf obey it, as far as either is missing. Throws `Failure` of a load. */
  repair(): void {
    this.ensureLoaded();
    try {
      this.attachment.attach(this.#record.token, (token) => this.writeOrReport({ ...this.#record, token }));
    } catch (error) {
      this.#note("pf", reasonOf(error));
    }
  }

  ensureLoaded(): void {
    const text = this.#wantedText();
    if (text === null || this.isIntact(text)) return;
    this.load(text);
    this.anchor.verify(text);
    this.endStatesOrReport(text);
  }

  /** Throws `Failure`; then what decided before still does. */
  load(text: string): void {
    this.counters.beforeLoad();
    this.anchor.load(text);
    this.counters.afterLoad(this.#slotOf(this.anchor.marker()).generation);
  }

  #slotOf(marker: Marker | null): Pick<PfSlot, "generation" | "digest"> {
    const { active, previous } = this.#record;
    const known = [active, previous].find((slot) => slot !== null && marks(marker, slot));
    return known ?? { generation: marker?.generation ?? 0, digest: "" };
  }

  /** `null` when only pf knows the text. */
  #wantedText(): string | null {
    const slot = this.deciding();
    const { emergency } = this.#record;
    return slot.script === null && emergency === "none" ? null : anchorText(slot, emergency);
  }

  /** Whether the anchor holds this text of the slot that should decide. An emergency's text has other labels. */
  isIntact(text: string): boolean {
    return marks(this.anchor.marker(), this.deciding()) && this.anchor.holds(text);
  }

  /** Asks pf whether it obeys the text that should decide; settles a deadline that has passed. Does not throw. */
  look(): boolean {
    try {
      if (this.isExpired()) this.ensureLoaded();
      const { isAttached, problems } = this.attachment.check();
      const text = this.#wantedText();
      const isIntact = text === null ? marks(this.anchor.marker(), this.deciding()) : this.isIntact(text);
      const changed = isIntact ? [] : [`The anchor "${this.anchorName}" does not hold the rules of Wardline.`];
      this.#note("pf", ...problems, ...changed);
      return isAttached && isIntact;
    } catch (error) {
      this.#note("pf", reasonOf(error));
      return false;
    }
  }

  /** Puts back what another program has switched off, flushed or left out. Does not throw. */
  watch(): void {
    try {
      const { token } = this.#record;
      if (this.look() && token !== null && this.pfctl.holdsToken(token)) return;
      this.repair();
      if (!this.look()) return;
    } catch (error) {
      this.#note("pf", reasonOf(error));
      return;
    }
    this.#repairs++;
    const times = this.#repairs === 1 ? "once" : `${this.#repairs} times`;
    this.#note(
      "repairs",
      `Since the agent started, another program has changed pf under Wardline ${times}; what it took away was put back.`,
    );
  }

  /** The flip: loads a text, and proves that pf shows and obeys it. Throws `Failure`. Returns the load's microseconds. */
  switchTo(text: string): number {
    this.counters.beforeLoad();
    const start = performance.now();
    this.anchor.load(text);
    const loadUs = (performance.now() - start) * 1000;
    this.counters.afterLoad(this.deciding().generation);
    this.anchor.verify(text);
    const { isAttached, problems } = this.attachment.check();
    if (!isAttached) throw notObeyed(problems);
    return loadUs;
  }

  /** After a flip that failed: the record and the rules as they were. Does not throw. */
  takeBack(before: PfRecord): void {
    this.writeOrReport(before);
    try {
      this.ensureLoaded();
    } catch (error) {
      this.#note("pf", reasonOf(error));
    }
  }

  /** Throws `Failure` DISK_FULL or INTERNAL; then the former record still counts. */
  write(record: PfRecord): void {
    try {
      this.#config.store.write(record);
    } catch (error) {
      throw toWriteFailure(error, "The record of what pf enforces");
    }
    this.#record = record;
    this.#problems.delete("record");
  }

  /** For what must not wait for a disk: the anchor says what is in force, and a restart believes the anchor. */
  writeOrReport(record: PfRecord): void {
    try {
      this.write(record);
    } catch (error) {
      this.#record = record;
      this.#note("record", reasonOf(error));
    }
  }

  /** Ends the connections that a text forbids. Throws `Failure` when pf does not. */
  endStates(text: string): void {
    const { unread, stayed, alsoEnded } = this.anchor.endForbiddenStates(text);
    const unknown = unread === 0 ? [] : [`${unread} states of pf could not be read: their connections go on.`];
    const alive = stayed === 0 ? [] : [`${stayed} connections that are no longer allowed go on: pf did not end them.`];
    const interrupted =
      alsoEnded === 0 ? [] : [`The last change interrupted ${alsoEnded} connections that are still allowed.`];
    this.#note("states", ...unknown, ...alive, ...interrupted);
  }

  /** The same where there is no way back: what pf did not end is reported. */
  endStatesOrReport(text: string): void {
    try {
      this.endStates(text);
    } catch (error) {
      this.#note("states", `Connections that are no longer allowed may go on: ${reasonOf(error)}`);
    }
  }

  #note(topic: Topic, ...sentences: readonly string[]): void {
    if (sentences.length === 0) this.#problems.delete(topic);
    else this.#problems.set(topic, sentences.map(asSentence));
  }
}

/** pf is written small at the beginning of a sentence too. */
function asSentence(text: string): string {
  const start = text.startsWith("pf ") ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return start.endsWith(".") ? start : `${start}.`;
}
