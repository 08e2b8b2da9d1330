import type { Meaning } from "@wardline/api/wardline/console/v1/versions";
import { useState } from "react";
import { Button, formatQuantity, visibleText } from "../../../ui/index.ts";

const SHOWN = 20;

/** Who gains and who loses what: in words and marks, never by colour alone. */
export function MeaningList({ meaning }: { meaning: Meaning }) {
  const [isLong, setLong] = useState(false);
  const { changes, leftOut, unknownBecause } = meaning;
  if (unknownBecause !== "") return <p className="soft">What it means is not known. {visibleText(unknownBecause)}</p>;
  if (changes.length === 0) return <p className="soft">The same packets pass: no access changes.</p>;
  const lost = changes.filter(({ gained }) => !gained).length;
  const shown = isLong ? changes : changes.slice(0, SHOWN);
  return (
    <section aria-label="What it means" className="meaning">
      <p>
        {formatQuantity(changes.length - lost, "access", "accesses")} gained, {lost} lost
        {leftOut > 0 ? `, and ${leftOut.toLocaleString("en")} more` : ""}
      </p>
      <ul>
        {shown.map((change) => (
          <li key={`${change.gained} ${change.from} ${change.to} ${change.ports}`} className="wrap-anywhere">
            <span data-gained={change.gained}>{change.gained ? "+ gains" : "− loses"}</span> {visibleText(change.from)}{" "}
            → {visibleText(change.to)} <code>{visibleText(change.ports)}</code>
          </li>
        ))}
      </ul>
      {changes.length > shown.length ? (
        <Button size="small" onPress={() => setLong(true)}>
          Show all {changes.length}
        </Button>
      ) : null}
    </section>
  );
}
