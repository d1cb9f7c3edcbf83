import { adoptSdkServer } from "bulkhead-mcp";
import { tenants } from "../demonstration.ts";
import { buildServer } from "./build-server.ts";

export default await adoptSdkServer(buildServer, {
  requires: { "add-note": "notes:write", "delete-note": "notes:write" },
  development: { plans: { standard: {} }, tenants },
});
