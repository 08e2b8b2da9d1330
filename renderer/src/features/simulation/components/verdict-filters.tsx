import { Search } from "lucide-react";
import { Select, Switch, TextField } from "../../../ui/index.ts";
import { parsePortText } from "../model/port-text.ts";
import { WINDOW_CHOICES } from "../model/time-windows.ts";
import { ORDERS, PAIRS, type VerdictFilter } from "../model/verdict-filter.ts";

interface VerdictFiltersProps {
  readonly filter: VerdictFilter;
  readonly onChange: (filter: VerdictFilter) => void;
}

/** Which rows: by pair of verdicts, group, port, policy and window of records. */
export function VerdictFilters({ filter, onChange }: VerdictFiltersProps) {
  const change = (part: Partial<VerdictFilter>) => onChange({ ...filter, ...part });
  const isPortWrong = filter.port.trim() !== "" && parsePortText(filter.port) === null;
  return (
    <search className="verdict-filters" aria-label="Which verdicts">
      <Select
        label="Verdicts"
        isLabelHidden
        value={filter.pair}
        onChange={(pair) => change({ pair })}
        choices={PAIRS.map(({ value, label }) => ({ value, label }))}
      />
      <TextField
        label="Group"
        isLabelHidden
        placeholder="Group: app=web"
        icon={<Search size={13} aria-hidden="true" />}
        value={filter.group}
        onChange={(group) => change({ group: group.slice(0, 300) })}
      />
      <TextField
        label="Port"
        isLabelHidden
        placeholder="Port: 443/tcp"
        value={filter.port}
        isInvalid={isPortWrong}
        onChange={(port) => change({ port: port.slice(0, 20) })}
      />
      <TextField
        label="Policy"
        isLabelHidden
        placeholder="Policy: default/web"
        value={filter.policy}
        onChange={(policy) => change({ policy: policy.slice(0, 300) })}
      />
      <Select
        label="Records of"
        isLabelHidden
        value={filter.window}
        onChange={(window) => change({ window })}
        choices={WINDOW_CHOICES}
      />
      <Select
        label="Order"
        isLabelHidden
        value={filter.order}
        onChange={(order) => change({ order })}
        choices={ORDERS.map(({ value, label }) => ({ value, label }))}
      />
      <Switch isSelected={filter.isEverything} onChange={(isEverything) => change({ isEverything })}>
        Also where they agree
      </Switch>
    </search>
  );
}
