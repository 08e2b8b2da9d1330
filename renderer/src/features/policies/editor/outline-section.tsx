import type { OutlineEntry } from "@wardline/domain/policy/language";
import { useEffect, useState } from "react";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, visibleText } from "../../../ui/index.ts";
import { useLanguageStore } from "./use-language.ts";

const MAX_DOCUMENTS = 200;
const MAX_RULES = 30;

/** The documents and rules of the file, to go to; asked for when it is open. */
export function OutlineSection({
  path,
  version,
  text,
}: {
  readonly path: string;
  readonly version: number;
  readonly text: string;
}) {
  const store = useLanguageStore();
  const openFile = useWindow((state) => state.openFile);
  const [isOpen, setOpen] = useState(false);
  const [entries, setEntries] = useState<readonly OutlineEntry[]>([]);
  useEffect(() => {
    let isCurrent = true;
    if (isOpen && version >= 0) {
      void store.client.ask("outline", { path }).then(
        (found) => isCurrent && setEntries(found),
        () => {},
      );
    }
    return () => {
      isCurrent = false;
    };
  }, [store, path, version, isOpen]);
  const go = (from: number) => {
    const before = text.replace(/\r\n?/g, "\n").slice(0, from);
    openFile(path, before.split("\n").length);
  };
  return (
    <details className="outline" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Outline{isOpen ? `: ${formatQuantity(entries.length, "document")}` : ""}</summary>
      <ul>
        {entries.slice(0, MAX_DOCUMENTS).map((entry) => (
          <li key={entry.from} className="wrap-anywhere">
            <button type="button" className="link" onClick={() => go(entry.from)}>
              {visibleText(entry.name)}
            </button>{" "}
            <span className="faint">{visibleText(entry.kind)}</span>
            <ul>
              {entry.children.slice(0, MAX_RULES).map((rule) => (
                <li key={rule.from}>
                  <button type="button" className="link" onClick={() => go(rule.from)}>
                    {visibleText(rule.name)}
                  </button>{" "}
                  <span className="faint">{visibleText(rule.detail)}</span>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
      {entries.length > MAX_DOCUMENTS ? (
        <p className="soft">{entries.length - MAX_DOCUMENTS} more are not listed.</p>
      ) : null}
    </details>
  );
}
