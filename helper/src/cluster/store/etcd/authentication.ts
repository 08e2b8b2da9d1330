/** The token of a user of etcd, asked for when it is needed and again when etcd no longer takes it. */
import { ConnectError } from "@connectrpc/connect";
import type { EtcdStoreOptions } from "../etcdStore.ts";
import type { Endpoint } from "./endpointPool.ts";

const ASK_LIMIT_MS = 2000;

export class Authentication {
  readonly #credentials: EtcdStoreOptions["credentials"];
  #token: string | null = null;
  #isNotAsked = false;
  #asking: Promise<string | null> | null = null;

  constructor(credentials: EtcdStoreOptions["credentials"]) {
    this.#credentials = credentials;
  }

  /** `null` = there is no user, or etcd asks for none. */
  async token(endpoint: Endpoint): Promise<string | null> {
    if (this.#credentials === undefined || this.#isNotAsked) return null;
    if (this.#token !== null) return this.#token;
    // For all who wait, so it ends by its own time alone.
    this.#asking ??= this.#ask(endpoint, this.#credentials).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  forget(): void {
    this.#token = null;
    this.#isNotAsked = false;
  }

  async #ask(
    endpoint: Endpoint,
    { userName, password }: { readonly userName: string; readonly password: string },
  ): Promise<string | null> {
    try {
      const { token } = await endpoint.auth.authenticate({ name: userName, password }, { timeoutMs: ASK_LIMIT_MS });
      this.#token = token;
    } catch (error) {
      if (!(error instanceof ConnectError) || !error.rawMessage.includes("authentication is not enabled")) throw error;
      this.#isNotAsked = true;
    }
    return this.#token;
  }
}
