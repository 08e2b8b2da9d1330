import { isMapping, readValue, type YamlValue } from "@wardline/domain/policy/edit";
import type { Field } from "@wardline/domain/policy/formats/schema";
import { shortKey, visibleText } from "../../../../ui/index.ts";
import { fieldId, useForm } from "../model/form-context.ts";
import type { DocumentHead } from "../model/kinds.ts";
import { isSelector, labelOf } from "../model/words.ts";
import { FieldInput } from "./field.tsx";
import { InText } from "./in-text.tsx";
import { ObjectFields } from "./object-fields.tsx";
import { RuleList } from "./rule-list.tsx";

const RULES = new Set(["ingress", "egress", "tests"]);
const MOST_NAMED = 12;

/** All fields of one document: what it is, whom it is about, and its rules. */
export function DocumentCard({ head }: { head: DocumentHead }) {
  const { part } = useForm();
  const value: YamlValue = part.root ? readValue(part.root) : null;
  const document = isMapping(value) ? value : {};
  if (!head.schema) return <ReadOnlyDocument head={head} text={part.text} />;
  const { metadata, spec } = head.schema;
  const specFields: Readonly<Record<string, Field>> = spec?.shape.fields ?? {};
  const order = Object.keys(specFields);
  const content = document.spec !== undefined && isMapping(document.spec) ? document.spec : {};
  const apart = order.filter((name) => RULES.has(name) || isSubject(name));
  const subject = order.find(isSubject);
  return (
    <>
      <section className="form-section" aria-label="About">
        <ObjectFields path={["metadata"]} shape={metadata} value={document.metadata} />
        {spec ? <ObjectFields path={["spec"]} shape={spec.shape} value={document.spec} without={apart} /> : null}
      </section>
      {subject ? (
        <section className="form-section" aria-label="About whom" id={fieldId(["spec", subject, "section"])}>
          <header className="form-section-head">
            <h3>About whom</h3>
          </header>
          <Subject name={subject} field={specFields[subject]!} value={content[subject]} order={order} />
          <Selected />
        </section>
      ) : null}
      {order
        .filter((name) => RULES.has(name))
        .map((name) => (
          <RuleList
            key={name}
            path={["spec", name]}
            name={name}
            field={specFields[name]!}
            value={content[name]}
            order={order}
          />
        ))}
    </>
  );
}

function isSubject(name: string): boolean {
  return name === "subject" || name === "podSelector";
}

interface SubjectProps {
  readonly name: string;
  readonly field: Field;
  readonly value: YamlValue | undefined;
  readonly order: readonly string[];
}

function Subject({ name, field, value, order }: SubjectProps) {
  if (isSelector(field.shape)) {
    return <FieldInput path={["spec", name]} name={name} field={field} value={value} order={order} />;
  }
  if (field.shape.type !== "object") return null;
  return <ObjectFields path={["spec", name]} shape={field.shape} value={value} />;
}

/** Whom the check found for these labels, a moment after the last key. */
function Selected() {
  const { subjects } = useForm();
  if (subjects === null)
    return <p className="form-selected faint">Who that is now: not known until the text is checked.</p>;
  if (subjects.length === 0) {
    return (
      <p className="form-selected" data-tone="observed">
        Nobody now: no host or workload has these labels.
      </p>
    );
  }
  const named = subjects.slice(0, MOST_NAMED).map((key) => visibleText(shortKey(key)));
  return (
    <p className="form-selected">
      Now {subjects.length}: {named.join(", ")}
      {subjects.length > MOST_NAMED ? ` and ${subjects.length - MOST_NAMED} more` : ""}
    </p>
  );
}

function ReadOnlyDocument({ head, text }: { head: DocumentHead; text: string }) {
  return (
    <section className="form-section" aria-label={labelOf("document")}>
      <p className="form-note">
        {head.kind === ""
          ? "This document does not say what it is (apiVersion and kind), so the form has no fields for it."
          : `The form has no fields for ${visibleText(head.kind)} of ${visibleText(head.apiVersion)}.`}{" "}
        It stays as it is here. <InText path={[]} />
      </p>
      <pre className="form-text code">{visibleText(text.slice(0, 900))}</pre>
    </section>
  );
}
