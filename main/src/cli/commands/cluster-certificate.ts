/** `wardline cluster certificate NAME --out DIR`: the key is made here, and only its public half leaves. */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { IssueCertificateResponseSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { boundMessage } from "../../backend/agent/bounded-message.ts";
import { WRITE_TIMEOUT_MS } from "../../backend/cluster/cluster-calls.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { requireChangesAllowed } from "../read-only.ts";
import type { CertificateOptions } from "./cluster.options.ts";
import { withCluster } from "./cluster-target.ts";

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_PEM_CHARACTERS = 64 * 1024;

export async function clusterCertificate(output: Output, options: CertificateOptions, name: string): Promise<ExitCode> {
  requireChangesAllowed();
  if (!NAME.test(name)) throw new UsageError(`"${name.slice(0, 80)}" cannot be its name.`, "Use a-z, 0-9 and -.");
  const paths = { key: `${name}.key`, certificate: `${name}.crt`, bundle: "ca.crt" };
  const full = (file: string) => join(options.out, file);
  for (const file of [paths.key, paths.certificate]) requireAbsent(full(file));
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return withCluster(options, async ({ write }) => {
    const request = {
      ...{ name, publicKey: new Uint8Array(publicKey), dnsNames: [...options.dns], ipAddresses: [...options.ip] },
      ...(options.validFor === undefined ? {} : { validFor: durationFromMs(options.validFor) }),
    };
    const answer = await write((client) => client.issueCertificate(request, { timeoutMs: WRITE_TIMEOUT_MS }));
    const { certificateChainPem, bundlePem } = answer;
    if (certificateChainPem.length > MAX_PEM_CHARACTERS || bundlePem.length > MAX_PEM_CHARACTERS) throw notOurs();
    const expiresAt = requireOurs(certificateChainPem, privateKey);
    boundMessage(IssueCertificateResponseSchema, answer);
    const files = [
      [full(paths.key), privateKey],
      [full(paths.certificate), certificateChainPem],
      [full(paths.bundle), bundlePem],
    ] as const;
    // The authority of several servers in one folder is the same file.
    const missing = files.filter(([path, text]) => path !== full(paths.bundle) || !holdsAlready(path, text));
    writeAll(options.out, missing);
    if (output.format === "json") output.json({ files: files.map(([path]) => path), expiresAt });
    else {
      for (const [path] of files) output.text(`${path}\n`);
      output.note(`Valid until ${expiresAt}.`);
    }
    return EXIT.done;
  });
}

/** The certificate is of the key that was made here. Returns until when it holds. @throws Failure IDENTITY_REFUSED */
function requireOurs(certificateChainPem: string, privateKeyPem: string): string {
  try {
    const certificate = new X509Certificate(certificateChainPem);
    if (certificate.checkPrivateKey(createPrivateKey(privateKeyPem))) {
      return new Date(certificate.validTo).toISOString();
    }
  } catch (error) {
    throw notOurs(error);
  }
  throw notOurs();
}

function notOurs(cause?: unknown): Failure {
  return new Failure(
    {
      code: ErrorCode.IDENTITY_REFUSED,
      message: "What was answered is no certificate of the key that was made here. Nothing was written.",
    },
    { cause },
  );
}

/** @throws Failure ALREADY_EXISTS when something else is there */
function holdsAlready(path: string, text: string): boolean {
  if (!existsSync(path)) return false;
  if (statSync(path).size <= MAX_PEM_CHARACTERS && readFileSync(path, "utf8") === text) return true;
  throw new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `${path} holds another authority than this cluster's; nothing is overwritten.`,
    hint: "Name another folder with --out.",
  });
}

function requireAbsent(path: string): void {
  if (!existsSync(path)) return;
  throw new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `${path} exists; nothing is overwritten.`,
    hint: "Name another folder with --out, or move it away.",
  });
}

/** All or none. @throws Failure */
function writeAll(dir: string, files: readonly (readonly [path: string, text: string])[]): void {
  const written: string[] = [];
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const [path, text] of files) {
      writeFileSync(path, text, { flag: "wx", mode: 0o600 });
      written.push(path);
    }
  } catch (error) {
    for (const path of written) rmSync(path, { force: true });
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Failure(
      {
        code: code === "EEXIST" ? ErrorCode.ALREADY_EXISTS : ErrorCode.INVALID_ARGUMENT,
        message: `The files cannot be written into ${dir} (${code}). None was.`,
      },
      { cause: error },
    );
  }
}
