import type { Figure } from "./figure.ts";
import { devStart } from "./figures/dev-start.ts";
import { openStreams } from "./figures/open-streams.ts";
import { tenantRead } from "./figures/tenant-read.ts";
import { tokenVerification } from "./figures/token-verification.ts";
import { toolCall } from "./figures/tool-call.ts";
import { toolList } from "./figures/tool-list.ts";

/** Every figure that is measured, in the order of the page. A new one is a file in `figures/` and a name here. */
export const FIGURES: readonly Figure[] = [
  toolCall,
  toolList,
  tenantRead,
  devStart,
  tokenVerification,
  openStreams,
];

/** Figures of the plan that nothing measures yet. */
export const UNMEASURED = ["P3", "P5", "P6", "P7", "P8", "P10"] as const;
