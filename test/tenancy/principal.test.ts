import { expect, test } from "vitest";
import { principalKey } from "../../src/tenancy/principal.ts";

const USER = { kind: "user", issuer: "https://idp.example", subject: "ann", clientId: "app" } as const;

test("the key of a caller is the SHA-256 of kind, issuer, subject and client", () => {
  expect(principalKey(USER)).toBe("QdoabQNbN8z63NOzuBvmP5elaUaqdC06J4l8jnfK2RI=");
  expect(principalKey({ ...USER })).toBe(principalKey(USER));
});

test("callers that differ in one of them, or in where one ends and the next begins, share no key", () => {
  const callers = [
    USER,
    { ...USER, kind: "client" as const },
    { ...USER, issuer: "https://idp.example/" },
    { ...USER, issuer: null },
    { ...USER, issuer: "null" },
    { ...USER, subject: "anna" },
    { ...USER, clientId: null },
    { ...USER, clientId: "null" },
    { ...USER, subject: 'ann","app', clientId: null },
    { ...USER, issuer: "https://idp.example,ann", subject: "" },
    { ...USER, subject: "annapp", clientId: "" },
    // Half a surrogate pair each: encoded as they are, both would become the same replacement character.
    { ...USER, subject: "\ud800" },
    { ...USER, subject: "\ud801" },
  ];
  expect(new Set(callers.map(principalKey)).size).toBe(callers.length);
});
