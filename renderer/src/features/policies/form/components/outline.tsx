import type { FormFile } from "@wardline/domain/policy/edit";
import { EyeOff, TriangleAlert } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { formatCount, TextField, visibleText } from "../../../../ui/index.ts";
import { headOf } from "../model/kinds.ts";
import { type FieldProblem, worstOf } from "../model/problems.ts";

interface OutlineProps {
  readonly file: FormFile;
  readonly active: number;
  readonly problems: readonly FieldProblem[];
  readonly onChoose: (part: number) => void;
}

const MOST_LISTED = 200;
const FILTER_FROM = 10;

/** The documents of the file in their order. */
export function Outline({ file, active, problems, onChoose }: OutlineProps) {
  const [filter, setFilter] = useState("");
  const wanted = useDeferredValue(filter.trim().toLowerCase());
  const parts = file.parts.filter(({ state }) => state !== "empty");
  const listed: { readonly part: (typeof parts)[number]; readonly head: ReturnType<typeof headOf> }[] = [];
  let more = 0;
  for (const part of parts) {
    if (wanted === "" && listed.length >= MOST_LISTED && part.index !== active) {
      more += 1;
      continue;
    }
    const head = headOf(part);
    if (!`${head.kind} ${head.namespace}/${head.name}`.toLowerCase().includes(wanted)) continue;
    if (listed.length < MOST_LISTED || part.index === active) listed.push({ part, head });
    else more += 1;
  }
  return (
    <nav className="form-outline scroll" aria-label="Documents of this file">
      {parts.length > FILTER_FROM ? (
        <TextField
          label="Find a document"
          isLabelHidden
          placeholder={`Find in ${formatCount(parts.length)}`}
          value={filter}
          onChange={setFilter}
        />
      ) : null}
      <ul>
        {listed.map(({ part, head }) => {
          const here = problems.filter((problem) => problem.part === part.index);
          return (
            <li key={part.index}>
              <button
                type="button"
                className="form-outline-item"
                aria-current={part.index === active}
                data-state={part.state}
                onClick={() => onChoose(part.index)}
              >
                <span className="truncate">{visibleText(head.name) || "no name"}</span>
                <span className="faint truncate">{visibleText(head.kind) || "document"}</span>
                {part.state === "off" ? <EyeOff size={13} aria-label="switched off" /> : null}
                {part.state === "broken" ? <TriangleAlert size={13} aria-label="cannot be read" /> : null}
                {here.length > 0 ? (
                  <span className="form-count" data-tone={worstOf(here)}>
                    {here.length} <span className="visually-hidden">problems</span>
                  </span>
                ) : null}
              </button>
            </li>
          );
        })}
      </ul>
      {more > 0 ? <p className="form-note">{formatCount(more)} more: type a part of the name.</p> : null}
    </nav>
  );
}
