import { InvalidArgumentError } from "commander";

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/**
 * `90s`, `5m`, `8h`, `90d` in seconds.
 * @throws InvalidArgumentError for anything else.
 */
export function duration(text: string): number {
  const [, amount, unit] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined)
    throw new InvalidArgumentError("A duration is a number and s, m, h or d, for example 5m.");
  return Number(amount) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS];
}
