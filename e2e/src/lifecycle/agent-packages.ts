/** Packages of stand-in agents, made and signed as the build makes and signs the real one. */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { AgentPackage, type PackageLocation } from "@wardline/main/backend/lifecycle/manifest";
import type { Behaviour } from "./stand-in-agent.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const STAND_IN = join(ROOT, "e2e/src/lifecycle/stand-in-agent.ts");
const FORMAT = "wardline-agent-manifest/1";
const SERVICE_FILES = ["wardline-agent.service", "wardline-boot.service", "wardline.sysusers.conf"] as const;

export interface StandIn {
  readonly version: string;
  readonly build?: string;
  readonly behaviour?: Behaviour;
  /** Makes the file larger by bytes that do not compress, so that an upload takes a while. */
  readonly ballastBytes?: number;
}

export class AgentPackages {
  readonly #directory: string;
  readonly #keys = generateKeyPairSync("ed25519");
  readonly #keysDir: string;
  readonly #keyId: string;
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.#keysDir = join(directory, "keys");
    mkdirSync(this.#keysDir, { recursive: true });
    writeFileSync(join(this.#keysDir, "test.pem"), this.#keys.publicKey.export({ type: "spki", format: "pem" }));
    const spki = this.#keys.publicKey.export({ type: "spki", format: "der" });
    this.#keyId = `SHA256:${createHash("sha256").update(spki).digest("base64").replace("=", "")}`;
  }

  make({ version, build = "b1", behaviour = "good", ballastBytes = 0 }: StandIn): AgentPackage {
    const ballast = ballastBytes === 0 ? "" : `#${pseudoRandom(ballastBytes, this.#count)}\n`;
    const words = [process.execPath, "--disable-warning=ExperimentalWarning", STAND_IN, version, build, behaviour];
    const program = Buffer.from(
      `#!/bin/sh\nexport NODE_COMPILE_CACHE='${join(ROOT, ".cache/compile")}'\nexec ${words.map((word) => `'${word}'`).join(" ")} "$@"\n${ballast}`,
    );
    return this.pack(program, { version, build });
  }

  /** Makes and signs a package of any program. */
  pack(program: Uint8Array, { version, build }: { readonly version: string; readonly build: string }): AgentPackage {
    const directory = join(this.#directory, `package-${++this.#count}`);
    mkdirSync(directory);
    const name = "wardline-agent-linux-x64.gz";
    writeFileSync(join(directory, name), gzipSync(program, { level: 1 }));
    for (const file of SERVICE_FILES) copyFileSync(join(ROOT, "assets/systemd", file), join(directory, file));
    const sha256 = createHash("sha256").update(program).digest("hex");
    const agent = { platform: "linux-x64", sizeBytes: program.length, sha256, packed: describeFile(directory, name) };
    const services = SERVICE_FILES.map((file) => describeFile(directory, file));
    const manifest = Buffer.from(JSON.stringify({ format: FORMAT, version, build, agents: [agent], services }));
    const signed = Buffer.concat([Buffer.from(`${FORMAT}\n`), manifest]);
    const signature = sign(null, signed, this.#keys.privateKey).toString("base64");
    writeFileSync(join(directory, "manifest.json"), manifest);
    writeFileSync(join(directory, "manifest.sig"), `ed25519 ${this.#keyId} ${signature}\n`);
    return new AgentPackage(this.location(directory));
  }

  location(directory: string): PackageLocation {
    return { directory, releaseKeysDir: this.#keysDir };
  }
}

/** Why there is no real agent to install, or `null`. */
export function builtAgentProblem(): string | null {
  const isBuilt = existsSync(BUILT_AGENT) && existsSync(join(ROOT, "dist/manifest.sig"));
  return isBuilt ? null : "needs dist/wardline-agent: npm run build:agent";
}

export const BUILT_AGENT = join(ROOT, "dist/wardline-agent");

function pseudoRandom(bytes: number, seed: number): string {
  let text = "";
  for (let block = 0; text.length < bytes; block++) {
    text += createHash("sha512").update(`${seed} ${block}`).digest("base64");
  }
  return text.slice(0, bytes);
}

function describeFile(directory: string, name: string) {
  const content = readFileSync(join(directory, name));
  return { name, sizeBytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}
