import { expect, test } from "vitest";
import { readCredentials } from "../../src/identity/credentials.ts";

const read = (...values: string[]) =>
  readCredentials(["Host", "x", ...values.flatMap((value) => ["Authorization", value])], "/mcp");
const ID = "01j8zq5x3vwq7k2m4n6p8r9sab";
const SECRET = "A".repeat(43);

test("one bearer token is read, whatever the case of header name and scheme", () => {
  expect(read("Bearer abc.DEF-1_2~+/.x==")).toEqual({
    kind: "token",
    scheme: "Bearer",
    form: "jwt",
    token: "abc.DEF-1_2~+/.x==",
    proofs: [],
  });
  expect(readCredentials(["aUTHORIZATION", "bEARER t"], "/t/acme/mcp?x=1")).toMatchObject({ token: "t" });
  expect(read("Bearer   t")).toMatchObject({ token: "t" });
});

test("a token under DPoP comes with the values of all DPoP headers, in order", () => {
  const headers = ["dPoP", "p1", "Authorization", "dpop a.b.c", "DPOP", "p2", "x-dpop", "p3"];
  expect(readCredentials(headers, "/mcp")).toEqual({
    kind: "token",
    scheme: "DPoP",
    form: "jwt",
    token: "a.b.c",
    proofs: ["p1", "p2"],
  });
  expect(read("DPoP abc")).toMatchObject({ scheme: "DPoP", form: "opaque", proofs: [] });
});

test("a proof beside a bearer token changes nothing about it", () => {
  expect(readCredentials(["DPoP", "p", "Authorization", "Bearer a.b.c"], "/mcp")).toMatchObject({
    kind: "token",
    scheme: "Bearer",
    token: "a.b.c",
  });
});

test("exactly two dots make a JWT, anything else is opaque", () => {
  for (const token of ["a.b.c", "..", ".b."]) expect(read(`Bearer ${token}`)).toMatchObject({ form: "jwt" });
  for (const token of ["a", "a.b", ".", "a.b.c.d", "....", "a.b.c.d.e"]) {
    expect(read(`Bearer ${token}`)).toMatchObject({ form: "opaque" });
  }
});

test("an API key is read as its id and its secret", () => {
  expect(read(`Bearer bk_${ID}_${SECRET}`)).toEqual({ kind: "key", id: `key_${ID}`, secret: SECRET });
  expect(read(`Bearer bk_${ID}_-_${"z".repeat(41)}`)).toMatchObject({ secret: `-_${"z".repeat(41)}` });
});

test.each([
  ["the prefix alone", "bk_"],
  ["no secret", `bk_${ID}_`],
  ["a short secret", `bk_${ID}_${SECRET.slice(1)}`],
  ["a long secret", `bk_${ID}_${SECRET}A`],
  ["a padded secret", `bk_${ID}_${SECRET}=`],
  ["a secret of the other alphabet", `bk_${ID}_+${SECRET.slice(1)}`],
  ["a short id", `bk_${ID.slice(1)}_${SECRET}`],
  ["an id in capitals", `bk_${ID.toUpperCase()}_${SECRET}`],
  ["an id with a letter that ids do not have", `bk_u${ID.slice(1)}_${SECRET}`],
  ["an id with its own prefix", `bk_key_${ID}_${SECRET}`],
  ["another separator", `bk_${ID}.${SECRET}`],
  ["something before a JWT", "bk_.a.b"],
])("what begins like an API key and is none is no token either: %s", (_name, text) => {
  expect(read(`Bearer ${text}`)).toMatchObject({ kind: "refusal", code: "token_invalid" });
});

test("an API key is not taken under DPoP, which it could not be bound by", () => {
  expect(read(`DPoP bk_${ID}_${SECRET}`)).toMatchObject({ code: "token_invalid" });
});

test("a token of exactly 16 KB is read and a longer one is malformed", () => {
  for (const scheme of ["Bearer", "DPoP"]) {
    expect(read(`${scheme} ${"a".repeat(16_384)}`)).toMatchObject({ kind: "token" });
    expect(read(`${scheme} ${"a".repeat(16_385)}`)).toMatchObject({ code: "credentials_malformed" });
  }
});

test("no Authorization header: credentials are missing, and no value of another header counts as its name", () => {
  expect(readCredentials([], "/mcp")).toMatchObject({ kind: "refusal", code: "credentials_missing" });
  expect(readCredentials(["x-a", "authorization", "Bearer t", "y"], "/mcp")).toMatchObject({
    code: "credentials_missing",
  });
  expect(readCredentials(["DPoP", "proof"], "/mcp")).toMatchObject({ code: "credentials_missing" });
});

test.each([
  ["two headers", ["Bearer a", "Bearer a"]],
  ["two headers of two schemes", ["Bearer a", "DPoP a"]],
  ["Basic", ["Basic dTpw"]],
  ["an unknown scheme", ["Token abc"]],
  ["no token", ["Bearer"]],
  ["no token under DPoP", ["DPoP"]],
  ["an empty token", ["Bearer "]],
  ["an empty header", [""]],
  ["a space inside", ["Bearer a b"]],
  ["a tab inside", ["Bearer a\tb"]],
  ["a tab after the scheme", ["Bearer\ta"]],
  ["two tokens with a comma", ["Bearer a, Bearer b"]],
  ["two schemes with a comma", ["DPoP a, Bearer a"]],
  ["a quote", ['Bearer "a"']],
  ["padding inside", ["Bearer a=b"]],
  ["the scheme glued to the token", ["Bearerabc"]],
  ["a bare token", ["abc.def.ghi"]],
  ["a bare API key", [`bk_${ID}_${SECRET}`]],
  ["a non-ASCII letter", ["Bearer ab\u00e9"]],
])("malformed: %s", (_name, values) => {
  expect(read(...values)).toMatchObject({ kind: "refusal", code: "credentials_malformed" });
});

test.each(["/mcp?access_token=t", "/mcp?a=1&access_token", "/mcp?acc%65ss_token=t", "/mcp?access_token=t#x"])(
  "a token in the query is malformed, with and without a header: %s",
  (url) => {
    expect(readCredentials([], url)).toMatchObject({ code: "credentials_malformed" });
    expect(readCredentials(["Authorization", "Bearer t"], url)).toMatchObject({
      code: "credentials_malformed",
    });
  },
);

test("no refusal repeats the credentials", () => {
  const secret = "s3cr3t-s3cr3t";
  for (const refusal of [
    read(`Basic ${secret}`),
    read(`Bearer ${secret} x`),
    read(`Bearer bk_${secret}`),
    readCredentials([], `/?access_token=${secret}`),
  ]) {
    expect(refusal).toMatchObject({ kind: "refusal" });
    expect(JSON.stringify(refusal)).not.toContain(secret);
  }
});
