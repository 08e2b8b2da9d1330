/** A person at a console for one test: a home directory with keys and configuration, and a connector that uses it. */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type HostAccess, HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import type { Failure } from "@wardline/domain/errors";
import { NOBODY, type QuestionAsker } from "../../questions/questions.ts";
import { ConsoleSshConnector, type SshConnectorOptions } from "../ssh-connector.ts";
import type { ConnectOptions } from "../ssh-session.ts";
import { generateKey, type RealSshd, TEST_USER } from "./real-sshd.ts";

export interface Person {
  readonly home: string;
  readonly keyPath: string;
  /** A line for authorized_keys. */
  readonly publicKey: string;
  connector(asker?: QuestionAsker, more?: Partial<SshConnectorOptions>): ConsoleSshConnector;
  /** Trusts all keys of a machine, as if it had been contacted before. */
  knows(sshd: RealSshd, name?: string): void;
  writeConfig(...lines: string[]): void;
  remove(): void;
}

export function newPerson(): Person {
  const home = mkdtempSync(join(tmpdir(), "wardline-person-"));
  mkdirSync(join(home, ".ssh"), { mode: 0o700 });
  const keyPath = join(home, ".ssh", "id_ed25519");
  generateKey(keyPath, "ed25519");
  return {
    home,
    keyPath,
    publicKey: readFileSync(`${keyPath}.pub`, "utf8").trim(),
    connector: (asker = NOBODY, more = {}) =>
      new ConsoleSshConnector({
        asker,
        ...more,
        environment: {
          homeDir: home,
          environment: { XDG_RUNTIME_DIR: home },
          systemConfigPath: null,
          localUser: TEST_USER,
          ...more.environment,
        },
      }),
    knows: (sshd, name = `[127.0.0.1]:${sshd.port}`) =>
      appendFileSync(join(home, ".ssh", "known_hosts"), `${name} ${sshd.hostKey()}\n`),
    writeConfig: (...lines) => writeFileSync(join(home, ".ssh", "config"), `${lines.join("\n")}\n`, { mode: 0o600 }),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

export function accessTo(
  sshd: Pick<RealSshd, "port">,
  more: MessageInitShape<typeof HostAccessSchema> = {},
): HostAccess {
  return create(HostAccessSchema, { address: "127.0.0.1", port: sshd.port, user: TEST_USER, ...more });
}

export function connectOptions(more: Partial<ConnectOptions> = {}): ConnectOptions {
  return { hostId: "host-1", signal: new AbortController().signal, isInteractive: true, ...more };
}

/** The failure that a promise ends in; fails the test when it ends well. */
export async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const result = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (result === null) throw new Error("it ended well");
  if (!(result instanceof Error) || result.name !== "Failure") throw result;
  return result as Failure;
}
