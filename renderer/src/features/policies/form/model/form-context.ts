import type { FormEdit, FormPart, ValuePath } from "@wardline/domain/policy/edit";
import type { Field } from "@wardline/domain/policy/formats/schema";
import { createContext, useContext, useState } from "react";
import { type FieldProblem, isBelow } from "./problems.ts";

/** Words that the file uses already, for places that are not in the text yet. */
export interface FormWords {
  /** Names of labels, with their values. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
  /** Numbers and names of ports, with what they are. */
  readonly ports: readonly Offer[];
}

export interface Offer {
  readonly value: string;
  readonly detail: string;
}

export interface FormScope {
  readonly part: FormPart;
  /** Nothing can be changed: the text is broken, or the document is of a kind that only the text edits. */
  readonly isLocked: boolean;
  readonly words: FormWords;
  readonly problems: readonly FieldProblem[];
  /** The reason when the edits cannot be made. */
  readonly apply: (edits: readonly FormEdit[]) => string | null;
  /** The focus is in the field at the path: its help is shown, and the cursor of the text goes there. */
  readonly enter: (path: ValuePath, label: string, field: Field | null) => void;
  /** What the completion of the text would offer for the value, or the name, at the path; empty when it is not there. */
  readonly offer: (path: ValuePath, what: "value" | "name") => Promise<readonly Offer[]>;
  /** Opens the text beside the form, with the cursor at the path; `null` = where the cursor is. */
  readonly showText: (path: ValuePath | null) => void;
  /** Where the cursor of the text is. */
  readonly current: string | null;
  readonly say: (message: string) => void;
  /** Whom the policy is about, as the check has it; `null` while that is not known. */
  readonly subjects: readonly string[] | null;
}

export const FormContext = createContext<FormScope | null>(null);

export function useForm(): FormScope {
  const scope = useContext(FormContext);
  if (!scope) throw new Error("A field of the form stands outside of a form.");
  return scope;
}

export function pathKey(path: ValuePath): string {
  return path.map(String).join("\u0000");
}

/** The id of a field in the page, for labels and for the way from the text. */
export function fieldId(path: ValuePath): string {
  return `form-${path.map((step) => encodeURIComponent(String(step))).join(".")}`;
}

export function useProblems(path: ValuePath, isDeep: boolean): readonly FieldProblem[] {
  const { problems } = useForm();
  return problems.filter((problem) =>
    isDeep ? isBelow(problem.path, path) : problem.path.length === path.length && isBelow(problem.path, path),
  );
}

/** What is offered in a field: asked for when the focus comes, with the given words until then. */
export function useOffer(path: ValuePath, what: "value" | "name", words: readonly Offer[]) {
  const { offer } = useForm();
  const [found, setFound] = useState<readonly Offer[]>([]);
  return {
    offered: found.length > 0 ? found : words,
    ask: () => void offer(path, what).then(setFound),
  };
}

/** Puts the focus into what was just added, once it is drawn. */
export function focusIn(path: ValuePath): void {
  requestAnimationFrame(() => {
    const added = document.getElementById(`${fieldId(path)}-item`);
    added
      ?.querySelector<HTMLElement>(
        ":is(.form-rule-body, .form-item-body) :is(input:not([type=hidden], [tabindex='-1']), .select-button)",
      )
      ?.focus();
  });
}
