import { adoptSdkServer } from "bulkhead-mcp";
import { tenants } from "../demonstration.ts";
import { buildServer } from "./build-server.ts";

export default await adoptSdkServer(buildServer, {
  requires: { deploy: "deploys:write" },
  development: { plans: { standard: {} }, tenants },
});
