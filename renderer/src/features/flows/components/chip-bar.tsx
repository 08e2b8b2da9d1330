import { Eye, EyeOff, Minus, Plus, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Dialog, DialogTrigger, Popover } from "react-aria-components";
import { Button, Checkbox, TextField, visibleText } from "../../../ui/index.ts";
import { chipsOf, hasNoise, NOISE, withChipTurned, withCondition, withNoise, withoutChip } from "../model/chips.ts";

interface ChipBarProps {
  readonly text: string;
  readonly onText: (text: string) => void;
  /** In front of the chips. */
  readonly children?: ReactNode;
}

/** The conditions of the text, each to turn round or take away; and what is often added. */
export function ChipBar({ text, onText, children }: ChipBarProps) {
  const chips = chipsOf(text);
  const hidden = NOISE.filter(({ term }) => hasNoise(text, term)).length;
  return (
    <div className="flow-chips">
      {children}
      {chips === null ? <span className="faint">The text cannot be read yet.</span> : null}
      {chips && chips.length > 0 ? (
        <ul className="flow-chips-list" aria-label="Conditions in force">
          {chips.map((chip, index) => (
            <li
              key={`${chip.isExcluded} ${chip.text}`}
              className="flow-chip"
              data-excluded={chip.isExcluded ? "" : undefined}
            >
              <button
                type="button"
                className="truncate"
                title={chip.isExcluded ? "Left out: press to show only these" : "Only these: press to leave them out"}
                aria-label={`${chip.isExcluded ? "Not" : "Only"} ${chip.text}: turn round`}
                onClick={() => onText(withChipTurned(text, index))}
              >
                {chip.isExcluded ? <Minus size={12} aria-hidden="true" /> : <Plus size={12} aria-hidden="true" />}
                <span className="truncate">{visibleText(chip.text)}</span>
              </button>
              <button
                type="button"
                aria-label={`Remove the condition ${chip.isExcluded ? "not " : ""}${chip.text}`}
                onClick={() => onText(withoutChip(text, index))}
              >
                <X size={12} aria-hidden="true" />
              </button>
            </li>
          ))}
        </ul>
      ) : null}
      <DialogTrigger>
        <Button size="small" icon={hidden > 0 ? <EyeOff size={12} /> : <Eye size={12} />}>
          {hidden > 0 ? `${hidden} kinds of noise hidden` : "Hide noise"}
        </Button>
        <Popover className="popover" offset={4}>
          <Dialog className="flow-menu" aria-label="Noise">
            {NOISE.map(({ name, term }) => (
              <Checkbox
                key={name}
                isSelected={hasNoise(text, term)}
                onChange={(isHidden) => onText(withNoise(text, term, isHidden))}
              >
                {name} <code className="faint">-{term}</code>
              </Checkbox>
            ))}
          </Dialog>
        </Popover>
      </DialogTrigger>
      <DialogTrigger>
        <Button size="small">Policy…</Button>
        <Popover className="popover" offset={4}>
          <Dialog className="flow-menu" aria-label="Filter by policy">
            {({ close }) => (
              <PolicyFilter
                onTerm={(term, isExcluded) => {
                  onText(withCondition(text, term, isExcluded));
                  close();
                }}
              />
            )}
          </Dialog>
        </Popover>
      </DialogTrigger>
      {chips && chips.length > 0 ? (
        <Button size="small" tone="quiet" onPress={() => onText("")}>
          Clear
        </Button>
      ) : null}
    </div>
  );
}

/** Kind, namespace and name together; what is left empty is any. */
function PolicyFilter({ onTerm }: { onTerm: (term: string, isExcluded: boolean) => void }) {
  const [kind, setKind] = useState("");
  const [namespace, setNamespace] = useState("");
  const [name, setName] = useState("");
  const pattern = policyPattern(kind.trim(), namespace.trim(), name.trim());
  return (
    <div className="flow-form">
      <TextField label="Kind" placeholder="NetworkPolicy" isCode value={kind} onChange={setKind} />
      <TextField label="Namespace" placeholder="default" isCode value={namespace} onChange={setNamespace} />
      <TextField label="Name" placeholder="web*" isCode value={name} onChange={setName} />
      <div className="record-actions">
        <Button
          size="small"
          tone="primary"
          isDisabled={pattern === null}
          onPress={() => pattern && onTerm(pattern, false)}
        >
          Only these
        </Button>
        <Button size="small" isDisabled={pattern === null} onPress={() => pattern && onTerm(pattern, true)}>
          Not these
        </Button>
        <Button size="small" onPress={() => onTerm("policy:*", true)}>
          No policy decided
        </Button>
      </div>
    </div>
  );
}

/** `null` when nothing is asked for. */
export function policyPattern(kind: string, namespace: string, name: string): string | null {
  if (kind === "" && namespace === "" && name === "") return null;
  const parts = namespace === "" ? [kind || "*", name || "*"] : [kind || "*", namespace, name || "*"];
  // Without a namespace, the name is whatever the key ends with.
  const key = namespace === "" && kind !== "" && name !== "" ? `${kind}/*${name}` : parts.join("/");
  return `policy:${JSON.stringify(key)}`;
}
