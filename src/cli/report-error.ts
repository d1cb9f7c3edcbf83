import { CommanderError } from "commander";
import { errorRow } from "../core/error-table.ts";
import { Fault } from "../core/fault.ts";

/** An error as the command line shows it. */
export interface ReportedError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** What to show of anything that was thrown. */
export function toReport(error: unknown): ReportedError {
  if (error instanceof Fault) return { code: error.code, message: error.message, remedy: error.remedy };
  if (error instanceof CommanderError) {
    // Its own word for "no command, or an unknown one after `help`" is "(outputHelp)".
    const message =
      error.code === "commander.help" ? "Which command?" : error.message.replace(/^error: /, "");
    return { code: "usage", message, remedy: errorRow("usage").remedy };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: "internal",
    message,
    remedy: "This should not happen: please report it with the text above.",
  };
}

/** Writes an error to standard error, for people or as a line of JSON. Gives the exit status. */
export function reportError(error: unknown, json: boolean): number {
  const report = toReport(error);
  printReport(report, json);
  return report.code === "usage" ? 2 : 1;
}

export function printReport(report: ReportedError, json: boolean): void {
  process.stderr.write(
    json
      ? `${JSON.stringify({ event: "error", ...report })}\n`
      : `bulkhead: ${report.message}\n  code:   ${report.code}\n  remedy: ${report.remedy}\n`,
  );
}

/** Writes what is no error to standard error, so that standard output has nothing but what was asked for. */
export function printNotice(text: string, json: boolean): void {
  process.stderr.write(
    json ? `${JSON.stringify({ event: "notice", message: text })}\n` : `bulkhead: ${text}\n`,
  );
}
