/** Whose configurations this console knows. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible } from "@wardline/domain/text";
import type { Store } from "../store/store.ts";
import { checkedPublicKey, fingerprintOf } from "./archive/signing-key.ts";

const MAX_KEYS = 200;

export interface TrustedKey {
  readonly fingerprint: string;
  readonly publicKey: string;
  readonly name: string;
  readonly addedAtMs: number;
  readonly addedBy: string;
}

const SELECT =
  "SELECT fingerprint, public_key AS publicKey, name, added_at_ms AS addedAtMs, added_by AS addedBy FROM configuration_keys";

export class ConfigurationKeys {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  all(): TrustedKey[] {
    return this.#store.all<TrustedKey>(`${SELECT} ORDER BY name, fingerprint`);
  }

  find(fingerprint: string): TrustedKey | null {
    return this.#store.get<TrustedKey>(`${SELECT} WHERE fingerprint = ?`, fingerprint) ?? null;
  }

  /** @throws Failure INVALID_ARGUMENT, TOO_LARGE */
  trust(key: string, name: string, addedBy: string, nowMs: number): TrustedKey {
    const publicKey = checkedPublicKey(key);
    const words = name.trim();
    if (words === "" || words.length > 100 || hasInvisible(words)) {
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: "A key needs a name of up to 100 characters: whose is it?",
      });
    }
    const fingerprint = fingerprintOf(publicKey);
    if (this.all().length >= MAX_KEYS && !this.find(fingerprint)) {
      throw new Failure({
        code: ErrorCode.TOO_LARGE,
        message: `${MAX_KEYS} keys are known already.`,
        hint: "Remove one.",
      });
    }
    this.#store.run(
      `INSERT INTO configuration_keys (fingerprint, public_key, name, added_at_ms, added_by) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, added_by = excluded.added_by`,
      ...[fingerprint, publicKey, words, nowMs, addedBy],
    );
    return this.find(fingerprint) as TrustedKey;
  }

  /** @throws Failure NOT_FOUND */
  distrust(fingerprint: string): void {
    if (this.#store.run("DELETE FROM configuration_keys WHERE fingerprint = ?", fingerprint).changes > 0) return;
    throw new Failure({ code: ErrorCode.NOT_FOUND, message: "No key with that fingerprint is known here." });
  }
}
