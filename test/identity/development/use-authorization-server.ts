import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type RunningAuthorizationServer, startAuthorizationServer } from "./running-authorization-server.ts";

/** One authorization server for all tests of a file; after each, nothing must have broken or been written to the console. */
export function useAuthorizationServer(): () => RunningAuthorizationServer {
  let server: RunningAuthorizationServer;
  beforeAll(async () => {
    server = await startAuthorizationServer();
  });
  afterEach(() => {
    expect(server.console).toEqual([]);
    expect(server.faults).toEqual([]);
  });
  afterAll(() => server.close());
  return () => server;
}
