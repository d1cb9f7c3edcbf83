import type { IssuerId } from "../core/ids.ts";

/** Questions to one registration's endpoint at once: anybody can send tokens to ask about. */
const PLACES = 20;
/**
 * Places left for those who have few when an address has many: an address may have more than {@link FEW} only while more
 * than these are free. Behind a proxy all callers have one address, so half of the places stay open to a single one.
 */
const KEPT_FREE = 10;
const FEW = 4;

/** Who may ask an issuer now. */
export interface QuestionPlaces {
  /**
   * Takes a place, which is given back by calling the answer.
   *
   * @returns `full` where others have the places, `too_many` where this address has so many that others need the rest.
   */
  take(registration: IssuerId, address: string): (() => void) | "full" | "too_many";
}

/** Keeps a count of what is under way, so each is at most {@link PLACES} and ends with the questions. */
export function createQuestionPlaces(): QuestionPlaces {
  const taken = new Map<IssuerId, Map<string, number>>();

  function give(registration: IssuerId, address: string): void {
    const addresses = taken.get(registration);
    const left = (addresses?.get(address) ?? 1) - 1;
    if (left > 0) addresses?.set(address, left);
    else addresses?.delete(address);
    if (addresses?.size === 0) taken.delete(registration);
  }

  return {
    take(registration, address) {
      const addresses = taken.get(registration) ?? new Map<string, number>();
      const own = addresses.get(address) ?? 0;
      let free = PLACES;
      for (const count of addresses.values()) free -= count;
      if (own >= FEW && free <= KEPT_FREE) return "too_many";
      if (free <= 0) return "full";
      taken.set(registration, addresses.set(address, own + 1));
      return () => give(registration, address);
    },
  };
}
