export type { BulkheadOptions, LogDestination } from "./bulkhead-options.ts";
export {
  type AdoptOptions,
  adoptSdkServer,
  type PerEntry,
  type SdkEntry,
} from "./catalog/adopt-sdk-server.ts";
export {
  CallerError,
  type Completer,
  type ContentAnnotations,
  type ContentBlock,
  type DemonstrationTenant,
  type DevelopmentDefinition,
  definePrompt,
  defineResource,
  defineServer,
  defineTool,
  type Icon,
  type PermissionsDefinition,
  type PromptArgument,
  type PromptDefinition,
  type PromptMessage,
  type PromptResult,
  type PromptReturn,
  type ResourceContents,
  type ResourceDefinition,
  type ResourceReturn,
  type ServerDefinition,
  type TaskDefinition,
  type ToolAnnotations,
  type ToolDefinition,
  type ToolResult,
  type ToolReturn,
} from "./catalog/define.ts";
export type {
  SdkFactoryContext,
  SdkServer,
  SdkServerFactory,
  SdkTransport,
} from "./catalog/sdk-server.ts";
export type { Clock } from "./core/clock.ts";
export { ERROR_TABLE, type ErrorCode, type ErrorRow } from "./core/error-table.ts";
export { Fault } from "./core/fault.ts";
export type { OperationId, Slug, TenantId } from "./core/ids.ts";
export type { JsonSchema, SchemaLike, Validated } from "./core/schema.ts";
export { type Bulkhead, createBulkhead } from "./server.ts";
export type {
  Change,
  Client,
  ClientAbility,
  ElicitAnswer,
  ElicitRequest,
  MessageLevel,
  Progress,
  Root,
  SampleAnswer,
  SampleRequest,
  TraceContext,
} from "./tenancy/client.ts";
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
