import { type Diagnostic, Severity } from "@wardline/api/wardline/v1/error";
import { CircleX, Info, TriangleAlert } from "lucide-react";
import { useWindow } from "../../../data/window-store.ts";
import { Button, visibleText } from "../../../ui/index.ts";
import "./effect-panel.css";

const SEVERITY_ICONS: Record<Severity, React.ReactNode> = {
  [Severity.UNSPECIFIED]: <Info size={14} aria-label="Note" />,
  [Severity.ERROR]: <CircleX size={14} aria-label="Error" />,
  [Severity.WARNING]: <TriangleAlert size={14} aria-label="Warning" />,
  [Severity.INFO]: <Info size={14} aria-label="Note" />,
};
const SEVERITY_TONES = {
  [Severity.UNSPECIFIED]: "info",
  [Severity.ERROR]: "deny",
  [Severity.WARNING]: "observed",
  [Severity.INFO]: "info",
} as const;

interface ProblemProps {
  readonly diagnostic: Diagnostic;
  readonly isElsewhere?: boolean;
  readonly onFix?: (diagnostic: Diagnostic) => void;
}

export function Problem({ diagnostic, isElsewhere, onFix }: ProblemProps) {
  const openFile = useWindow((state) => state.openFile);
  const { source, fix } = diagnostic;
  return (
    <li className="problem" data-tone={SEVERITY_TONES[diagnostic.severity]}>
      {SEVERITY_ICONS[diagnostic.severity]}
      <div className="problem-text wrap-anywhere">
        <p>{visibleText(diagnostic.message)}</p>
        <p className="problem-place">
          <code className="faint">{visibleText(diagnostic.code)}</code>
          {source ? (
            <button type="button" className="link" onClick={() => openFile(source.file, source.line, source.column)}>
              {isElsewhere ? `${visibleText(source.file)} ` : ""}line {source.line}
            </button>
          ) : null}
          {fix && onFix ? (
            <Button size="small" onPress={() => onFix(diagnostic)}>
              {visibleText(fix.title)}
            </Button>
          ) : null}
        </p>
      </div>
    </li>
  );
}
