import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { Suspense, useEffect, useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { Button, FailureNotice, formatQuantity, Moment, Sheet, Skeleton, Tag, visibleText } from "../../../ui/index.ts";
import { TextDiff } from "../../policies/index.ts";

const SHOWN = 200;

/** The documents of the set, each with its version and who wrote it. */
export function DocumentSection({ cluster }: { cluster: ClusterView }) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const clusterName = cluster.status?.clusterName ?? "";
  const setNumber = cluster.status?.head?.setNumber ?? 0n;
  const state = cluster.status?.head?.state;
  const [documents, setDocuments] = useState<readonly DocumentVersion[] | null>(null);
  const [hasMore, setMore] = useState(false);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [openKey, setOpenKey] = useState<string | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a newer set, or its end, is the reason to ask again.
  useEffect(() => {
    if (setNumber === 0n) {
      setDocuments(null);
      return;
    }
    let isCurrent = true;
    connection.clusters.listDocuments({ clusterName, query: { limit: SHOWN, mayBeStale: true } }).then(
      ({ documents: answer }) => {
        if (!isCurrent) return;
        setDocuments(answer?.documents ?? []);
        setMore(answer?.more ?? false);
        setFailure(null);
      },
      (error: unknown) => {
        if (isCurrent) setFailure(shownFailure(error));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [connection, clusterName, setNumber, state]);
  if (setNumber === 0n) return null;
  return (
    <section className="cluster-section" aria-labelledby="cluster-documents">
      <h2 id="cluster-documents">Documents</h2>
      {failure ? <FailureNotice isCompact failure={failure} /> : null}
      {documents === null ? null : (
        <table className="cluster-table">
          <thead>
            <tr>
              <th scope="col">Document</th>
              <th scope="col">Version</th>
              <th scope="col">Who and why</th>
              <th scope="col">Written</th>
              <th scope="col">Term</th>
            </tr>
          </thead>
          <tbody>
            {documents.map((document) => (
              <tr key={document.key}>
                <td className="wrap-anywhere">
                  <Button size="small" tone="quiet" onPress={() => setOpenKey(document.key)}>
                    {visibleText(document.key)}
                  </Button>
                </td>
                <td>{String(document.version)}</td>
                <td className="wrap-anywhere">
                  {visibleText(document.author)}
                  {document.reason ? `: ${visibleText(document.reason)}` : ""}
                </td>
                <td className="nowrap">
                  <Moment timeMs={optionalMs(document.writtenAt) ?? 0} nowMs={nowMs} />
                </td>
                <td>{String(document.term)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {hasMore ? <p className="faint">The first {SHOWN} are shown; `wardline policy list --cluster` has all.</p> : null}
      {openKey === null ? null : (
        <DocumentHistory clusterName={clusterName} documentKey={openKey} onDone={() => setOpenKey(null)} />
      )}
    </section>
  );
}

interface DocumentHistoryProps {
  readonly clusterName: string;
  readonly documentKey: string;
  readonly onDone: () => void;
}

/** The versions of one document, what each changed, and the way back to it. */
function DocumentHistory({ clusterName, documentKey, onDone }: DocumentHistoryProps) {
  const { connection } = useConsole();
  const nowMs = useConsoleNow();
  const [versions, setVersions] = useState<readonly DocumentVersion[] | null>(null);
  const [chosen, setChosen] = useState<bigint | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  useEffect(() => {
    connection.clusters.listDocumentHistory({ clusterName, query: { key: documentKey, limit: 50 } }).then(
      ({ history }) => {
        setVersions(history?.versions ?? []);
        setChosen(history?.versions[0]?.version ?? null);
      },
      (error: unknown) => setFailure(shownFailure(error)),
    );
  }, [connection, clusterName, documentKey]);
  const index = versions?.findIndex(({ version }) => version === chosen) ?? -1;
  const version = versions?.[index];
  const before = versions?.[index + 1];
  const isNewest = index === 0;
  const rollBack = async () => {
    if (!version) return;
    setFailure(null);
    try {
      await connection.clusters.rollbackDocuments({
        clusterName,
        rollback: {
          key: documentKey,
          toVersion: version.version,
          reason: `Back to version ${version.version}`,
          confirmWithin: { seconds: 300n },
        },
      });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="drawer"
      title={visibleText(documentKey)}
      isOpen
      onClose={onDone}
      footer={
        <>
          <Button tone="danger" isDisabled={!version || isNewest} onPress={() => void rollBack()}>
            {version ? `Return to version ${version.version}, 5 min to confirm` : "Return to it"}
          </Button>
          <Button onPress={onDone}>Close</Button>
        </>
      }
    >
      {failure ? <FailureNotice failure={failure} /> : null}
      {versions === null ? (
        <Skeleton label="Asking for the versions" />
      ) : (
        <div className="document-history">
          <ol aria-label={formatQuantity(versions.length, "version")}>
            {versions.map((each) => (
              <li key={String(each.version)}>
                <button
                  type="button"
                  className="host-item"
                  aria-current={each.version === chosen ? "true" : undefined}
                  onClick={() => setChosen(each.version)}
                >
                  <span className="host-item-text">
                    <span>
                      Version {String(each.version)} {each.deleted ? <Tag tone="deny">deleted</Tag> : null}
                    </span>
                    <span className="faint">
                      {visibleText(each.author)} · <Moment timeMs={optionalMs(each.writtenAt) ?? 0} nowMs={nowMs} />
                    </span>
                    <span className="faint wrap-anywhere">{visibleText(each.reason)}</span>
                  </span>
                </button>
              </li>
            ))}
          </ol>
          {version ? (
            <Suspense fallback={<Skeleton label="Comparing" />}>
              <TextDiff
                oldText={before?.text ?? ""}
                newText={version.text}
                label={`Version ${version.version} against the one before`}
              />
            </Suspense>
          ) : null}
        </div>
      )}
    </Sheet>
  );
}
