import type { Reference, References } from "@wardline/domain/policy/language";
import { X } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, IconButton, visibleText } from "../../../ui/index.ts";

/** Where a name is defined and used; shown when F12 or Shift+F12 asked for it. */
export function ReferencesSection({
  references,
  onClose,
}: {
  readonly references: References;
  readonly onClose: () => void;
}) {
  const { subject, definitions, uses, isCut } = references;
  return (
    <section aria-labelledby="effect-references">
      <h2 id="effect-references" className="references-head">
        <span className="wrap-anywhere">{visibleText(subject)}</span>
        <IconButton label="Close the references" onPress={onClose}>
          <X size={14} aria-hidden="true" />
        </IconButton>
      </h2>
      <Places title={formatQuantity(definitions.length, "definition")} places={definitions} />
      <Places title={`${formatQuantity(uses.length, "use")}${isCut ? ", more not listed" : ""}`} places={uses} />
    </section>
  );
}

const MAX_SHOWN = 200;

function Places({ title, places }: { readonly title: string; readonly places: readonly Reference[] }) {
  const openFile = useWindow((state) => state.openFile);
  return (
    <>
      <p className="soft">{title}</p>
      <ul className="references">
        {places.slice(0, MAX_SHOWN).map(({ file, line, column, text }) => (
          <li key={`${file}:${line}:${column}`} className="truncate">
            <button type="button" className="link" onClick={() => openFile(file, line, column)}>
              {visibleText(file)}:{line}
            </button>{" "}
            <code className="faint">{visibleText(text)}</code>
          </li>
        ))}
      </ul>
    </>
  );
}
