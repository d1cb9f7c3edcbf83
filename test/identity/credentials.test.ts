import { expect, test } from "vitest";
import { readBearer } from "../../src/identity/credentials.ts";

const read = (...values: string[]) =>
  readBearer(["Host", "x", ...values.flatMap((value) => ["Authorization", value])], "/mcp");

test("one bearer token is read, whatever the case of header name and scheme", () => {
  expect(read("Bearer abc.DEF-1_2~+/==")).toEqual({ kind: "bearer", token: "abc.DEF-1_2~+/==" });
  expect(readBearer(["aUTHORIZATION", "bEARER t"], "/t/acme/mcp?x=1")).toEqual({
    kind: "bearer",
    token: "t",
  });
  expect(read("Bearer   t")).toMatchObject({ token: "t" });
});

test("a token of exactly 16 KB is read and a longer one is malformed", () => {
  expect(read(`Bearer ${"a".repeat(16_384)}`)).toMatchObject({ kind: "bearer" });
  expect(read(`Bearer ${"a".repeat(16_385)}`)).toMatchObject({ code: "credentials_malformed" });
});

test("no Authorization header: credentials are missing, and no value of another header counts as its name", () => {
  expect(readBearer([], "/mcp")).toMatchObject({ kind: "refusal", code: "credentials_missing" });
  expect(readBearer(["x-a", "authorization", "Bearer t", "y"], "/mcp")).toMatchObject({
    code: "credentials_missing",
  });
});

test.each([
  ["two headers", ["Bearer a", "Bearer a"]],
  ["Basic", ["Basic dTpw"]],
  ["DPoP", ["DPoP abc"]],
  ["no token", ["Bearer"]],
  ["an empty token", ["Bearer "]],
  ["an empty header", [""]],
  ["a space inside", ["Bearer a b"]],
  ["a tab inside", ["Bearer a\tb"]],
  ["a tab after the scheme", ["Bearer\ta"]],
  ["two tokens with a comma", ["Bearer a, Bearer b"]],
  ["a quote", ['Bearer "a"']],
  ["padding inside", ["Bearer a=b"]],
  ["the scheme glued to the token", ["Bearerabc"]],
  ["a bare token", ["abc.def.ghi"]],
  ["a non-ASCII letter", ["Bearer ab\u00e9"]],
])("malformed: %s", (_name, values) => {
  expect(read(...values)).toMatchObject({ kind: "refusal", code: "credentials_malformed" });
});

test.each(["/mcp?access_token=t", "/mcp?a=1&access_token", "/mcp?acc%65ss_token=t", "/mcp?access_token=t#x"])(
  "a token in the query is malformed, with and without a header: %s",
  (url) => {
    expect(readBearer([], url)).toMatchObject({ code: "credentials_malformed" });
    expect(readBearer(["Authorization", "Bearer t"], url)).toMatchObject({ code: "credentials_malformed" });
  },
);

test("no refusal repeats the credentials", () => {
  const secret = "s3cr3t-s3cr3t";
  for (const refusal of [
    read(`Basic ${secret}`),
    read(`Bearer ${secret} x`),
    readBearer([], `/?access_token=${secret}`),
  ]) {
    expect(JSON.stringify(refusal)).not.toContain(secret);
  }
});
