import { Search, X } from "lucide-react";
import { useRef, useState } from "react";
import { EMPTY_FLOW_QUERY } from "../../../data/flow-buffer.ts";
import { useKeyCommand } from "../../../data/key-commands.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, VerdictMark, visibleText } from "../../../ui/index.ts";
import { addTerm, parseSearch, removeTerm, termsOf, termText } from "../model/filter-query.ts";

/** Search, quick choices and the chips of every condition in force. */
export function FilterBar() {
  const { flowQuery, set } = useWindow();
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const terms = termsOf(flowQuery);
  const submit = () => {
    const term = parseSearch(text);
    if (!term) return;
    set({ flowQuery: addTerm(flowQuery, term) });
    setText("");
  };
  useKeyCommand("flows.search", () => input.current?.focus());
  const toggleVerdict = (verdict: "allow" | "deny") => {
    const term = { part: "verdict" as const, value: verdict };
    set({ flowQuery: flowQuery.verdicts.includes(verdict) ? removeTerm(flowQuery, term) : addTerm(flowQuery, term) });
  };
  const toggleDirection = (direction: "ingress" | "egress") => {
    const term = { part: "direction" as const, value: direction };
    set({
      flowQuery: flowQuery.directions.includes(direction) ? removeTerm(flowQuery, term) : addTerm(flowQuery, term),
    });
  };
  return (
    <search className="filter-bar" aria-label="Filter flows">
      <span className="field-box filter-search">
        <Search size={14} aria-hidden="true" />
        <input
          ref={input}
          className="field-input"
          aria-label="Add a condition: address or CIDR, port:443, process:curl, user:root, policy:key, text; ! excludes"
          placeholder="10.0.0.0/8, :443, process:curl, !:53"
          value={text}
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.nativeEvent.isComposing) submit();
          }}
        />
      </span>
      <Toggle isOn={flowQuery.verdicts.includes("deny")} onToggle={() => toggleVerdict("deny")}>
        <VerdictMark verdict="deny" words="denied" />
      </Toggle>
      <Toggle isOn={flowQuery.verdicts.includes("allow")} onToggle={() => toggleVerdict("allow")}>
        <VerdictMark verdict="allow" words="allowed" />
      </Toggle>
      <Toggle isOn={flowQuery.directions.includes("ingress")} onToggle={() => toggleDirection("ingress")}>
        in
      </Toggle>
      <Toggle isOn={flowQuery.directions.includes("egress")} onToggle={() => toggleDirection("egress")}>
        out
      </Toggle>
      <ul className="filter-chips" aria-label="Conditions in force">
        {terms
          .filter((term) => term.part !== "verdict" && term.part !== "direction")
          .map((term) => (
            <li key={termText(term)}>
              <button
                type="button"
                className="filter-chip"
                data-excluded={"isExcluded" in term && term.isExcluded ? "" : undefined}
                aria-label={`Remove the condition ${termText(term)}`}
                onClick={() => set({ flowQuery: removeTerm(flowQuery, term) })}
              >
                <span className="truncate">{visibleText(termText(term))}</span>
                <X size={12} aria-hidden="true" />
              </button>
            </li>
          ))}
      </ul>
      {terms.length > 0 ? (
        <Button size="small" tone="quiet" onPress={() => set({ flowQuery: EMPTY_FLOW_QUERY })}>
          Clear
        </Button>
      ) : null}
    </search>
  );
}

function Toggle({ isOn, onToggle, children }: { isOn: boolean; onToggle: () => void; children: React.ReactNode }) {
  return (
    <button type="button" className="filter-toggle" aria-pressed={isOn} onClick={onToggle}>
      {children}
    </button>
  );
}
