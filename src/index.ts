export type { BulkheadOptions, LogDestination } from "./bulkhead-options.ts";
export {
  CallerError,
  type ContentBlock,
  type DemonstrationTenant,
  type DevelopmentDefinition,
  definePrompt,
  defineResource,
  defineServer,
  defineTool,
  type JsonSchema,
  type PermissionsDefinition,
  type PromptArgument,
  type PromptDefinition,
  type PromptMessage,
  type ResourceContents,
  type ResourceDefinition,
  type ResourceReturn,
  type SchemaLike,
  type ServerDefinition,
  type ToolAnnotations,
  type ToolDefinition,
  type ToolResult,
  type ToolReturn,
} from "./catalog/define.ts";
export type { Clock } from "./core/clock.ts";
export { ERROR_TABLE, type ErrorCode, type ErrorRow } from "./core/error-table.ts";
export { Fault } from "./core/fault.ts";
export type { OperationId, Slug, TenantId } from "./core/ids.ts";
export { type Bulkhead, createBulkhead } from "./server.ts";
export type { Limits, NamedQuota, PartialLimits } from "./tenancy/limits.ts";
export type { Principal } from "./tenancy/principal.ts";
export {
  currentTenant,
  type Row,
  type SqlJson,
  type SqlStatement,
  type SqlValue,
  type Tenant,
  type TenantContext,
  type TenantLog,
  type TenantSql,
  type TenantStore,
} from "./tenancy/tenant-context.ts";
