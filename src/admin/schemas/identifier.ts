import { z } from "@hono/zod-openapi";

/** As tokens are held to it: what no token can carry need not be kept. */
const MAX_LENGTH = 255;
const MAX_ISSUER_LENGTH = 500;

/** Said again for the document: the generator would write an expression's flag into the pattern. */
const CLEAN = "^[^\\p{Cc}\\p{Cs}]+$";

/** A claim's value, or its name: text that can be stored, logged and compared. Compared as it is, spaces included. */
export const identifier = z
  .string()
  .max(MAX_LENGTH)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, "Must be text without control characters and half characters")
  .openapi({ pattern: CLEAN });

/** Name of a claim. */
export const claimName = identifier.refine(
  (name) => name !== "__proto__",
  "Must not be __proto__, which no object has as a member of its own",
);

/**
 * The `iss` of tokens. It begins as a URL does and is ASCII: then a letter that looks like another, or a space that cannot
 * be seen, is a mistake that is told.
 */
export const issuerName = z
  .string()
  .max(MAX_ISSUER_LENGTH)
  .regex(/^https?:\/\/[\x21-\x7e]+$/, "Must be a URL of visible ASCII characters")
  .openapi({ description: "The iss of its tokens, exactly.", example: "https://acme.example.com/" });
