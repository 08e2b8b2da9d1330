/** A question in its one canonical wording, which reads back as the same question. */
import type { AskPorts, AskSubject, Question } from "./question.ts";

export function formatQuestion(question: Question): string {
  switch (question.kind) {
    case "can-reach":
      return `can ${name(question.from)} reach ${name(question.to)}${on(question.ports)}?`;
    case "who-can-reach":
      return `who can reach ${name(question.to)}${on(question.ports)}?`;
    case "what-can-reach":
      return `what can ${name(question.from)} reach${on(question.ports)}?`;
    case "why":
      return question.verdict === "allow"
        ? `which rule lets ${name(question.from)} reach ${name(question.to)}${on(question.ports)}?`
        : `which rule stops ${name(question.from)} from ${name(question.to)}${on(question.ports)}?`;
    case "why-flow":
      return `why was flow ${question.flowId} decided?`;
    case "changed":
      return formatChanged(question);
    case "no-policy":
      return `what has no ${question.direction === null ? "" : `${question.direction} `}policy?`;
    case "selected-by":
      return `which policies select ${name(question.subject)}?`;
    case "never-hit":
      return "which rules were never hit?";
    case "uses-port":
      return `who uses ${question.ports.text}?`;
  }
}

function formatChanged({ span, side, about }: Extract<Question, { kind: "changed" }>): string {
  const verb = side === "opened" ? "open" : side === "closed" ? "close" : "change";
  const what =
    span.kind === "draft"
      ? "would the draft"
      : span.kind === "version"
        ? `did version ${span.number}`
        : "did the last change";
  return `what ${what} ${verb}${about === null ? "" : ` for ${name(about)}`}?`;
}

const name = ({ text }: AskSubject): string => text;
const on = (ports: AskPorts | null): string => (ports === null ? "" : ` on ${ports.text}`);
