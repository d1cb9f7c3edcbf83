import { InvalidArgumentError } from "commander";

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** Reads `90s`, `5m`, `8h` or `90d` as seconds, and refuses more than `most`, which is written alike. */
export function durationUpTo(most: string): (text: string) => number {
  const limit = seconds(most);
  return (text) => {
    const given = seconds(text);
    if (given > limit) throw new InvalidArgumentError(`It may be at most ${most}.`);
    return given;
  };
}

function seconds(text: string): number {
  const [, amount, unit] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined)
    throw new InvalidArgumentError("A duration is a number and s, m, h or d, for example 5m.");
  return Number(amount) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS];
}
