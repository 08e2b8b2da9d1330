/** The store that `--etcd`, `--embedded`, `--user`, `--password-file` and `--ca` describe. */
import { readFile } from "node:fs/promises";
import { text as readStream } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { type StoreConfiguration, StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { UsageError } from "../exit-code.ts";
import type { StoreOptions } from "./cluster.options.ts";

const MAX_ENDPOINTS = 16;
const MAX_FILE_CHARACTERS = 256 * 1024;

/** `null` when nothing was said. A password never comes from the command line, which every process can read. @throws UsageError, Failure */
export async function storeOf({
  etcd,
  embedded,
  user,
  passwordFile,
  ca,
  usersPerMember,
}: StoreOptions): Promise<StoreConfiguration | null> {
  const isOfEtcd = etcd.length > 0;
  if (embedded && isOfEtcd) throw new UsageError("--embedded and --etcd do not go together.");
  if (!isOfEtcd && (user !== undefined || passwordFile !== undefined || ca !== undefined || usersPerMember)) {
    throw new UsageError("--user, --password-file, --ca and --users-per-member go with --etcd.");
  }
  if ((user === undefined) !== (passwordFile === undefined)) {
    throw new UsageError("--user and --password-file go together.");
  }
  if (usersPerMember && user !== undefined) {
    throw new UsageError("--users-per-member goes by certificates: it does not go with --user.");
  }
  if (embedded) return create(StoreConfigurationSchema, { kind: StoreKind.EMBEDDED });
  if (!isOfEtcd) return null;
  if (etcd.length > MAX_ENDPOINTS) throw new UsageError(`Up to ${MAX_ENDPOINTS} servers can be named.`);
  return create(StoreConfigurationSchema, {
    kind: StoreKind.ETCD,
    endpoints: [...etcd],
    userName: user ?? "",
    password: passwordFile === undefined ? "" : (await readText(passwordFile)).replace(/\r?\n$/, ""),
    serverCaPem: ca === undefined ? "" : await readText(ca),
    usersPerMember,
  });
}

async function readText(path: string): Promise<string> {
  try {
    const text = path === "-" ? await readStream(process.stdin) : await readFile(path, "utf8");
    if (text.length <= MAX_FILE_CHARACTERS) return text;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Failure(
      { code: ErrorCode.INVALID_ARGUMENT, message: `${path} cannot be read (${code}).` },
      { cause: error },
    );
  }
  throw new Failure({ code: ErrorCode.TOO_LARGE, message: `${path} is larger than a certificate or password is.` });
}
