import { isRefusal, type Refusal } from "../core/refusal.ts";
import { errorResponse, type RequestId, resultResponse } from "./json-rpc.ts";
import type { Performed } from "./performed.ts";
import { CURRENT, type Revision } from "./revisions.ts";

/** Writes responses as each revision has them. @param serverInfo as JSON. */
export function createResponseText(
  serverInfo: string,
): (of: { readonly id: RequestId; readonly revision: Revision }, result: Performed | Refusal) => string {
  const own = `"io.modelcontextprotocol/serverInfo":${serverInfo}`;
  const metaMember = `"_meta":{${own}}`;
  return ({ id, revision }, result) => {
    if (isRefusal(result)) return errorResponse(id, result, revision);
    const { resultType, members, meta: given } = result;
    if (revision !== CURRENT) {
      const meta = given === null ? "" : `${members === "" ? "" : ","}"_meta":{${given}}`;
      return resultResponse(id, `${members}${meta}`);
    }
    const meta = given === null ? metaMember : `"_meta":{${given},${own}}`;
    return resultResponse(id, `"resultType":"${resultType}",${members === "" ? "" : `${members},`}${meta}`);
  };
}
