import type { PreviewSupportBundleResponse, SupportFile } from "@wardline/api/wardline/console/v1/support";
import { useEffect, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { settingNow } from "../../../data/settings.ts";
import {
  Button,
  Checkbox,
  FailureNotice,
  formatBytes,
  formatCount,
  formatQuantity,
  ScrollRegion,
  Sheet,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import { saveBundle } from "../model/save-bundle.ts";

/** Collects, shows each file as it would be given away, and writes nothing before the person says so. */
export default function SupportSheet({ onClose }: { onClose: () => void }) {
  const { connection } = useConsole();
  const [isPlain, setPlain] = useState(() => settingNow("support.addresses") === "as-they-are");
  const [preview, setPreview] = useState<PreviewSupportBundleResponse | null>(null);
  const [path, setPath] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: an attempt is a new question.
  useEffect(() => {
    let isWanted = true;
    setPreview(null);
    setFailure(null);
    connection.support.previewSupportBundle({ plainAddresses: isPlain }).then(
      (answer) => {
        if (!isWanted) return;
        setPreview(answer);
        setPath((before) => answer.files.find((file) => file.path === before)?.path ?? answer.files[0]?.path ?? "");
      },
      (error: unknown) => isWanted && setFailure(shownFailure(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [connection, isPlain, attempt]);
  const save = async () => {
    if (!preview) return;
    try {
      await saveBundle(connection.support, preview);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="drawer"
      title="Support bundle"
      isOpen
      onClose={onClose}
      subtitle={
        <span className="soft">Nothing leaves this machine: you save a file, and give it to whom you like.</span>
      }
      footer={
        <>
          <Checkbox isSelected={isPlain} onChange={setPlain}>
            Addresses and names of hosts as they are
          </Checkbox>
          <span className="top-bar-space" />
          <Button onPress={() => setAttempt(attempt + 1)}>Collect again</Button>
          <Button tone="primary" isDisabled={!preview} onPress={() => void save()}>
            {preview ? `Save ${formatBytes(preview.archiveBytes)} as .tar.gz` : "Save as .tar.gz"}
          </Button>
        </>
      }
    >
      <div className="support">
        {failure ? <FailureNotice failure={failure} onRetry={() => setAttempt(attempt + 1)} /> : null}
        {!preview && !failure ? <Skeleton rows={10} label="Collecting what would be in it" /> : null}
        {preview ? (
          <>
            <ul className="soft support-never">
              {[...preview.neverIncluded, ...preview.missing].map((sentence) => (
                <li key={sentence}>{visibleText(sentence)}</li>
              ))}
            </ul>
            <div className="support-files">
              <ul className="support-list scroll" aria-label="Files of the bundle">
                {preview.files.map((file) => (
                  <li key={file.path}>
                    <FileButton file={file} isCurrent={file.path === path} onPress={() => setPath(file.path)} />
                  </li>
                ))}
              </ul>
              <SupportFileText previewId={preview.previewId} path={path} />
            </div>
          </>
        ) : null}
      </div>
    </Sheet>
  );
}

function FileButton({ file, isCurrent, onPress }: { file: SupportFile; isCurrent: boolean; onPress: () => void }) {
  const redacted = file.redactions.reduce((sum, { count }) => sum + count, 0);
  return (
    <button type="button" className="support-file" aria-current={isCurrent} onClick={onPress}>
      <code className="truncate">{visibleText(file.path)}</code>
      <span className="soft">{visibleText(file.about)}</span>
      <span className="faint">
        {formatBytes(file.sizeBytes)} ·{" "}
        {redacted === 0
          ? "nothing taken out"
          : file.redactions.map(({ kind, count }) => `${formatCount(count)} × ${kind}`).join(", ")}
      </span>
    </button>
  );
}

const SHOWN_CHARACTERS = 200_000;

function SupportFileText({ previewId, path }: { previewId: string; path: string }) {
  const { connection } = useConsole();
  const [shown, setShown] = useState<{ path: string; text: string } | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  useEffect(() => {
    if (path === "") return;
    let isWanted = true;
    setFailure(null);
    connection.support.getSupportFile({ previewId, path }).then(
      ({ text }) => isWanted && setShown({ path, text }),
      (error: unknown) => isWanted && setFailure(shownFailure(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [connection, previewId, path]);
  if (failure) return <FailureNotice failure={failure} />;
  if (shown?.path !== path) return <Skeleton rows={8} label="Reading the file" />;
  const rest = shown.text.length - SHOWN_CHARACTERS;
  return (
    <ScrollRegion label={`Text of ${visibleText(path)}`} className="support-text">
      <pre className="code">
        {shown.text.slice(0, SHOWN_CHARACTERS).split("\n").map(visibleLine).join("\n")}
        {rest > 0 ? `\n… and ${formatQuantity(rest, "character")} more` : ""}
      </pre>
    </ScrollRegion>
  );
}

function visibleLine(line: string): string {
  return visibleText(line);
}
