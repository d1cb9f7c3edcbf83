import { Fault } from "../core/fault.ts";
import type { Row, SqlJson, SqlStatement, SqlValue, TenantSql } from "../tenancy/tenant-context.ts";

/** A statement as it is sent: text with `$1 …` and the values for them. */
export interface BoundStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Runs a bound statement and gives its rows. */
export type RunStatement = (statement: BoundStatement) => Promise<Row[]>;

/** Builds the callable part of {@link TenantSql} over whatever runs its statements. */
export function createSqlTemplate(
  run: RunStatement,
  transaction: <R>(work: (sql: TenantSql) => Promise<R>) => Promise<R>,
): TenantSql {
  const template = <T extends Row>(strings: TemplateStringsArray, ...values: (SqlValue | SqlStatement)[]) =>
    new Statement<T>(strings, values, run);
  const unsafe = <T extends Row>(text: string, values: readonly SqlValue[] = []) =>
    new Statement<T>(text, values, run);
  return Object.freeze(Object.assign(template, { unsafe, json, transaction }));
}

function json(value: unknown): SqlJson {
  const text = JSON.stringify(value);
  if (text === undefined)
    throw new Fault("sql_refused", { detail: "sql.json was given something that JSON cannot express." });
  return { kind: "json", text };
}

/** Runs once, when it is first awaited; placed into another template it becomes a part of that one and never runs. */
class Statement<T extends Row> implements SqlStatement<T> {
  readonly kind = "sql";
  readonly #parts: TemplateStringsArray | string;
  readonly #values: readonly (SqlValue | SqlStatement)[];
  readonly #run: RunStatement;
  #result: Promise<T[]> | undefined;

  constructor(
    parts: TemplateStringsArray | string,
    values: readonly (SqlValue | SqlStatement)[],
    run: RunStatement,
  ) {
    this.#parts = parts;
    this.#values = values;
    this.#run = run;
  }

  // biome-ignore lint/suspicious/noThenProperty: a statement is awaited, and so must be a thenable that has not started yet.
  then<A = T[], B = never>(
    onFulfilled?: ((rows: T[]) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    this.#result ??= this.#start();
    return this.#result.then(onFulfilled, onRejected);
  }

  async #start(): Promise<T[]> {
    const values: unknown[] = [];
    const text = this.bind(values);
    return (await this.#run({ text, values })) as T[];
  }

  /** Appends this statement's values and gives its text with placeholders numbered after those already there. */
  bind(values: unknown[]): string {
    if (typeof this.#parts === "string") {
      if (values.length > 0 && this.#values.length > 0) {
        throw new Fault("sql_refused", {
          detail: "sql.unsafe with values cannot be a part of another statement.",
        });
      }
      values.push(...this.#values.map(toParameter));
      return this.#parts;
    }
    let text = this.#parts[0] ?? "";
    for (const [index, value] of this.#values.entries()) {
      if (value instanceof Statement) {
        text += value.bind(values);
      } else {
        values.push(toParameter(value));
        text += `$${values.length}`;
      }
      text += this.#parts[index + 1] ?? "";
    }
    return text;
  }
}

function toParameter(value: SqlValue | SqlStatement): unknown {
  if (value === undefined)
    throw new Fault("sql_refused", { detail: "A placed value is undefined; write null for SQL's NULL." });
  if (typeof value === "object" && value !== null && "kind" in value) {
    if (value.kind === "json") return value.text;
    throw new Fault("sql_refused", {
      detail: "A statement of another connection cannot be a part of this one.",
    });
  }
  return value;
}
