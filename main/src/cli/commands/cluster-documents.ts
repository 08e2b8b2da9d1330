/** Documents of a cluster by the names that people give them. */
import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { isDocumentKey } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { boundedList, READ_TIMEOUT_MS } from "../../backend/cluster/cluster-calls.ts";
import type { ClusterTarget } from "./cluster-target.ts";

const PAGE = 1_000;

/** All of them without texts, sorted by key. @throws Failure */
export function listAll(
  { read }: Pick<ClusterTarget, "read">,
  query: { keyPrefix?: string; withDeleted?: boolean } = {},
): Promise<DocumentVersion[]> {
  return read(async (client) => {
    const documents: DocumentVersion[] = [];
    for (let afterKey = ""; ; ) {
      const request = { ...query, limit: PAGE, afterKey };
      const answer = boundedList(await client.listDocuments(request, { timeoutMs: READ_TIMEOUT_MS }));
      documents.push(...answer.documents);
      const last = answer.documents.at(-1)?.key ?? "";
      if (!answer.more || last <= afterKey) return documents;
      afterKey = last;
    }
  });
}

/** A key as it stands, or the one document whose key ends so. Deleted ones have a name too. @throws Failure NOT_FOUND, INVALID_ARGUMENT */
export async function resolveKey(target: Pick<ClusterTarget, "read" | "clusterName">, name: string): Promise<string> {
  if (isDocumentKey(name)) return name;
  const documents = await listAll(target, { withDeleted: true });
  const matching = documents.filter(({ key }) => key.endsWith(`/${name}`));
  const living = matching.filter(({ deleted }) => !deleted);
  const found = living.length > 0 ? living : matching;
  const [first, second] = found;
  if (first && !second) return first.key;
  const shown = JSON.stringify(name.slice(0, 100));
  if (first) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `${found.length} documents of ${target.clusterName} are called ${shown}.`,
      hint: `Say which one: ${found
        .slice(0, 5)
        .map(({ key }) => key)
        .join(", ")}`,
    });
  }
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `The cluster ${target.clusterName} has no document ${shown}.`,
    hint: "`wardline policy list --cluster` shows which there are.",
  });
}
