// The manifest of the agent: which file belongs to which platform, with size and SHA-256, signed with Ed25519. Consoles
// install nothing on a host that no trusted key has signed for (docs/security-model.md).
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export const MANIFEST_FORMAT = "wardline-agent-manifest/1";
/** Signed in front of the manifest, so that the key's signature under anything else is none under a manifest. */
export const SIGNED_PREFIX = `${MANIFEST_FORMAT}\n`;
export const MANIFEST_NAME = "manifest.json";
export const SIGNATURE_NAME = "manifest.sig";

export class SigningError extends Error {}

/** `SHA256:…` over the key as SPKI: how people and signatures name a key. */
export function keyId(publicKey) {
  const spki = publicKey.export({ type: "spki", format: "der" });
  return `SHA256:${createHash("sha256").update(spki).digest("base64").replace(/=+$/, "")}`;
}

/** Name, size and SHA-256 of a file, as the manifest has them. */
export function describeFile(directory, name) {
  const content = readFileSync(join(directory, name));
  return { name, sizeBytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}

/**
 * The key of WARDLINE_SIGNING_KEY (a path to a PKCS #8 PEM file), else the one of this checkout, which is made once.
 * @throws SigningError
 */
export function signingKey(root, environment = process.env) {
  const given = environment.WARDLINE_SIGNING_KEY;
  if (given) return { key: readPrivateKey(given), origin: "WARDLINE_SIGNING_KEY" };
  const path = join(root, ".cache/signing/developer.key.pem");
  if (!existsSync(path)) makeDeveloperKey(path);
  return { key: readPrivateKey(path), origin: "this checkout's own key" };
}

/** Writes manifest.json and manifest.sig; agents of other platforms with the same version and build are kept. */
export function writeManifest(directory, { version, build, agent, services }, key) {
  const others = keptAgents(directory, version, build).filter(({ platform }) => platform !== agent.platform);
  const agents = [...others, agent].sort((a, b) => (a.platform < b.platform ? -1 : 1));
  const bytes = Buffer.from(
    `${JSON.stringify({ format: MANIFEST_FORMAT, version, build, agents, services }, null, 2)}\n`,
  );
  const signature = sign(null, Buffer.concat([Buffer.from(SIGNED_PREFIX), bytes]), key).toString("base64");
  const id = keyId(createPublicKey(key));
  replaceFile(join(directory, MANIFEST_NAME), bytes);
  replaceFile(join(directory, SIGNATURE_NAME), `ed25519 ${id} ${signature}\n`);
  return id;
}

function keptAgents(directory, version, build) {
  try {
    const before = JSON.parse(readFileSync(join(directory, MANIFEST_NAME), "utf8"));
    if (before.format !== MANIFEST_FORMAT || before.version !== version || before.build !== build) return [];
    return before.agents.filter(({ packed }) => describeFile(directory, packed.name).sha256 === packed.sha256);
  } catch {
    // None yet, or one that cannot be used: only what is built now is listed.
    return [];
  }
}

function readPrivateKey(path) {
  let key;
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw new SigningError(`${path} can be read by others. Run: chmod 600 ${path}`);
    }
    key = createPrivateKey(readFileSync(path));
  } catch (error) {
    if (error instanceof SigningError) throw error;
    throw new SigningError(`the signing key ${path} cannot be used: ${error.message}`);
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new SigningError(`the signing key ${path} is of type ${key.asymmetricKeyType}; it has to be Ed25519`);
  }
  return key;
}

function makeDeveloperKey(path) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  replaceFile(path.replace(".key.", ".pub."), publicKey.export({ type: "spki", format: "pem" }));
  replaceFile(path, privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
}

function replaceFile(path, content, mode = 0o644) {
  const next = `${path}.new`;
  writeFileSync(next, content, { mode });
  chmodSync(next, mode);
  renameSync(next, path);
}
