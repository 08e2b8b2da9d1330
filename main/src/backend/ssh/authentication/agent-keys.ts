/** Keys that an SSH agent holds (draft-miller-ssh-agent). The agent is ours, its answers are bounded all the same. */
import { connect } from "node:net";
// Node finds only some of the names that ssh2 exports; all are members of its default.
import ssh2, { type ParsedKey } from "ssh2";
import { errorCode } from "../config/config-files.ts";
import { type PublicKey, readPublicKey } from "../keys/public-key.ts";

const REQUEST_IDENTITIES = Buffer.from([0, 0, 0, 1, 11]);
const IDENTITIES_ANSWER = 12;
const LARGEST_ANSWER_BYTES = 256 * 1024;
const MOST_KEYS = 100;
const LIST_TIMEOUT_MS = 3000;
/** An agent may ask the person, or wait for a touch. */
const SIGN_TIMEOUT_MS = 60_000;

export interface AgentKeys {
  readonly usable: readonly { readonly key: PublicKey; readonly comment: string }[];
  /** Types that the built-in client cannot use: certificates and hardware keys. */
  readonly unsupported: readonly string[];
  /** Why nothing is known of its keys; empty when it answered. */
  readonly problem: string;
}

/** Never throws: an agent that is away is like none. */
export async function listAgentKeys(socketPath: string): Promise<AgentKeys> {
  try {
    return sortKeys(await ask(socketPath, REQUEST_IDENTITIES));
  } catch (error) {
    const code = errorCode(error).replace(/^Error: /, "");
    return { usable: [], unsupported: [], problem: `the agent at ${socketPath} does not answer (${code})` };
  }
}

export function signWithAgent(socketPath: string, key: PublicKey, data: Buffer, hash?: string): Promise<Buffer> {
  const parsed = parsedPublicKey(key);
  if (parsed === null) return Promise.reject(new Error(`keys of type ${key.type} cannot be used`));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the agent did not sign in time")), SIGN_TIMEOUT_MS);
    const options = hash === "sha256" || hash === "sha512" ? { hash } : {};
    new ssh2.OpenSSHAgent(socketPath).sign(parsed, data, options as never, (error, signature) => {
      clearTimeout(timer);
      if (signature) resolve(Buffer.from(signature));
      else reject(error ?? new Error("the agent did not sign"));
    });
  });
}

/** `null` when ssh2 does not know the type. */
export function parsedPublicKey(key: PublicKey): ParsedKey | null {
  const parsed = ssh2.utils.parseKey(key.blob);
  return parsed instanceof Error ? null : ((Array.isArray(parsed) ? parsed[0] : parsed) ?? null);
}

function sortKeys(answer: Buffer): AgentKeys {
  const usable: { key: PublicKey; comment: string }[] = [];
  const unsupported: string[] = [];
  for (const { blob, comment } of readIdentities(answer)) {
    const key = readPublicKey(blob);
    if (key === null) continue;
    if (parsedPublicKey(key)) usable.push({ key, comment });
    else unsupported.push(key.type);
  }
  return { usable, unsupported, problem: "" };
}

function readIdentities(answer: Buffer): { blob: Buffer; comment: string }[] {
  if (answer[0] !== IDENTITIES_ANSWER || answer.length < 5) throw new Error("it refused");
  const count = Math.min(answer.readUInt32BE(1), MOST_KEYS);
  const identities: { blob: Buffer; comment: string }[] = [];
  let at = 5;
  const field = () => {
    if (at + 4 > answer.length) throw new Error("malformed answer");
    const end = at + 4 + answer.readUInt32BE(at);
    if (end > answer.length) throw new Error("malformed answer");
    const value = answer.subarray(at + 4, end);
    at = end;
    return value;
  };
  for (let index = 0; index < count; index++) identities.push({ blob: field(), comment: field().toString("utf8") });
  return identities;
}

/** One request and its whole answer, without the length in front. */
function ask(socketPath: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    const settle = (error: Error | null, answer?: Buffer) => {
      clearTimeout(timer);
      socket.on("error", () => {});
      socket.destroy();
      if (answer) resolve(answer);
      else reject(error ?? new Error("it ended the connection"));
    };
    const timer = setTimeout(() => settle(new Error("no answer in time")), LIST_TIMEOUT_MS);
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 4) return;
      const length = received.readUInt32BE(0);
      if (length > LARGEST_ANSWER_BYTES) settle(new Error("answer too large"));
      else if (received.length >= 4 + length) settle(null, received.subarray(4, 4 + length));
    });
    socket.once("error", (error) => settle(error));
    socket.once("close", () => settle(null));
    socket.once("connect", () => socket.write(request));
  });
}
