/** The one place where a failure becomes words and an exit code. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "./exit-code.ts";
import type { Format } from "./output.ts";
import { countDiagnostics } from "./terminal/diagnostics.ts";
import { createStyle, wantsColor } from "./terminal/style.ts";
import { visible } from "./terminal/visible.ts";

/** In JSON format the error goes to standard error as one line `{"error":{…}}`. */
export function reportFailure(error: unknown, format: Format): ExitCode {
  if (error instanceof Failure) {
    const { code, message, hint, retryable, host, diagnostics } = error;
    write(format, { code: ErrorCode[code] ?? "INTERNAL", message, hint, host, retryable });
    if (format === "text" && diagnostics.length > 0) process.stderr.write(`  ${countDiagnostics(diagnostics)}\n`);
    return exitCodeOf(code);
  }
  if (error instanceof UsageError) {
    const { message, hint } = error;
    write(format, { code: "WRONG_USAGE", message, hint, host: "", retryable: false });
    return EXIT.wrongUsage;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  write(format, {
    code: "INTERNAL",
    message: `This is a defect in wardline: ${text}`,
    hint: "Please report it.",
    host: "",
    retryable: false,
  });
  return EXIT.problems;
}

interface ReportedError {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly host: string;
  readonly retryable: boolean;
}

function write(format: Format, error: ReportedError): void {
  if (format === "json") {
    process.stderr.write(`${JSON.stringify({ error })}\n`);
    return;
  }
  const style = createStyle(wantsColor(process.stderr));
  const message = error.message.split("\n").map(visible).join("\n");
  process.stderr.write(`${style.red("error:")} ${message}\n`);
  if (error.hint) process.stderr.write(`  ${visible(error.hint)}\n`);
  // To search for; a wrong command line has said already what is wrong with it.
  if (error.code !== "WRONG_USAGE") process.stderr.write(`  ${style.dim(error.code)}\n`);
}
