import { useQuery } from "@connectrpc/connect-query";
import { skipToken } from "@tanstack/react-query";
import { ExplainBasis, type ExplainRequest, PolicyService } from "@wardline/api/wardline/console/v1/policies";
import { useState } from "react";
import { useWorkspaceStream } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, Select, Skeleton, TextField, visibleText } from "../../../ui/index.ts";
import { parseProtocolPort } from "../model/explain-input.ts";
import { Walkthrough } from "./walkthrough.tsx";

type Question = Pick<ExplainRequest, "from" | "to" | "protocol" | "port" | "basis">;

/** "May A talk to B on this port, and why": the same evaluator as the hosts and the command line. */
export function ExplainForm() {
  const files = useWorkspaceStream().value?.files ?? [];
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [port, setPort] = useState("443/tcp");
  const [basis, setBasis] = useState<"workspace" | "enforced">("workspace");
  const [question, setQuestion] = useState<Question | null>(null);
  const answer = useQuery(PolicyService.method.explain, question ?? skipToken, { staleTime: 0, gcTime: 0 });
  const parsed = parseProtocolPort(port);
  const isReady = from.trim() !== "" && to.trim() !== "" && parsed !== null;
  const ask = () => {
    if (!isReady || !parsed) return;
    const next = {
      from: from.trim(),
      to: to.trim(),
      ...parsed,
      basis: basis === "enforced" ? ExplainBasis.ENFORCED : ExplainBasis.WORKSPACE,
    };
    const isSame = JSON.stringify(next) === JSON.stringify(question);
    setQuestion(next);
    if (isSame) void answer.refetch();
  };
  const endpoints = files
    .flatMap((file) => file.documents)
    .filter((document) => document.kind === "Host" || document.kind === "Workload");
  return (
    <section className="explain" aria-labelledby="effect-explain">
      <h2 id="effect-explain">Would it pass?</h2>
      <datalist id="explain-endpoints">
        {endpoints.map((document) => (
          <option key={document.key} value={document.name} />
        ))}
      </datalist>
      <div className="explain-fields">
        <TextField
          label="From"
          placeholder="name or IP"
          list="explain-endpoints"
          value={from}
          onChange={setFrom}
          onSubmit={ask}
        />
        <TextField
          label="To"
          placeholder="name or IP"
          list="explain-endpoints"
          value={to}
          onChange={setTo}
          onSubmit={ask}
        />
        <TextField
          label="Port"
          isCode
          placeholder="443/tcp, icmp"
          value={port}
          onChange={setPort}
          onSubmit={ask}
          isInvalid={port !== "" && parsed === null}
        />
        <Select
          label="Asked of"
          value={basis}
          onChange={setBasis}
          choices={[
            { value: "workspace", label: "Draft", detail: "the files as they are here" },
            { value: "enforced", label: "Enforced", detail: "what this machine enforces now" },
          ]}
        />
      </div>
      {port !== "" && parsed === null ? (
        <p className="explain-hint">Write a port as 443/tcp, 53/udp, icmp or icmp/3/4.</p>
      ) : null}
      <Button isDisabled={!isReady} onPress={ask}>
        Explain
      </Button>
      {answer.isFetching ? <Skeleton rows={3} label="Walking through the policies" /> : null}
      {answer.error && !answer.isFetching ? (
        <FailureNotice isCompact failure={shownFailure(answer.error)} onRetry={ask} />
      ) : null}
      {answer.data?.evaluation && question && !answer.isFetching ? (
        <Walkthrough
          evaluation={answer.data.evaluation}
          title={`${visibleText(question.from)} (${visibleText(answer.data.fromAddress)}) → ${visibleText(question.to)} (${visibleText(answer.data.toAddress)})`}
          basis={question.basis === ExplainBasis.ENFORCED ? "asked of what is enforced now" : "asked of the draft"}
        />
      ) : null}
    </section>
  );
}
