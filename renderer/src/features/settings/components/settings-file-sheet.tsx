import { readSettings } from "@wardline/domain/settings/file";
import { Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useSettings } from "../../../data/settings.ts";
import { Button, FailureNotice, Sheet, Skeleton, visibleText } from "../../../ui/index.ts";

interface OpenFile {
  readonly path: string;
  readonly digest: string;
}

/** The file as it is, checked while it is mended, and written only over the one that was read. */
export default function SettingsFileSheet({ onClose }: { onClose: () => void }) {
  const { connection } = useConsole();
  const [file, setFile] = useState<OpenFile | null>(null);
  const [text, setText] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isSaving, setSaving] = useState(false);
  const read = async () => {
    setFailure(null);
    try {
      const { path, digest, text: now } = await connection.settings.getSettingsFile({});
      setFile({ path, digest });
      setText(now);
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it is opened.
  useEffect(() => void read(), []);
  const save = async () => {
    if (!file) return;
    setSaving(true);
    try {
      const { state } = await connection.settings.saveSettingsFile({ text, baseDigest: file.digest });
      if (state) useSettings.getState().receive(state);
      onClose();
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setSaving(false);
    }
  };
  const reading = file ? readSettings({ path: file.path, text }) : null;
  return (
    <Sheet
      shape="drawer"
      title="The settings file"
      isOpen
      onClose={onClose}
      subtitle={file ? <code className="soft wrap-anywhere">{visibleText(file.path)}</code> : null}
      footer={
        <>
          <Button
            icon={<Copy size={14} aria-hidden="true" />}
            isDisabled={!file}
            onPress={() => void navigator.clipboard.writeText(file?.path ?? "")}
          >
            Copy the path
          </Button>
          <span className="top-bar-space" />
          <Button onPress={() => void read()}>Read it again</Button>
          <Button
            tone="primary"
            isDisabled={!file || isSaving || (reading?.isBroken ?? true)}
            onPress={() => void save()}
          >
            Save the file
          </Button>
        </>
      }
    >
      <div className="settings-file">
        {failure ? <FailureNotice failure={failure} /> : null}
        {file ? (
          <textarea
            className="settings-file-text code"
            aria-label="Text of the settings file"
            aria-describedby="settings-file-problems"
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        ) : failure ? null : (
          <Skeleton label="Reading the file" />
        )}
        <div id="settings-file-problems" aria-live="polite" className="settings-file-problems">
          {reading && reading.problems.length === 0 ? <p className="soft">Nothing is wrong with it.</p> : null}
          <ul className="settings-problems">
            {(reading?.problems ?? []).slice(0, 20).map(({ code, message, source }) => (
              <li key={`${source.line}:${source.column} ${code} ${message}`}>
                <code>{code}</code> line {source.line}, column {source.column}: {visibleText(message)}
              </li>
            ))}
          </ul>
        </div>
      </div>
    </Sheet>
  );
}
