/** The keys to offer to one machine, in the order of ssh: chosen files first, then what else an agent holds. */
import type { ParsedKey } from "ssh2";
import type { SshTarget } from "../config/target.ts";
import { type PublicKey, readPublicKey } from "../keys/public-key.ts";
import { type AgentKeys, listAgentKeys, parsedPublicKey, signWithAgent } from "./agent-keys.ts";
import { type KeyFile, openPrivateKey, readKeyFile } from "./identity-files.ts";

/** sshd ends the connection after 6 refusals unless it is told otherwise; a password must still fit in. */
const MOST_OFFERED = 5;

/** Asks for what opens a key. `null` when nobody answers. */
export type UnlockKey = (file: KeyFile) => Promise<ParsedKey | null>;

export interface Identity {
  readonly publicKey: PublicKey;
  /** For people: where the key is. */
  readonly label: string;
  /** @throws Error when the agent refuses or nobody opens the key */
  sign(data: Buffer, hash?: string): Promise<Buffer>;
}

export interface Identities {
  readonly offered: readonly Identity[];
  /** What was left out and why, one clause each. */
  readonly notes: readonly string[];
  /** What the built-in client cannot use: certificates and hardware keys, in an agent or as files. */
  readonly unsupported: readonly string[];
}

export async function collectIdentities(target: SshTarget, unlock: UnlockKey): Promise<Identities> {
  const notes: string[] = [];
  const unsupported: string[] = [];
  const { agentSocket } = target;
  const none: AgentKeys = { usable: [], unsupported: [], problem: "" };
  const agent = agentSocket === null ? none : await listAgentKeys(agentSocket);
  if (agent.problem !== "") notes.push(agent.problem);
  unsupported.push(...agent.unsupported.map((type) => `${type} in the agent`));

  const files: KeyFile[] = [];
  for (const { path, isChosen } of target.identityFiles) {
    const file = await readKeyFile(path);
    if (file === null) {
      if (isChosen) notes.push(`there is no key ${path}`);
    } else if ("problem" in file) {
      notes.push(`${path} was left out: ${file.problem}`);
    } else {
      files.push(file);
      if (file.hasCertificate) unsupported.push(`certificate of ${path}`);
    }
  }
  const inAgent = (key: PublicKey | null) => agent.usable.find((held) => key && held.key.blob.equals(key.blob));
  const identities: Identity[] = [];
  for (const file of files) {
    const held = inAgent(file.publicKey);
    if (held) identities.push(agentIdentity(agentSocket!, held.key, file.path));
  }
  if (!target.identitiesOnly) {
    for (const { key, comment } of agent.usable) {
      if (!identities.some(({ publicKey }) => publicKey.blob.equals(key.blob))) {
        identities.push(agentIdentity(agentSocket!, key, comment));
      }
    }
  }
  for (const file of files) {
    if (file.text === null || inAgent(file.publicKey)) continue;
    const identity = await fileIdentity(file, unlock);
    if (identity === null) notes.push(`${file.path} was not opened`);
    else if (parsedPublicKey(identity.publicKey)) identities.push(identity);
    else unsupported.push(`${identity.publicKey.type} in ${file.path}`);
  }
  // Chosen files come before the other keys of an agent: else an agent with many keys uses up the attempts.
  const chosen = new Set(target.identityFiles.filter(({ isChosen }) => isChosen).map(({ path }) => path));
  const isChosen = (identity: Identity) => [...chosen].some((path) => identity.label.includes(path));
  const ordered = [...identities.filter(isChosen), ...identities.filter((identity) => !isChosen(identity))];
  if (ordered.length > MOST_OFFERED) {
    notes.push(`${ordered.length - MOST_OFFERED} more keys were not offered; name the right one with IdentityFile`);
  }
  return { offered: ordered.slice(0, MOST_OFFERED), notes, unsupported };
}

function agentIdentity(socketPath: string, publicKey: PublicKey, origin: string): Identity {
  return {
    publicKey,
    label: origin === "" ? "agent" : `agent, ${origin}`,
    sign: (data, hash) => signWithAgent(socketPath, publicKey, data, hash),
  };
}

async function fileIdentity(file: KeyFile, unlock: UnlockKey): Promise<Identity | null> {
  let publicKey = file.publicKey;
  if (publicKey === null) {
    // Only the old PEM formats, without a public key beside them.
    const key = await unlock(file);
    publicKey = key && readPublicKey(key.getPublicSSH());
    if (publicKey === null) return null;
  }
  return {
    publicKey,
    label: file.path,
    async sign(data, hash) {
      const key = file.isEncrypted ? await unlock(file) : openPrivateKey(file.text ?? "", null);
      if (key === null) throw new Error("the key was not opened");
      const signature = key.sign(data, hash) as Buffer | Error;
      if (signature instanceof Error) throw signature;
      return signature;
    },
  };
}
