import { disabledItems, isList, type ValuePath, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field, ListShape, ObjectShape } from "@wardline/domain/policy/formats/schema";
import { Plus } from "lucide-react";
import { useState } from "react";
import { Button, formatQuantity } from "../../../../ui/index.ts";
import { fieldId, focusIn, useForm, useProblems } from "../model/form-context.ts";
import { itemWord, labelOf, starterValue } from "../model/words.ts";
import { Problems } from "./problems.tsx";
import { DisabledRule, RuleCard } from "./rule-card.tsx";

interface RuleListProps {
  readonly path: ValuePath;
  readonly name: string;
  readonly field: Field;
  readonly value: YamlValue | undefined;
  readonly order: readonly string[];
}

const FIRST_SHOWN = 50;

/** The rules of one direction, or the cases of a test, in their order; those that are switched off stand between them. */
export function RuleList({ path, name, field, value, order }: RuleListProps) {
  const form = useForm();
  const problems = useProblems(path, false);
  const [reason, setReason] = useState<string | null>(null);
  const [shownCount, setShownCount] = useState(FIRST_SHOWN);
  const [opened, setOpened] = useState<number | null>(null);
  const shape = field.shape as ListShape;
  const items = value !== undefined && isList(value) ? value : [];
  const off = disabledItems(form.part, path);
  const part = form.part.index;
  const word = itemWord(name);
  const move = (index: number, to: number) => {
    if (to < 0 || to >= items.length) return form.say(`${word} ${index + 1} is at the end already`);
    const failed = form.apply([{ kind: "move", part, path, index, to }]);
    setReason(failed);
    if (failed !== null) return;
    if (opened === index) setOpened(to);
    form.say(`${word} moved to ${to + 1} of ${items.length}`);
    requestAnimationFrame(() => document.getElementById(`${fieldId([...path, to])}-handle`)?.focus());
  };
  const add = () => {
    const index = items.length;
    setReason(form.apply([{ kind: "insert", part, path, index, value: starterValue(shape.items), order }]));
    setOpened(index);
    setShownCount(Math.max(shownCount, index + 1));
    focusIn([...path, index]);
  };
  const offBefore = (count: number) =>
    off
      .map((rule, index) => ({ ...rule, index }))
      .filter((rule) => rule.before === count)
      .map(({ start, index, value: content }) => (
        <DisabledRule key={`off-${start}`} path={path} index={index} value={content} word={word} />
      ));
  return (
    <section className="form-section" aria-label={labelOf(name)} id={fieldId(path)}>
      <header className="form-section-head">
        <h3>{labelOf(name)}</h3>
        <span className="faint">
          {value === undefined ? "no list: nothing is said about this direction" : formatQuantity(items.length, word)}
          {off.length > 0 ? `, ${off.length} off` : ""}
        </span>
        <span className="editor-space" />
        {form.isLocked ? null : (
          <Button size="small" icon={<Plus size={13} aria-hidden="true" />} onPress={add}>
            Add {word}
          </Button>
        )}
      </header>
      <Problems problems={problems} reason={reason} />
      {value !== undefined && items.length === 0 ? (
        <p className="form-note">
          The list is empty{name === "tests" ? "." : ": nothing is allowed in this direction by it."}
        </p>
      ) : null}
      <ol className="form-rules">
        {items.slice(0, shownCount).map((item, index) => [
          ...offBefore(index),
          <RuleCard
            // biome-ignore lint/suspicious/noArrayIndexKey: rules have no name of their own; a place is what the text gives them.
            key={index}
            path={path}
            index={index}
            count={items.length}
            shape={shape.items as ObjectShape}
            value={item}
            word={word}
            isOpened={opened === index}
            onMove={move}
            onReason={setReason}
          />,
        ])}
        {items.length <= shownCount ? offBefore(items.length) : null}
      </ol>
      {items.length > shownCount ? (
        <Button size="small" onPress={() => setShownCount(shownCount + 100)}>
          Show 100 of {items.length - shownCount} more
        </Button>
      ) : null}
    </section>
  );
}
