import type { ValuePath } from "@wardline/domain/policy/edit";
import { useForm } from "../model/form-context.ts";

/** The way to what only the text can change: it is opened beside the form, at that place; `null` = where its cursor is. */
export function InText({ path }: { path: ValuePath | null }) {
  const { showText } = useForm();
  return (
    <button type="button" className="link" onClick={() => showText(path)}>
      Show it in the text
    </button>
  );
}
