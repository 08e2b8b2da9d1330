import { FileText } from "lucide-react";
import { Sheet } from "../../../../ui/index.ts";
import { SAMPLES } from "../model/samples.ts";
import { TEMPLATES, type Template } from "../model/templates.ts";
import "../templates.css";

interface TemplateSheetProps {
  readonly isOpen: boolean;
  readonly title: string;
  readonly onClose: () => void;
  /** The text of one or more documents. */
  readonly onChosen: (text: string, template: Template) => void;
}

/** What to begin with: small templates first, then the samples that come with Wardline. */
export function TemplateSheet({ isOpen, title, onClose, onChosen }: TemplateSheetProps) {
  return (
    <Sheet
      shape="dialog"
      isOpen={isOpen}
      onClose={onClose}
      title={title}
      subtitle={<p className="soft">It becomes a draft. Nothing is applied until you review it.</p>}
    >
      <Group title="Small beginnings" templates={TEMPLATES} onChosen={onChosen} />
      <Group title="Samples with comments" templates={SAMPLES} onChosen={onChosen} />
    </Sheet>
  );
}

function Group({
  title,
  templates,
  onChosen,
}: {
  title: string;
  templates: readonly Template[];
  onChosen: TemplateSheetProps["onChosen"];
}) {
  return (
    <section className="template-group" aria-label={title}>
      <h3>{title}</h3>
      <ul className="template-list">
        {templates.map((template) => (
          <li key={template.id}>
            <button type="button" className="template" onClick={() => onChosen(template.text, template)}>
              <FileText size={16} aria-hidden="true" />
              <span className="template-text">
                <strong>{template.title}</strong>
                <span className="soft">{template.detail}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
