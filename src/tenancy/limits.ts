/** A quota that a plan or a tenant names: so many units per period, or standing. */
export interface NamedQuota {
  readonly limit: number;
  readonly period: "minute" | "hour" | "day" | "month" | "standing";
}

/** Limits as they hold for a tenant: `null` is no limit. */
export interface Limits {
  /** Sustained operations per minute. */
  readonly requestsPerMinute: number | null;
  /** Operations that may come at once; null: as many as `rateWindowSeconds` of the sustained rate. */
  readonly burst: number | null;
  /** Seconds over which the sustained rate may be used at once where `burst` is null. */
  readonly rateWindowSeconds: number | null;
  readonly maxConcurrency: number | null;
  readonly callsPerMonth: number | null;
  readonly maxTools: number | null;
  readonly maxResources: number | null;
  /** Megabytes of 1,000,000 bytes. */
  readonly storageMb: number | null;
  readonly maxRequestBytes: number | null;
  readonly callTimeoutMs: number | null;
  readonly quotas: Readonly<Record<string, NamedQuota>>;
}

/** Limits as a plan or an override states them: what is absent comes from the plan, then from the default. */
export type PartialLimits = { readonly [K in keyof Limits]?: Limits[K] | undefined };

/** What holds where neither plan nor tenant says anything. */
export const DEFAULT_LIMITS: Limits = {
  requestsPerMinute: 1000,
  burst: null,
  rateWindowSeconds: 60,
  maxConcurrency: 64,
  callsPerMonth: null,
  maxTools: 100,
  maxResources: 1000,
  storageMb: 1024,
  maxRequestBytes: 1_048_576,
  callTimeoutMs: 30_000,
  quotas: {},
};

/** The limits that hold: the override where it speaks, else the plan, else the default. Named quotas merge by name. */
export function effectiveLimits(plan: PartialLimits, override: PartialLimits): Limits {
  const pick = <K extends keyof Limits>(key: K): Limits[K] => {
    const own = override[key];
    if (own !== undefined) return own as Limits[K];
    const planned = plan[key];
    return planned !== undefined ? (planned as Limits[K]) : DEFAULT_LIMITS[key];
  };
  return Object.freeze({
    requestsPerMinute: pick("requestsPerMinute"),
    burst: pick("burst"),
    rateWindowSeconds: pick("rateWindowSeconds"),
    maxConcurrency: pick("maxConcurrency"),
    callsPerMonth: pick("callsPerMonth"),
    maxTools: pick("maxTools"),
    maxResources: pick("maxResources"),
    storageMb: pick("storageMb"),
    maxRequestBytes: pick("maxRequestBytes"),
    callTimeoutMs: pick("callTimeoutMs"),
    quotas: Object.freeze({ ...plan.quotas, ...override.quotas }),
  });
}
