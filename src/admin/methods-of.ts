import type { AdminOperation } from "./admin-operation.ts";

/** The methods that some operation answers at a path, as the header Allow names them. */
export function methodsOf(operations: readonly AdminOperation[], base: string, path: string): string[] {
  const segments = path.split("/");
  const methods = new Set<string>();
  for (const operation of operations) {
    const pattern = `${base}${operation.path}`.split("/");
    const fits =
      pattern.length === segments.length &&
      pattern.every((part, index) =>
        part.startsWith("{") ? segments[index] !== "" : part === segments[index],
      );
    if (!fits) continue;
    methods.add(operation.method.toUpperCase());
    if (operation.method === "get") methods.add("HEAD");
  }
  return [...methods];
}
