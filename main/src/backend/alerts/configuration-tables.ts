/** Rules, receivers, silences and acknowledgements as people set them, in any process on this store. */
import type { AlertRule, Silence } from "@wardline/domain/alerts";
import { DESKTOP_RECEIVER, MOST_RULES, MOST_SILENCES, USUAL_RULES } from "@wardline/domain/alerts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SettingsTable } from "../store/settings-table.ts";
import type { Store } from "../store/store.ts";
import type { KeptReceiver } from "./receivers.ts";

export const MOST_RECEIVERS = 50;
const REVISION = "alert-configuration-revision";
const ALLOWED_URLS = "alert-allowed-urls";
/** Not silenced again at once, and still there to be looked at. */
const SILENCES_KEPT_MS = 7 * 86_400_000;

export interface Acknowledgement {
  readonly number: number;
  readonly alertId: string;
  readonly actor: string;
  readonly reason: string;
  readonly atMs: number;
}

export class ConfigurationTables {
  readonly #store: Store;
  readonly #settings: SettingsTable;

  /** The usual rules are written the first time; what a person deletes of them stays deleted. */
  constructor(store: Store, settings: SettingsTable) {
    this.#store = store;
    this.#settings = settings;
    if (this.revision() > 0) return;
    store.transaction(() => {
      if (this.revision() > 0) return;
      this.putReceiver({ name: DESKTOP_RECEIVER, kind: "desktop" });
      for (const rule of USUAL_RULES) this.putRule(rule);
    });
  }

  /** Grows with every change, whichever process makes it. */
  revision(): number {
    return this.#settings.number(REVISION);
  }

  rules(): AlertRule[] {
    return this.#all<AlertRule>("SELECT json FROM alert_rules ORDER BY position, name");
  }

  /** @throws Failure TOO_LARGE */
  putRule(rule: AlertRule): void {
    this.#change(() => {
      this.#requireRoom("alert_rules", "name", rule.name, MOST_RULES, "rules");
      this.#store.run(
        `INSERT INTO alert_rules (name, position, json)
         VALUES (?, (SELECT COALESCE(MAX(position), 0) + 1 FROM alert_rules), ?)
         ON CONFLICT (name) DO UPDATE SET json = excluded.json`,
        rule.name,
        JSON.stringify(rule),
      );
    });
  }

  /** False when there is none of that name. */
  deleteRule(name: string): boolean {
    return this.#change(() => this.#store.run("DELETE FROM alert_rules WHERE name = ?", name).changes > 0);
  }

  receivers(): KeptReceiver[] {
    return this.#all<KeptReceiver>("SELECT json FROM alert_receivers ORDER BY name");
  }

  receiver(name: string): KeptReceiver | null {
    return this.receivers().find((receiver) => receiver.name === name) ?? null;
  }

  putReceiver(receiver: KeptReceiver): void {
    this.#change(() => {
      this.#requireRoom("alert_receivers", "name", receiver.name, MOST_RECEIVERS, "receivers");
      this.#store.run(
        "INSERT INTO alert_receivers (name, json) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET json = excluded.json",
        receiver.name,
        JSON.stringify(receiver),
      );
    });
  }

  deleteReceiver(name: string): boolean {
    return this.#change(() => this.#store.run("DELETE FROM alert_receivers WHERE name = ?", name).changes > 0);
  }

  sealedSecret(receiver: string): Uint8Array | null {
    return (
      this.#store.get<{ sealed: Uint8Array }>("SELECT sealed FROM alert_secrets WHERE receiver = ?", receiver)
        ?.sealed ?? null
    );
  }

  /** `null` removes it. */
  setSealedSecret(receiver: string, sealed: Uint8Array | null): void {
    this.#change(() => {
      if (sealed === null) this.#store.run("DELETE FROM alert_secrets WHERE receiver = ?", receiver);
      else {
        this.#store.run(
          "INSERT INTO alert_secrets (receiver, sealed) VALUES (?, ?) ON CONFLICT (receiver) DO UPDATE SET sealed = excluded.sealed",
          receiver,
          sealed,
        );
      }
    });
  }

  silences(): Silence[] {
    return this.#all<Silence>("SELECT json FROM alert_silences ORDER BY until_ms, id");
  }

  putSilence(silence: Silence): void {
    this.#change(() => {
      this.#store.run("DELETE FROM alert_silences WHERE until_ms < ?", silence.createdAtMs - SILENCES_KEPT_MS);
      this.#requireRoom("alert_silences", "id", silence.id, MOST_SILENCES, "silences");
      this.#store.run(
        `INSERT INTO alert_silences (id, until_ms, json) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET until_ms = excluded.until_ms, json = excluded.json`,
        silence.id,
        silence.untilMs,
        JSON.stringify(silence),
      );
    });
  }

  deleteSilence(id: string): boolean {
    return this.#change(() => this.#store.run("DELETE FROM alert_silences WHERE id = ?", id).changes > 0);
  }

  acknowledge(said: Omit<Acknowledgement, "number">): void {
    const { alertId, actor, reason, atMs } = said;
    this.#change(() =>
      this.#store.run(
        "INSERT INTO alert_acknowledgements (alert_id, actor, reason, at_ms) VALUES (?, ?, ?, ?)",
        ...[alertId, actor, reason, atMs],
      ),
    );
  }

  acknowledgementsAfter(number: number): Acknowledgement[] {
    return this.#store.all<Acknowledgement>(
      `SELECT number, alert_id AS alertId, actor, reason, at_ms AS atMs FROM alert_acknowledgements
       WHERE number > ? ORDER BY number LIMIT 1000`,
      number,
    );
  }

  allowedUrls(): string[] {
    return JSON.parse(this.#settings.text(ALLOWED_URLS) ?? "[]") as string[];
  }

  setAllowedUrls(urls: readonly string[]): void {
    this.#change(() => this.#settings.set(ALLOWED_URLS, JSON.stringify(urls)));
  }

  /** All or nothing. */
  change<Result>(body: () => Result): Result {
    return this.#change(body);
  }

  #change<Result>(body: () => Result): Result {
    return this.#store.transaction(() => {
      const result = body();
      this.#settings.set(REVISION, this.revision() + 1);
      return result;
    });
  }

  #all<Value>(sql: string): Value[] {
    return this.#store.all<{ json: string }>(sql).map(({ json }) => JSON.parse(json) as Value);
  }

  #requireRoom(table: string, column: string, key: string, most: number, what: string): void {
    const count = this.#store.get<{ count: number }>(
      `SELECT COUNT(*) AS count FROM ${table} WHERE ${column} <> ?`,
      key,
    )?.count;
    if ((count ?? 0) < most) return;
    throw new Failure({ code: ErrorCode.TOO_LARGE, message: `There are ${most} ${what} already; no more are kept.` });
  }
}
