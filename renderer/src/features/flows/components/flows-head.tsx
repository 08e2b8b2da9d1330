import { useWindow } from "../../../data/window-store.ts";
import { VerdictMark } from "../../../ui/index.ts";
import type { ListOrder } from "../hooks/use-ranked-rows.ts";
import { isOnly, withOnly } from "../model/chips.ts";
import type { ShownColumn } from "../model/columns.ts";
import { ChipBar } from "./chip-bar.tsx";
import { QueryBar } from "./query-bar.tsx";
import { SavedQueries } from "./saved-queries.tsx";

interface FlowsHeadProps {
  readonly columns: readonly ShownColumn[];
  readonly onColumns: (columns: readonly ShownColumn[]) => void;
  readonly order: ListOrder;
  readonly onOrder: (order: ListOrder) => void;
  /** Also when the text is the same as before. */
  readonly onAsk: (text: string) => void;
}

/** The one question, as text and as chips, with its saved names. Live and history have the same. */
export function FlowsHead({ columns, onColumns, order, onOrder, onAsk }: FlowsHeadProps) {
  const { flowText, lastMs, set } = useWindow();
  return (
    <search className="flows-head" aria-label="Filter flows">
      <div className="history-head">
        <QueryBar text={flowText} onAsk={onAsk} />
        <SavedQueries
          view={{ text: flowText, columns, order, lastMs }}
          onTake={(view) => {
            if (view.columns) onColumns(view.columns);
            if (view.order) onOrder(view.order);
            if (view.lastMs !== undefined) set({ lastMs: view.lastMs, markedRange: null });
            onAsk(view.text);
          }}
        />
      </div>
      <ChipBar text={flowText} onText={onAsk}>
        <Toggle term="verdict:deny" text={flowText} onText={onAsk}>
          <VerdictMark verdict="deny" words="denied" />
        </Toggle>
        <Toggle term="verdict:allow" text={flowText} onText={onAsk}>
          <VerdictMark verdict="allow" words="allowed" />
        </Toggle>
        <Toggle term="direction:in" text={flowText} onText={onAsk}>
          in
        </Toggle>
        <Toggle term="direction:out" text={flowText} onText={onAsk}>
          out
        </Toggle>
      </ChipBar>
    </search>
  );
}

interface ToggleProps {
  readonly term: string;
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly children: React.ReactNode;
}

/** What is asked most: the one value of its field, or none. */
function Toggle({ term, text, onText, children }: ToggleProps) {
  const isOn = isOnly(text, term);
  return (
    <button
      type="button"
      className="filter-toggle"
      aria-pressed={isOn}
      onClick={() => onText(withOnly(text, term, !isOn))}
    >
      {children}
    </button>
  );
}
